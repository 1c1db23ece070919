"""What the repository promises about itself: README, pinned versions, commands, no local paths."""
from __future__ import annotations

import configparser
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SKIPPED_FOLDERS = {".git", "build", "dist", ".mypy_cache", ".pytest_cache", ".hypothesis", ".cache"}
# Absolute paths of the machines where this was written; a URL may hold /home/.
MACHINE_PATH = re.compile(r"(?<![\w.:~$})*/-])/(?:work|home|root|Users)/\w")
COMMANDS = ("oace_tf.predict", "oace_tf.summary", "oace_tf.train", "export/quantize.py")


def tracked_files() -> Iterator[Path]:
    """Yield the files of the repository; of a folder without git, all but outputs and caches."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        done = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
        if done.returncode == 0:
            yield from (ROOT / name for name in done.stdout.split("\0")
                        if name and (ROOT / name).is_file())
            return
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if path.is_file() and not SKIPPED_FOLDERS.intersection(parts) and not any(
                part.startswith(".venv") or part.endswith(".egg-info") for part in parts):
            yield path


def marked_lines(text: str, name: str) -> list[str]:
    """Return the lines of code between the markers `name` of the README."""
    match = re.search(rf"<!-- {name}:begin -->\n```bash\n(.*?)\n```\n<!-- {name}:end -->", text,
                      re.DOTALL)
    assert match, f"README.md has no block between the markers {name}"
    return match[1].splitlines()


def normal(name: str) -> str:
    """Return the name of a distribution as indexes compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(text: str) -> set[str]:
    """Return the distributions that lines of requirements name, without this one."""
    names = {normal(re.match(r"[\w.-]+", line)[0])  # type: ignore[index]
             for line in text.splitlines() if line.strip()}
    return names - {"oace-tf"}


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs), "constraints.txt pins with == and nothing else"
    assert len({normal(name) for name, _ in pairs}) == len(pairs), "a distribution pinned twice"
    return {normal(name): version for name, version in pairs}


# --- README and CI


def test_the_readme_is_a_tour():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    first_screen = text.split("\n## ")[0]
    assert re.search(r"!\[[^]]+\]\(docs/images/\w+\.png\)", first_screen)
    assert "for research only" in first_screen and "docs/weights_licence.md" in first_screen
    doors = re.findall(r"^\| \*\*(.+?)\*\* \|", first_screen, re.MULTILINE)
    assert doors == ["cut out an object", "put it in an Android or web app",
                     "train or quantize my own"]
    for name, command in (("main-line", "export/quantize.py --int8"), ("test-line", "pytest")):
        (line,) = marked_lines(text, name)
        assert "-c constraints.txt" in line and command in line
    assert "--config configs/one_trunk.json" in text


def test_ci_runs_the_lines_of_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    done = subprocess.run(["bash", str(ROOT / ".ci" / "run"), "--lines"], capture_output=True,
                          text=True, check=True)
    assert done.stdout.splitlines() == [*marked_lines(text, "main-line"),
                                        *marked_lines(text, "test-line")]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    # Environments beside those two lines' are made there as well; the lines' own parts are not.
    for part in ("'.[export]'", "'.[test]'", "quantize.py", "-m pytest\n"):
        assert part not in script, "a copy would diverge"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert ".ci/run" in (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a Markdown page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_links_of_the_documentation_lead_somewhere():
    pages = [path for path in tracked_files() if path.suffix == ".md"]
    broken, checked = [], 0
    for page in pages:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)",
                                         page.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            checked += 1
            file = page.parent / target if target else page
            if not file.exists() or (anchor and file.suffix == ".md"
                                     and anchor not in anchors(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}#{anchor}")
    assert not broken and checked > 50


def test_the_site_holds_every_page():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r": (\S+\.md)$", text, re.MULTILINE))
    docs = ROOT / "docs"
    assert listed == {page.relative_to(docs).as_posix() for page in docs.rglob("*.md")}


# --- packages


def test_constraints_pin_every_requirement(setup_cfg, pins):
    wanted = requirements(setup_cfg["options"]["install_requires"])
    for extra in setup_cfg["options.extras_require"].values():
        wanted |= requirements(extra)
    assert sorted(wanted - set(pins)) == []


def test_constraints_hold_one_opencv_one_tensorflow_and_no_torch(pins):
    assert [name for name in pins if name.startswith("opencv")] == ["opencv-python-headless"]
    assert [name for name in pins if name.startswith("tensorflow")] == ["tensorflow"]
    # jax is the second backend that is tested; without torch an environment stays half as large
    assert not {"torch", "intel-tensorflow", "jax-cuda12-plugin"} & set(pins)


def test_runtime_extra_is_what_is_always_installed(setup_cfg):
    extras = setup_cfg["options.extras_require"]
    assert (requirements(extras["runtime"])
            == requirements(setup_cfg["options"]["install_requires"]))
    for name in ("runtime", "train", "export", "evaluate", "port", "docs", "test"):
        assert name in extras


def test_tf_keras_only_in_port(setup_cfg):
    extras = setup_cfg["options.extras_require"]
    assert [name for name in extras if "tf-keras" in requirements(extras[name])] == ["port"]


def test_every_folder_of_the_package_is_a_package():
    folders = {path.parent for path in tracked_files()
               if path.suffix == ".py" and ROOT / "oace_tf" in path.parents}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()], (
        "setuptools would leave it out; an editable install would not show it")


# --- files


def test_no_committed_text_names_a_machine():
    found = []
    for path in tracked_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # an image, weights
        found += [f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
                  for number, line in enumerate(lines, 1) if MACHINE_PATH.search(line)]
    assert not found


def test_machine_paths_are_recognised():
    folder = "/" + "work" + "/data"
    assert MACHINE_PATH.search(f"see {folder}") and MACHINE_PATH.search(f'"{folder}"')
    assert not MACHINE_PATH.search("https://host" + "/home" + "/page")


# --- commands


def runnable_files() -> list[str]:
    """Return all files of the repository that parse a command line, as `python` is given them."""
    found = []
    for path in tracked_files():
        if path.suffix != ".py" or path == Path(__file__).resolve():
            continue
        text = path.read_text(encoding="utf-8")
        if "Parser(" in text and '__name__ == "__main__"' in text:
            name = path.relative_to(ROOT).as_posix()
            in_package = name.startswith("oace_tf/")
            module = name[:-3].replace("/", ".").removesuffix(".__main__")
            found.append(module if in_package else name)
    return found


def call_of(command: str) -> str:
    """Return how a command is typed, without `python`."""
    return f"-m {command}" if command.startswith("oace_tf") else command


def main_of(command: str) -> Callable[[list[str]], int]:
    """Return the `main` of a command, imported into this process."""
    name = command.removesuffix(".py").replace("/", ".")
    if importlib.util.find_spec(name).submodule_search_locations:  # type: ignore[union-attr]
        name += ".__main__"
    return importlib.import_module(name).main


def sections(text: str) -> list[str]:
    """Return the blocks of a help text, each as one line."""
    return [" ".join(block.split()) for block in re.split(r"\n\s*\n", text.strip())]


@pytest.mark.parametrize("command", sorted({*COMMANDS, *runnable_files()}))
def test_help_opens_with_a_sentence_and_closes_with_an_example(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "argv", [str(ROOT / command)])
    with pytest.raises(SystemExit) as end:
        main_of(command)(["--help"])
    assert not end.value.code
    blocks = sections(capsys.readouterr().out)
    assert blocks[0].startswith("usage:")
    assert re.match(r"[A-Z].*\.", blocks[1]), "no sentence after the usage"
    example = rf"\bpython {re.escape(call_of(command))}(\s|$)"
    assert re.search(example, blocks[-1]), "no example at the end"


@pytest.mark.parametrize("command", sorted(
    command for command in {*COMMANDS, *runnable_files()} if not command.startswith("tests/")))
def test_a_wrong_call_is_answered_in_one_line(command, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(ROOT / command)])
    assert main_of(command)(["--no-such-option"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(
        r".*\berror: .*(--no-such-option|required|name a).*python .*\n", printed.err)


@pytest.mark.parametrize("call", (["export/quantize.py"], ["android_bench/host.py"],
                                  ["-m", "oace_tf.predict"]))
def test_commands_start_as_files_and_as_modules(call):
    """The lines before the first import of our own put the root on the path."""
    done = subprocess.run([sys.executable, *call, "--help"], cwd=ROOT, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("usage:")
