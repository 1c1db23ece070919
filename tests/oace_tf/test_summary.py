"""The summary command: its figures, its forms, its errors."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from oace_tf import summary
from oace_tf.config import PRESETS, NetworkConfig
from oace_tf.networks.cost import Totals

TINY = ["--preset", "tiny", "--size", "64"]


def test_the_table_has_stages_shares_and_totals(capsys):
    assert summary.main(TINY) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny, 64x64"
    assert lines[1].split() == ["stage", "output", "parameters", "GMAC", "share", "of", "GMAC"]
    rows = {line.split("  ")[0]: line for line in lines[2:] if line}
    assert "8x8x16" in rows["msfnet.trunk"]
    # 16,942: Keras's own count of both networks.
    assert re.search(r"^= together +16,942 +\d\.\d{3} +100\.0 %$", rows["= together"])
    shares = [float(line.split()[-2]) for name, line in rows.items() if not name.startswith("=")]
    assert sum(shares) == pytest.approx(100, abs=0.05 * len(shares))


def test_json_and_table_hold_the_same_figures(tmp_path, capsys):
    assert summary.main([*TINY, "--json", str(tmp_path / "costs.json")]) == 0
    assert "= together" in capsys.readouterr().out
    assert summary.main([*TINY, "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "costs.json").read_text())
    tiny = report["presets"]["tiny"]
    assert NetworkConfig.from_json(tiny["config"]) == PRESETS["tiny"]
    assert tiny["totals"]["together"]["params"] == 16_942
    for key in ("params", "macs"):
        assert sum(stage[key] for stage in tiny["stages"]) == tiny["totals"]["together"][key]
    assert report["size"] == 64
    assert report["hrnet_stem_strides"] == {}


def test_hrnet_comes_with_its_stem_strides(monkeypatch, capsys):
    asked = []

    def cost(config, size):
        asked.append((config.stem_stride, config.stride_of_prior, size))
        return summary.PairCost(config, {})

    monkeypatch.setattr(summary, "pair_cost", cost)
    monkeypatch.setattr(summary, "stage_lines", lambda cost: [])
    assert summary.main(["--preset", "hrnet"]) == 0
    assert asked == [(4, 4, 512), (2, 2, 512), (1, 1, 512)]
    assert "hrnet by stem stride" in capsys.readouterr().out


def test_the_default_is_every_preset_but_tiny():
    tiny = {"tiny", "tiny_one_trunk", "tiny_one_trunk_refined", "tiny_two_trunks"}
    assert set(summary.parse_args([]).preset) == set(PRESETS) - tiny


def test_the_lines_of_the_stride_table():
    assert summary.stride_lines({4: {"prior": Totals(1_234, 56_789_000_000)}}) == [
        ("4", "prior", "1,234", "56.8")]


def test_on_a_terminal_rich_draws_the_table(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    summary.print_table("title", ("stage", "output", "GMAC"), [("a", "8x8", "1.0")])
    drawn = capsys.readouterr().out
    assert "title" in drawn and "┃" in drawn and "8x8" in drawn


@pytest.mark.parametrize(("arguments", "named"), (
    (["--preset", "huge"], "huge"), (["--size", "100"], "--size is 100"),
    (["--size", "0"], "--size is 0"), (["--size", "x"], "--size"), (["--what"], "--what")))
def test_bad_arguments_are_one_line_and_exit_2(arguments, named, capsys):
    assert summary.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert named in captured.err and captured.err.count("\n") == 1


def test_a_place_that_cannot_be_written_is_exit_2(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert summary.main([*TINY, "--json", str(tmp_path / "file" / "costs.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_help_ends_with_an_example_that_works():
    # A fresh process: help must not wait for Keras.
    code = ("import sys; from oace_tf import summary\n"
            "try: summary.main(['--help'])\n"
            "except SystemExit: print('keras' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, "COLUMNS": "80"})
    *_, example, loaded = done.stdout.splitlines()
    assert loaded == "False"
    assert example.startswith(f"example: {summary.PROG} ")
    arguments = example.removeprefix(f"example: {summary.PROG} ").split()
    assert summary.parse_args(arguments).preset == ["hrnet"]
