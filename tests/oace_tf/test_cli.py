"""The command shell: what was typed, what is missing, what is kept quiet."""
from __future__ import annotations

import argparse
import configparser
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oace_tf import cli
from oace_tf.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
# Modules whose distribution has another name.
DISTRIBUTIONS = {"cv2": "opencv-python-headless"}
# Runs what follows -- as `python` would, in an environment that lacks the packages before it.
WITHOUT = """
import importlib.abc, os, runpy, sys
at = sys.argv.index("--")
missing, call = set(sys.argv[1:at]), sys.argv[at + 1:]
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
if call[0] == "-m":
    sys.argv = call[1:]
    runpy.run_module(call[1], run_name="__main__", alter_sys=True)
else:
    sys.argv = call
    sys.path[0] = os.path.dirname(call[0])
    runpy.run_path(call[0], run_name="__main__")
"""
FOREIGN = sorted({name for names in cli.EXTRAS.values() for name in names} - set(cli.BASE))


@pytest.mark.parametrize("call, extra", (
    ("export/quantize.py --help", "export"),
    ("export/profile_operators.py --help", "export"),
    ("export/port.py --help", "port"),
    ("android_bench/bench.py --help", "bench"),
    ("-m oace_tf summary", "train"),
    ("-m oace_tf average a.safetensors b.safetensors -o c.safetensors", "train"),
    ("-m oace_tf.score oace_tf/weights/one_trunk.safetensors --data .", "train"),
    ("-m oace_tf demo", "demo"),
))
def test_a_missing_extra_is_said_in_one_line(call, extra):
    done = subprocess.run([sys.executable, "-c", WITHOUT, *FOREIGN, "--", *call.split()], cwd=ROOT,
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."})
    program = " ".join(word for word in call.split() if not word.startswith("--")).split(" a.")[0]
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"python {program.split(' oace_tf/')[0]}: error: ")
    assert done.stderr.endswith(f"not installed; pip install -c constraints.txt -e "
                                f"'.[{extra}]'\n")
    assert done.stderr.count("\n") == 1


def test_extras_are_those_of_the_package():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    always = set(parser["options"]["install_requires"].split())
    for extra, modules in cli.EXTRAS.items():
        declared = set(parser["options.extras_require"][extra].split()) | always
        names = {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in modules}
        assert names <= declared, extra


def test_the_backend_of_keras_is_needed_as_well(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "no_such_backend")
    with pytest.raises(UsageError, match=r"^no_such_backend is not installed; .*-e '.\[train\]'"):
        cli.need("train")


@pytest.mark.parametrize("script, name", (
    ("/opt/bin/oace", "oace"), ("oace-predict", "oace-predict"), ("oace-train.exe", "oace-train"),
    ("train.py", "python -m oace_tf.train"), ("pytest", "python -m oace_tf.train")))
def test_the_program_is_named_as_it_was_typed(monkeypatch, script, name):
    monkeypatch.setattr(sys, "argv", [script])
    assert cli.typed("python -m oace_tf.train") == name


def parse(argv, prog):
    """Return the arguments of a command with one option."""
    parser = cli.Parser(prog=prog, epilog="example: %(prog)s \\\n  --size 3")
    parser.add_argument("--size", type=int)
    return parser.parse_args(argv)


def test_errors_begin_with_the_program_and_close_with_its_example(capsys):
    assert cli.command(parse, lambda args: 0, ["--size", "x"], "oace measure") == 2
    assert capsys.readouterr().err == (
        "oace measure: error: argument --size: invalid int value: 'x'; "
        "example: oace measure --size 3\n")


@pytest.mark.parametrize("name", ["-x.png", "--my.png"])
def test_files_that_are_named_like_options(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    parser = cli.Parser(prog="x")
    parser.add_argument("photo", nargs="?")
    with pytest.raises(UsageError, match="unrecognized arguments"):
        parser.parse_args([name])
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=f"begins as an option does; write ./{name}"):
        parser.parse_args([name])
    (tmp_path / "b.png").touch()
    with pytest.raises(UsageError, match="unrecognized arguments: b.png"):
        parser.parse_args(["a.png", "b.png"])


def test_an_interrupt_is_one_line(capsys):
    def run(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    assert cli.command(parse, run, [], "oace measure", interrupted="call it again") == 130
    assert capsys.readouterr().err == "oace measure: interrupted; call it again\n"


def test_a_missing_module_of_ours_is_a_bug():
    def run(args: argparse.Namespace) -> int:
        import oace_tf.no_such_module  # noqa: F401
        return 0

    with pytest.raises(ModuleNotFoundError):
        cli.command(parse, run, [], "oace measure", extra="train")


def test_noise_of_an_import_is_held_back_unless_it_fails(tmp_path):
    for name, end in (("tensorflow", ""), ("jax", "raise ValueError('broken')")):
        (tmp_path / f"{name}.py").write_text(f"import os\nos.write(2, b'noise of {name}')\n{end}\n")
    code = ("from oace_tf import cli\ncli.silence_libraries()\nimport tensorflow, sys\n"
            "print('after', file=sys.stderr)\nimport jax")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3",
                               "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})
    assert done.stderr.startswith("after\nnoise of jax")
    assert "ValueError: broken" in done.stderr and "tensorflow" not in done.stderr


def test_only_the_commands_own_messages_are_shown(capsys):
    logger = logging.getLogger("test_cli")

    def run(args: argparse.Namespace) -> int:
        return logger.getEffectiveLevel()

    assert cli.command(parse, run, [], "oace measure", logger=logger) == logging.INFO


def test_the_named_folder_goes_before_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named"
    named.mkdir()
    monkeypatch.setenv("OACE_DATA", str(tmp_path))
    assert cli.data_root() == cli.required_data_root() == tmp_path
    assert cli.data_root(named) == cli.required_data_root(named) == named
    with pytest.raises(UsageError, match="missing: no such folder; correct OACE_DATA or --data"):
        cli.data_root(tmp_path / "missing")


@pytest.mark.parametrize("value", (None, ""))
def test_without_a_folder(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OACE_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("OACE_DATA", value)
    assert cli.data_root() is None
    with pytest.raises(UsageError, match="no labelled sets: set OACE_DATA or give --data DIR"):
        cli.required_data_root(what="labelled sets")


def test_at_least_one_processor() -> None:
    assert cli.cpu_count() >= 1


def test_a_module_s_docstring_describes_its_command_without_the_word(capsys):
    parser = cli.Parser(prog="tool", description="Command: weights scored.")
    parser.print_help()
    assert "\nWeights scored.\n" in capsys.readouterr().out
