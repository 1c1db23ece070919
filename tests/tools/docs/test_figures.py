"""The figures in the documents: written from a report, found current, and found out."""
from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from oace_tf.errors import GateFailed, UsageError
from oace_tf.fileio import sha256_file
from tests.oace_tf.conftest import tiny_int8  # noqa: F401  (fixture)
from tools.docs import figures


def _report(sha256: str) -> dict[str, Any]:
    def row(dataset: str, n: int, float_: float, int8: float) -> dict[str, Any]:
        return {"dataset": dataset, "n": n, "float_miou_at_1": float_, "int8_miou_at_1": int8,
                "drop_points": float_ - int8, "ci95": [0.1, 0.9], "more": 1}
    return {
        "int8": {"path": "x", "size_mb": 7.5741, "sha256": sha256}, "float32": {"size_mb": 25.68},
        "weights": {"path": "/somewhere/w", "sha256": "ab" * 32}, "recipe": "r",
        "params": 6505332, "gmac": 5.314, "operators_outside_delegate": ["QUANTIZE"],
        "drift": [row("grabcut", 50, 81.4, 81.1), row("ecssd", 200, 74.5, 73.8),
                  row("pooled", 250, 76.0, 75.25)],
        "agreement": {"n": 250, "mean_iou": 0.9594, "worst": 0.6, "on": "sets"},
        "baselines": {"disk": {"dataset": "grabcut", "n": 50, "miou_at_1": 44.61}},
        "host_latency_ms": {"int8": 61.63, "float32": 139.79, "threads": 1, "range": {}},
        "versions": {"machine": "x86_64", "cpus": "2", "python": "3.11"}, "seconds": 3}


@pytest.fixture
def where(tmp_path: Path, tiny_int8: Path) -> figures.Places:  # noqa: F811
    documents = (tmp_path / "README.md", tmp_path / "MODEL_CARD.md")
    for document in documents:
        document.write_text("# T\n<!-- figures:begin -->\n<!-- figures:end -->\nafter\n")
    return figures.Places(tiny_int8, tmp_path / "figures.json", documents)


def _run(where: figures.Places, report: Path | None, *more: str) -> int:
    named = [] if report is None else ["--report", str(report)]
    return figures.run(figures.parse_args([*named, *more]), where)


def _written(tmp_path: Path, report: dict[str, Any]) -> Path:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    return path


def test_written_and_current(where: figures.Places, tmp_path: Path) -> None:
    report = _written(tmp_path, _report(sha256_file(where.model)))
    assert _run(where, report) == 0
    for document in where.documents:
        text = document.read_text()
        for line in ("| mIoU@1, GrabCut (50 objects) | 81.1 | 81.4 |",
                     "| mIoU@1, ecssd (200 of 1,000) | 73.8 | 74.5 |",
                     "| pooled drop, 250 objects | 0.75 points (0.10 to 0.90) | |",
                     "| one answer, 2-core x86_64 host, one thread | 61.6 ms | 139.8 ms |",
                     "| size | 7.57 MB | 25.7 MB |"):
            assert line in text.splitlines()
        assert "a disk around the tap 44.6" in text and "after" in text
    assert "/somewhere" not in where.figures.read_text()  # no path of the machine
    assert _run(where, report, "--check") == 0 and _run(where, None, "--check") == 0


def test_a_document_that_was_changed_by_hand(where: figures.Places, tmp_path: Path) -> None:
    _run(where, _written(tmp_path, _report(sha256_file(where.model))))
    document = where.documents[1]
    document.write_text(document.read_text().replace("81.1", "91.1"))
    with pytest.raises(GateFailed, match="MODEL_CARD.md is not current"):
        _run(where, None, "--check")


def test_another_file_ships(where: figures.Places, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not of the shipped file"):
        _run(where, _written(tmp_path, _report("0" * 64)))
    _run(where, _written(tmp_path, _report(sha256_file(where.model))))
    changed = json.loads(where.figures.read_text())
    changed["int8"]["sha256"] = "0" * 64
    where.figures.write_text(json.dumps(changed))
    with pytest.raises(GateFailed, match="the shipped one has"):
        _run(where, None, "--check")


@pytest.mark.parametrize(("path", "value", "word"), [
    (("drift", 0, "int8_miou_at_1"), 79.9, "grabcut, int8"),
    (("drift", 1, "float_miou_at_1"), 76.0, "ecssd, float"),
    (("drift", 0, "int8_miou_at_1"), float("nan"), "grabcut"),
    (("agreement", "mean_iou"), 0.90, "agreement"),
    (("params",), 1, "params"), (("weights", "sha256"), "0" * 64, "weights"),
    (("operators_outside_delegate",), ["QUANTIZE", "TANH"], "outside")])
def test_a_new_report_that_says_something_else(where: figures.Places, tmp_path: Path,
                                               path: tuple[Any, ...], value: Any,
                                               word: str) -> None:
    report = _report(sha256_file(where.model))
    _run(where, _written(tmp_path, report))
    other = copy.deepcopy(report)
    place: Any = other
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    if value != value:  # strict JSON holds no NaN: compared directly
        with pytest.raises(GateFailed, match=word):
            figures._compare(figures.figures_of(report), figures.figures_of(other))
        return
    with pytest.raises(GateFailed, match=word):
        _run(where, _written(tmp_path, other), "--check")


def test_other_rounding_other_speed_and_missing_sets_pass(where: figures.Places,
                                                          tmp_path: Path) -> None:
    report = _report(sha256_file(where.model))
    _run(where, _written(tmp_path, report))
    report["drift"] = [{**report["drift"][0], "int8_miou_at_1": 80.6}]
    report["int8"]["sha256"] = "1" * 64
    report["host_latency_ms"]["int8"] = 9.0
    report["agreement"] = {"n": 128, "mean_iou": 0.5, "worst": 0.1}
    assert _run(where, _written(tmp_path, report), "--check") == 0


def test_a_report_that_lacks_something(where: figures.Places, tmp_path: Path) -> None:
    report = _report(sha256_file(where.model))
    del report["agreement"]
    with pytest.raises(UsageError, match="lacks 'agreement'"):
        _run(where, _written(tmp_path, report))
