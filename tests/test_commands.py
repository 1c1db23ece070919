"""Every command of the documents is one that can be typed: words, files, extras, targets.

What takes minutes or data sets is not run here: the command's own parser must take its words. A
command in running text may be cut short, but its options must be those of the command.
`tests/test_examples.py` runs the Python of the first pages and every `oace predict` there.
"""
from __future__ import annotations

import configparser
import contextlib
import importlib
import importlib.util
import io
import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from oace_tf.__main__ import COMMANDS, EARLIER
from oace_tf.errors import UsageError
from tests.test_repository import tracked_files

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in tracked_files()
               if path.suffix == ".md" and path.name != "CHANGELOG.md")
LANGUAGES = {  # who runs or reads the blocks of each language
    "": "tests/test_floors.py",
    "bash": "here; `oace predict` runs in tests/test_examples.py",
    "csv": "tests/test_examples.py", "json": "tests/export/test_port_page.py and here",
    "kotlin": "tests/android_app/test_readme.py", "toml": "tests/android_app/test_readme.py",
    "python": "tests/test_examples.py, tests/export/test_port_page.py",
    "ts": "web_app/test/library.test.js"}
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
_INLINE = re.compile(r"`((?:\S*/)?(?:oace|python) [^`\n]+)`")
_LEFT_OUT = {"...", "…"}


@dataclass(frozen=True, slots=True)
class Line:
    """A command as it stands on a page: its words, without assignments before and `&` after."""

    page: str
    words: tuple[str, ...]
    is_whole: bool  # in a block, and without three dots: it can be pasted


def blocks(page: str) -> list[tuple[str, str]]:
    """Return language and code of a page's blocks."""
    return _BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def split(code: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command of some lines of bash."""
    for line in code.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in (*lexer, "&&"):
            if set(word) <= set("&|;"):
                while words and _ASSIGNMENT.fullmatch(words[0]):
                    words.pop(0)
                if words:
                    yield tuple(words)
                words = []
            else:
                words.append(word)


def lines(page: str) -> list[Line]:
    """Return the commands of a page: of its blocks, and those in backticks in the text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    in_blocks = [words for language, code in blocks(page) if language == "bash"
                 for words in split(code)]
    in_text = [words for code in _INLINE.findall(_BLOCK.sub("", text)) for words in split(code)]
    return [Line(page, words, not _LEFT_OUT.intersection(words)) for words in in_blocks] + [
        Line(page, words, False) for words in in_text]


ALL = [line for page in PAGES for line in lines(page)]


# --- one check for each program; each takes the words behind it


def check_oace(words: Sequence[str], is_whole: bool) -> None:
    """Refuse what `oace` would refuse."""
    if words[0] in ("--help", "--version", "COMMAND"):
        return
    assert words[0] in COMMANDS or words[0] in EARLIER, f"no command {words[0]}"
    module = COMMANDS[words[0]][0] if words[0] in COMMANDS else EARLIER[words[0]]
    parse(module, words[1:], is_whole)


def check_python(words: Sequence[str], is_whole: bool) -> None:
    """Refuse a file or module that is not there, or words that it does not take."""
    if words[0] != "-m":
        if words[0].startswith("-"):
            return
        file = ROOT / words[0]
        if not file.is_file():  # copied there by `gpu_run.py pack`
            file = ROOT / "tools" / words[0]
        assert file.is_file(), f"no file {words[0]}"
        if file.name != "mediapipe_check.py":  # runs where MediaPipe is
            name = file.relative_to(ROOT).with_suffix("").as_posix()
            parse(name.replace("/", "."), words[1:], is_whole)
    elif words[1] == "pytest":
        for word in words[2:]:
            assert word.startswith("-") or (ROOT / word).exists(), word
    elif words[1].startswith("oace_tf"):
        parse(words[1], words[2:], is_whole)
    elif words[1] != "venv":
        assert words[1] == "pip", f"teach this test what {words[1]} is"
        check_pip(words[2:], is_whole)


def parse(name: str, words: Sequence[str], is_whole: bool) -> None:
    """Hand words to a module's own parser; of a mention, look its options up in the help.

    Raises:
      AssertionError, UsageError: the command does not take them.
    """
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"no module {name}"
    if spec.submodule_search_locations:
        name += ".__main__"
    module = importlib.import_module(name)
    parser = getattr(module, "parse_args", None) or getattr(module, "_parse_args", None)
    if is_whole and parser is not None:
        parser(list(words))
        return
    with contextlib.redirect_stdout(io.StringIO()) as printed, pytest.raises(SystemExit) as end:
        module.main(["--help"])
    assert not end.value.code
    for word in words:
        if word.startswith("-") and word not in ("-O", "--help"):
            assert re.search(rf"(?<![\w-]){word}(?![\w-])", printed.getvalue()), word


def check_pip(words: Sequence[str], is_whole: bool) -> None:
    """Refuse an extra that setup.cfg does not have, and files that are not there."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    known = set(config["options.extras_require"])
    assert words[0] == "install"
    for place, word in enumerate(words):
        if match := re.fullmatch(r"(?:\.|oace-tf)\[(.+)\]", word):
            assert set(match[1].split(",")) <= known, word
        if words[place - 1] == "-c":
            assert (ROOT / word).is_file(), word


def check_npm(words: Sequence[str], is_whole: bool) -> None:
    """Refuse a script that package.json does not have."""
    scripts = json.loads((ROOT / "web_app/package.json").read_text(encoding="utf-8"))["scripts"]
    assert words[0] in ("ci", "test", "pack") or (words[0] == "run" and words[1] in scripts), words


def check_make(words: Sequence[str], is_whole: bool) -> None:
    """Refuse a target that the Makefile does not have."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{word}:", makefile, re.MULTILINE) for word in words), words


def check_copy(words: Sequence[str], is_whole: bool) -> None:
    """Refuse a folder that is not there."""
    assert (ROOT / words[-1]).is_dir(), words[-1]


def check_nothing(words: Sequence[str], is_whole: bool) -> None:
    """Take all: the shell's own words, and programs that another test looks at."""


PROGRAMS = {
    "oace": check_oace, "python": check_python, "python3": check_python, "pip": check_pip,
    "npm": check_npm, "make": check_make, "cp": check_copy, "pre-commit": check_nothing,
    "cd": check_nothing, "source": check_nothing, "export": check_nothing,
    "gradle": check_nothing}  # tests/android_app/test_readme.py


def check(line: Line) -> None:
    """Refuse a command that could not be typed.

    Raises:
      AssertionError, UsageError: what is wrong with it.
    """
    name = Path(line.words[0]).name
    if name.endswith(".sh"):
        file = ROOT / line.words[0]
        assert os.access(file, os.X_OK), line.words[0]
        return
    assert name in PROGRAMS, f"teach this test what {name} is"
    PROGRAMS[name](line.words[1:], line.is_whole)
    for word in line.words[1:]:
        if re.match(r"(?:configs|experiments|oace_tf|docs)/", word):
            assert (ROOT / word).exists(), f"no file {word}"


@pytest.mark.parametrize("line", ALL, ids=lambda line: f"{line.page}: {shlex.join(line.words)}")
def test_a_command_can_be_typed(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    check(line)


@pytest.mark.parametrize(("code", "words"), [
    ("oace predict a.jpg --tip 1,2", "--tip"), ("oace cut a.jpg", "cut"),
    ("oace train gestures --config configs/none.json --data D --out build/a", "none.json"),
    ("python export/quantise.py --int8", "quantise"), ("python export/port.py a --netw", "netw"),
    ("pip install -c constraints.txt -e '.[quantize]'", "quantize"),
    ("pip install -c pins.txt -e '.[demo]'", "pins"), ("npm run start", "start"),
    ("make quick", "quick"), ("cp a oace_tf/weight/", "weight"), ("tests/arm/env.sh", "env.sh"),
    ("A=1 .venv/bin/oace average -o", "-o"), ("cat a", "cat"),
    ("python -m pytest tests/x", "tests/x"), ("python -m oace_tf.cut", "cut")])
def test_a_wrong_command_is_seen(code: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (only,) = split(code)
    with pytest.raises((AssertionError, UsageError), match=words):
        check(Line("a page", only, is_whole=True))


def test_a_wrong_option_is_seen_where_a_command_is_cut_short() -> None:
    check(Line("a page", ("oace", "train", "--init"), is_whole=False))
    for word in ("--initial", "--ini", "-q"):
        with pytest.raises(AssertionError, match=word):
            check(Line("a page", ("oace", "train", word, "..."), is_whole=False))


def test_lines_are_read_as_bash_reads_them() -> None:
    assert list(split("cd a && A=1 b -c 'd e' &  # f\n\nexport G=1; h")) == [
        ("cd", "a"), ("b", "-c", "d e"), ("export", "G=1"), ("h",)]
    assert len(ALL) > 90 and sum(line.words[0] == "oace" for line in ALL) > 30


def test_every_block_is_of_a_language_that_some_test_reads() -> None:
    languages = {language for page in PAGES for language, _ in blocks(page)}
    assert languages == set(LANGUAGES)
