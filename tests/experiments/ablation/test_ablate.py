"""The ablation command: rows trained and measured, taken up again, and bad input."""
from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from experiments.ablation import ablate
from experiments.ablation import row as ablation_row
from tests.oace_tf.test_score import write_sets
from tests.oace_tf.training.drawn import write_dataset

PLAN: dict[str, Any] = {
    "init": "none", "network": {"trunk": "tiny", "msf": False},
    "settings": {"phases": [{"size": 64, "batch": 1, "steps": 2}],
                 "losses": {"background_from": "pass1"}},
    "sets": {"size": 64, "multi_photographs": 2, "spread_taps": 2},
    "rows": [{"name": "frozen", "stages": [{"stage": "prior"}, {"stage": "msfnet"}]},
             {"name": "disk", "against": "frozen", "network": {"click_input": "disk"},
              "stages": [{"stage": "msfnet"}]}]}


@pytest.fixture()
def command(tmp_path, monkeypatch, capsys):
    """Return a function: arguments -> (exit code, stdout, stderr); rows run in this process."""
    import tensorflow as tf

    monkeypatch.setattr(ablate, "in_process", ablation_row.run_row)
    monkeypatch.setattr(logging, "basicConfig", lambda **kwargs: None)
    monkeypatch.delenv("OACE_DATA", raising=False)
    write_sets(tmp_path)
    write_dataset(tmp_path / "val" / "coco_multi", 2, seed=1)
    write_dataset(tmp_path / "train" / "drawn", 3)
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))

    def call(*arguments):
        tf.config.run_functions_eagerly(True)
        try:
            code = ablate.main([str(word) for word in arguments])
        finally:
            tf.config.run_functions_eagerly(False)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.slow
def test_rows_are_made_once(command, tmp_path, monkeypatch):
    arguments = (tmp_path / "plan.json", "--data", tmp_path, "--out", tmp_path / "out",
                 "--workers", 0)
    code, table, _ = command(*arguments, "--rows", "frozen")
    assert code == 0 and "| disk |  | not run" in table
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    row, = results.values()
    assert {name: len(entries) for name, entries in row["iou"].items()} == {
        "ecssd": 2, "coco_mval": 2, "grabcut": 2}
    assert len(row["multi"]) == 4 and len(row["auc"]["ecssd"]) == 2
    assert list(row["spread"]) == ["grabcut"]
    assert row["steps"] == [2, 2] and row["train_seconds"] > 0
    assert (tmp_path / "out" / "frozen" / "1_msfnet" / "weights.safetensors").is_file()

    made = []
    run_row = ablate.in_process

    def noted(plan, name, *rest):
        made.append(name)
        return run_row(plan, name, *rest)

    monkeypatch.setattr(ablate, "in_process", noted)
    code, table, _ = command(*arguments)
    assert code == 0 and made == ["disk"] and "not run" not in table
    assert (tmp_path / "out" / "table.md").read_text() == table
    after = json.loads((tmp_path / "out" / "results.json").read_text())
    assert after["frozen"] == row
    assert after["disk"]["auc"] == {}  # it has no prior
    code, again, _ = command(*arguments, "--table")
    assert (code, again, made) == (0, table, ["disk"])

    changed = {**PLAN, "settings": {**PLAN["settings"], "seed": 7}}
    (tmp_path / "plan.json").write_text(json.dumps(changed))
    code, _, error = command(*arguments)
    assert code == 2 and "row frozen was made by another plan" in error


def test_bad_input_is_one_line(command, tmp_path):
    plan = tmp_path / "plan.json"
    (tmp_path / "list.json").write_text("[]")
    for arguments, words in (((tmp_path / "none.json",), "none.json"),
                             ((plan,), "OACE_DATA"),
                             ((plan, "--data", tmp_path / "val"), "no folder train"),
                             ((plan, "--rows", "c"), "no row 'c'"),
                             ((plan, "--workers", "-1"), "--workers"),
                             ((plan, "--results", tmp_path / "list.json"), "list.json")):
        code, out, error = command(*arguments)
        assert code == 2 and out == "" and words in error
        assert error.count("\n") == 1
        assert error.startswith("python experiments/ablation/ablate.py: error: ")


@pytest.mark.slow
def test_a_row_takes_the_prior_of_a_pair(command, tmp_path):
    from oace_tf.networks.weights import read_arrays

    arguments = (tmp_path / "plan.json", "--data", tmp_path, "--out", tmp_path / "out",
                 "--workers", 0)
    assert command(*arguments, "--rows", "frozen")[0] == 0
    given = tmp_path / "out" / "frozen" / "1_msfnet" / "weights.safetensors"
    row = {"name": "taught", "stages": [{"stage": "msfnet"}], "settings": {"seed": 9},
           "prior": given.relative_to(tmp_path).as_posix()}
    (tmp_path / "plan.json").write_text(json.dumps({**PLAN, "rows": [row]}))
    assert command(*arguments)[0] == 0
    made = tmp_path / "out" / "taught" / "0_msfnet" / "weights.safetensors"
    ours, theirs = read_arrays(made)[2], read_arrays(given)[2]
    priors = [name for name in theirs if name.startswith("prior.") and "running" not in name]
    assert priors and all((ours[name] == theirs[name]).all() for name in priors)
    assert any((ours[name] != theirs[name]).any() for name in theirs if name not in priors)
    result = json.loads((tmp_path / "out" / "results.json").read_text())["taught"]
    assert len(result["prior"]) == 64

    wider = {**PLAN, "network": {**PLAN["network"], "tap_film": True}, "rows": [row]}
    (tmp_path / "plan.json").write_text(json.dumps(wider))
    code, _, errors = command(*arguments[:-3], tmp_path / "other", "--workers", 0)
    assert code == 2
    assert "its prior and the row's differ in prior.decoder.film" in errors
