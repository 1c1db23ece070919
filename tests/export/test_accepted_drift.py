"""The accepted report of the two-sided gate: whole, passed, and of the file that ships."""
from __future__ import annotations

from pathlib import Path

from oace_tf import fileio
from oace_tf.evaluation import drift

ROOT = Path(__file__).resolve().parents[2]


def test_it_is_of_the_shipped_file_and_within_the_budget() -> None:
    accepted = fileio.read_json(ROOT / "export" / "accepted_drift.json")
    shipped = fileio.sha256_file(ROOT / "oace_tf" / "weights" / "oace_int8.tflite")
    assert accepted["int8"]["sha256"] == shipped, (
        "other weights: write the --json of the gate's command in .ci/run anew")
    budget = drift.read_budget(ROOT / "export" / "drift_budget.json")
    assert accepted["passed"] and not drift.gate(accepted, budget)
    rows = [{"dataset": row["dataset"], "n": row["n"], "now": row["int8_miou_at_1"],
             "accepted": row["int8_miou_at_1"], "accepted_n": row["n"]}
            for row in accepted["drift"]]
    assert not drift.change_failures(rows, budget)
    moved = [{**row, "now": row["now"] + budget.max_change_points + 1} for row in rows]
    assert len(drift.change_failures(moved, budget)) == len(rows) == 4
