"""The examples of README and documents run as they are pasted: Python, and `oace predict`.

The blocks of a page run one after the other, in a folder with the photographs that they name. A
line `<!-- needs ... -->` above a block says that the shipped file may not do what it shows.
"""
from __future__ import annotations

import re
import shlex
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from oace_tf import predict
from oace_tf.errors import MissedTapWarning
from oace_tf.segmenter import DEFAULT_MODEL, TapSegmenter

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/index.md", "docs/gestures.md", "docs/interfaces.md")
NEEDS = ("", "needs a file that takes `previous`", "needs MediaPipe")
OTTER = ROOT / "docs" / "samples" / "otter.jpg"
SEVERAL = ROOT / "tests" / "golden" / "tiny_multi_int8.tflite"  # knows boxes, gives three answers
_BLOCK = re.compile(r"(?:<!-- (needs .*?) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PREDICT = re.compile(r"(?:^|\s|/)oace (predict\s.*)")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: the page, its language, what it needs, and the code."""

    page: str
    language: str
    needs: str
    code: str


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(page, language, needs, code) for needs, language, code in _BLOCK.findall(text)]


def commands(page: str) -> list[str]:
    """Return the calls of `oace predict` on a page, without `oace predict`."""
    return [match[1] for block in blocks(page) if block.language == "bash"
            for line in block.code.splitlines() if (match := _PREDICT.search(line))]


@dataclass(slots=True)
class Folder:
    """Where the examples run, and what those of a page have defined so far."""

    path: Path
    names: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Return a folder with all files that the examples name."""
    path = tmp_path_factory.mktemp("examples")
    for name in ("photo.jpg", "a.jpg", "b.jpg", "photos/a.jpg", "photos/b.jpg",
                 "docs/samples/otter.jpg"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(OTTER, path / name)
    knows_all = "box" in TapSegmenter().gestures
    shutil.copy(DEFAULT_MODEL if knows_all else SEVERAL, path / "gestures.tflite")
    shutil.copy(SEVERAL, path / "oace_multi_int8.tflite")
    for part in ("encoder", "decoder"):  # small ones
        shutil.copy(ROOT / "web_app" / "test" / f"{part}.tflite", path / f"oace_{part}_int8.tflite")
    (table,) = (block.code for block in blocks("docs/gestures.md") if block.language == "csv")
    (path / "taps.csv").write_text(table, encoding="utf-8")
    return Folder(path)


@pytest.fixture(autouse=True)
def _inside(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(folder.path)
    with warnings.catch_warnings():  # how well a file follows its taps is measured elsewhere
        warnings.simplefilter("ignore", MissedTapWarning)
        yield


def python_blocks(page: str) -> list[Block]:
    """Return the blocks of Python of a page, but for MediaPipe's (tests/mediapipe_check.py)."""
    return [block for block in blocks(page)
            if block.language == "python" and "MediaPipe" not in block.needs]


@pytest.mark.parametrize(("page", "number"), [(page, number) for page in PAGES
                                              for number in range(len(python_blocks(page)))])
def test_python_runs_when_it_is_pasted(folder: Folder, page: str, number: int) -> None:
    names = folder.names.setdefault(page, {})
    for place in range(folder.done.get(page, 0), number + 1):  # also where one is run alone
        folder.done[page] = place + 1
        block = python_blocks(page)[place]
        if "previous" in block.needs and not TapSegmenter("gestures.tflite").model.takes_previous:
            if place == number:
                pytest.skip("the shipped file takes no previous mask")
            continue
        exec(compile(block.code, f"{page}, block {place + 1}", "exec"), names)


@pytest.mark.parametrize(("page", "line"), [(page, line) for page in PAGES
                                            for line in commands(page)])
def test_predict_runs_when_it_is_pasted(page: str, line: str,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line)[1:]
    assert predict.main(words, "oace predict") == 0, capsys.readouterr().err


def test_there_are_examples() -> None:
    assert [len(python_blocks(page)) for page in PAGES] == [1, 1, 8, 2]
    assert all(commands(page) for page in PAGES[:3])
    assert {block.needs for page in PAGES for block in blocks(page)} == set(NEEDS)
