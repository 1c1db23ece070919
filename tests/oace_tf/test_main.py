"""`oace`: one way in."""
from __future__ import annotations

import configparser
import importlib
from pathlib import Path

import pytest

from oace_tf import __main__ as oace
from oace_tf import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", (*oace.COMMANDS, *oace.EARLIER))
def test_every_command_answers_under_its_name(name, capsys):
    with pytest.raises(SystemExit) as end:
        oace.main([name, "--help"])
    shown = capsys.readouterr().out
    assert end.value.code == 0
    assert shown.startswith(f"usage: python -m oace_tf {name} ")
    assert f"python -m oace_tf {name} " in shown.rpartition("example:")[2]
    assert oace.main([name, "--no-such-option"]) == 2
    assert capsys.readouterr().err.startswith(f"python -m oace_tf {name}: error: ")


def test_version_and_wrong_calls(capsys, monkeypatch):
    with pytest.raises(SystemExit):
        oace.main(["--version"])
    assert capsys.readouterr().out == f"oace-tf {__version__}\n"
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/oace"])
    assert oace.main([]) == 2
    assert capsys.readouterr().err.startswith("oace: error: ")
    assert oace.main(["segment"]) == 2
    assert "'predict'" in capsys.readouterr().err


def test_scripts_of_the_package_exist():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    scripts = dict(line.split(" = ") for line in
                   parser["options.entry_points"]["console_scripts"].strip().splitlines())
    assert scripts["oace"] == "oace_tf.__main__:main"
    for entry in scripts.values():
        module, _, function = entry.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
