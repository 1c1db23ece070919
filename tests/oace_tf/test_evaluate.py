"""The command from end to end on made-up sets: figures, resuming, bad input, the gate."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oace_tf import evaluate
from oace_tf.errors import UsageError
from oace_tf.evaluation import float_int8, object_trials
from oace_tf.images import write_image
from tests.oace_tf.conftest import SHAPE

Run = Callable[..., int]


@pytest.fixture
def run(data: Path, tiny_int8: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the command on the tiny file, in this process."""
    monkeypatch.delenv("OACE_DATA", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    def call(*arguments: Any) -> int:
        fixed = ["--data", data, "--workers", 1, "--spread-taps", 2, "--clicks", 3,
                 "--baselines", "whole_image", "disk"]
        if "--model" not in arguments and "--compare" not in arguments:
            fixed += ["--model", tiny_int8]
        return evaluate.main([str(word) for word in [*fixed, *arguments]])

    return call


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Return a function that gives the one line of an error, and nothing on standard output."""
    def line() -> str:
        shown = capsys.readouterr()
        lines = [text for text in shown.err.splitlines() if "|" not in text]  # no progress bar
        assert shown.out == "" and len(lines) == 1, shown
        assert lines[0].startswith("python -m oace_tf.evaluate: error: ")
        return lines[0]

    yield line


def test_figures(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert run("--dataset", "GRABCUT", "many", "--json", out) == 0
    entries = json.loads(out.read_text())
    assert [(e["model"], e["dataset"]) for e in entries] == [
        (name, dataset) for dataset in ("grabcut", "many")
        for name in ("whole_image", "disk", "tiny_int8")]
    wanted = {"model", "sha256", "dataset", "n", "miou_at", "noc", "noc_failures", "ci95",
              "own_minus_other", "confusion", "click_spread", "worst_of_ten", "ms_per_click"}
    assert all(wanted <= set(entry) for entry in entries)
    tiny = entries[2]
    assert tiny["n"] == 3 and tiny["n_published"] == 50 and len(tiny["sha256"]) == 64
    assert list(tiny["miou_at"]) == ["1", "2", "3"] and tiny["noc"]["90"] is None
    assert 0 < tiny["miou_at"]["1"] < 100 and tiny["ci95"]["miou_at.1"][0] <= tiny["miou_at"]["1"]
    assert tiny["harness"]["over_inference"] > 1 and tiny["own_minus_other"] is None
    assert entries[5]["own_minus_other"] > 50 and entries[5]["confusion"] == 0
    assert entries[5]["groups"]["frequency"]["rare"]["n"] == 2
    shown = capsys.readouterr().out
    assert "grabcut, 3 of 50 objects" in shown and "many, 4 objects" in shown
    assert not list(tmp_path.glob("*journal*"))
    first = out.read_text()
    assert run("--dataset", "grabcut", "many", "--json", out) == 0
    again = json.loads(out.read_text())
    for entry in [*entries, *again]:
        for key in ("harness", "ms_per_click"):
            del entry[key]
        entry["ci95"].pop("ms_per_click")
    assert again == entries and first != "[]"


def test_two_models_and_a_path(run: Run, data: Path, tiny_int8: Path,
                               tiny_float32: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", tiny_int8, tiny_float32, "--dataset",
               data / "val" / "many" / "instances.json", "--json", "-", "--limit", 1) == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry["kind"] for entry in entries] == ["baseline", "baseline", "int8", "float32"]
    (paired,) = entries[3]["against"]
    assert paired["model"] == "tiny_int8" and abs(paired["difference"]["miou_at.1"]) < 5
    assert 0 < paired["p"]["miou_at.1"] <= 1 and entries[3]["n"] == 2


def test_oace_against_disk(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                           capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(evaluate, "weights_of", lambda model, named: tmp_path)
    monkeypatch.setattr(evaluate, "seen_categories", lambda path: None)
    monkeypatch.setattr(evaluate, "open_embedding", lambda path: lambda image, clicks: image)
    assert run("--dataset", "many", "--json", tmp_path / "a.json", "--oace-taps", 3) == 0
    found = [e["oace_against_disk"] for e in json.loads((tmp_path / "a.json").read_text())]
    assert found[:2] == [None, None] and found[2]["n"] == 4 and found[2]["oace"] == 1
    assert "OACE 1.000 (1.000 to 1.000), plain disk" in capsys.readouterr().out


def test_workers_give_the_same(run: Run, tmp_path: Path) -> None:
    found = []
    for workers in (1, 2):
        out = tmp_path / f"{workers}.json"
        assert run("--dataset", "many", "--json", out, "--workers", workers) == 0
        found.append([entry["miou_at"] | (entry["spread"] or {})
                      for entry in json.loads(out.read_text())])
    assert found[0] == found[1]


def test_interrupted_run_goes_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                 caplog: pytest.LogCaptureFixture) -> None:
    out, seen = tmp_path / "out.json", []
    true = object_trials.measure_group

    def counted(files: Any, *rest: Any) -> Any:
        seen.append(files[0].id)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return true(files, *rest)

    monkeypatch.setattr(object_trials, "measure_group", counted)
    assert run("--dataset", "grabcut", "--json", out) == 130
    journal = tmp_path / "out.json.journal"
    assert journal.is_file() and not out.exists()
    assert run("--dataset", "grabcut", "--json", out) == 0
    assert seen == ["p0", "p1", "p2", "p2"]
    entry = json.loads(out.read_text())[0]
    assert entry["n"] == 3 and entry["harness"]["photographs_resumed"] == 2
    assert not journal.exists()
    assert "2 photographs are done" in caplog.text


def test_list(run: Run, data: Path, capsys: pytest.CaptureFixture[str],
              monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "davis" / "img").mkdir(parents=True)
    assert run("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"3 of 50 objects in {data / 'GrabCut'}" in lines[1]
    assert "berkeley" in lines[2] and "not found" in lines[2]
    assert "broken: the folder" in lines[3] and "many" in lines[-1]
    assert evaluate.main(["--list"]) == 0
    assert "give --data DIR" in capsys.readouterr().out


BAD: dict[str, tuple[tuple[Any, ...], str]] = {
    "no set": ((), "no set to measure on"),
    "unknown set": (("--dataset", "pascal"), "there is no set 'pascal'"),
    "missing folder": (("--dataset", "grabcut", "--data", "nowhere"), "nowhere: no such folder"),
    "twice": (("--dataset", "grabcut", "GrabCut"), "given twice"),
    "no file": (("--dataset", "grabcut", "--model", "no.tflite"), "no.tflite"),
    "no weights": (("--dataset", "grabcut", "--model", "no.safetensors"), "cannot read"),
    "other weights": (("--dataset", "grabcut", "--weights", __file__), "was not made from"),
    "clicks": (("--dataset", "grabcut", "--clicks", 21), "the protocol ends at 20"),
    "more than it takes": (("--dataset", "grabcut", "--clicks", 5), "takes at most 4 taps"),
    "one tap": (("--dataset", "grabcut", "--spread-taps", 1), "needs 2 taps"),
    "one tap more": (("--dataset", "grabcut", "--oace-taps", 1), "needs 2 taps"),
    "no OACE": (("--dataset", "grabcut", "--limit", 1, "--oace-taps", 2), "give --weights"),
    "no workers": (("--dataset", "grabcut", "--workers", 0), "at least 1"),
    "unknown option": (("--dataset", "grabcut", "--zoom"), "unrecognized arguments: --zoom"),
    "no budget": (("--compare", "a", "b"), "--compare needs --budget"),
    "page of a gate": (("--compare", "a", "b", "--budget", "c", "--html", "d"), "leave --model"),
    "budget alone": (("--dataset", "grabcut", "--budget", "b"), "belong to --compare"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(run: Run, tmp_path: Path, said: Callable[[], str], name: str) -> None:
    arguments, words = BAD[name]
    before = set(tmp_path.rglob("*"))
    assert run(*arguments, "--json", tmp_path / "out.json") == 2
    assert words in said()
    assert set(tmp_path.rglob("*")) == before


def _mask_of_another_size(data: Path) -> None:
    write_image(data / "GrabCut" / "boundary_GT" / "p1.png", np.full((9, 9), 255, np.uint8))


def _empty_mask(data: Path) -> None:
    write_image(data / "GrabCut" / "boundary_GT" / "p1.png", np.zeros(SHAPE, np.uint8))


def _no_mask(data: Path) -> None:
    (data / "GrabCut" / "boundary_GT" / "p1.png").unlink()


def _no_folder(data: Path) -> None:
    shutil.rmtree(data / "GrabCut" / "boundary_GT")


@pytest.mark.parametrize("spoil, words", [
    (_mask_of_another_size, "p1.png has 9x9 pixels, its image 32x24"),
    (_empty_mask, "p1 has no object pixel"),
    (_no_mask, "p1.png has no mask in"),
    (_no_folder, "boundary_GT is missing"),
])
def test_bad_sets(run: Run, data: Path, tmp_path: Path, said: Callable[[], str],
                  spoil: Callable[[Path], None], words: str) -> None:
    spoil(data)
    out = tmp_path / "out"
    assert run("--dataset", "grabcut", "--json", out / "a.json", "--html", out / "a.html") == 2
    assert words in said()
    assert not (out / "a.json").exists() and not (out / "a.html").exists()


def test_bad_samples_may_be_left_out(run: Run, data: Path, tmp_path: Path) -> None:
    _empty_mask(data)
    assert run("--dataset", "grabcut", "--json", tmp_path / "a.json", "--skip-bad") == 0
    entry = json.loads((tmp_path / "a.json").read_text())[0]
    assert entry["n"] == 2 and "p1.png" in entry["left_out"][0]


def test_other_contract(run: Run, tmp_path: Path, tiny_int8: Path,
                        said: Callable[[], str]) -> None:
    from export.tflite import model as tflite

    model = tflite.parse(tiny_int8.read_bytes())
    tflite.graph(model)
    model.signatureDefs[0].outputs[0].name = "probabilities"
    model.metadata = []
    other = tmp_path / "other.tflite"
    other.write_bytes(tflite.serialise(model))
    assert run("--model", other, "--dataset", "grabcut") == 2
    assert "is of another interface" in said()
    other.write_bytes(tiny_int8.read_bytes()[:900])
    assert run("--model", other, "--dataset", "grabcut") == 2
    assert "truncated or damaged" in said()


def test_places_that_cannot_be_written(run: Run, tmp_path: Path, said: Callable[[], str]) -> None:
    assert run("--dataset", "grabcut", "--json", tmp_path) == 2
    assert "it is a folder" in said()


# --- the gate


@pytest.fixture
def gate(run: Run, tmp_path: Path, tiny_int8: Path, tiny_float32: Path) -> Run:
    """Return the gate on the tiny files; `drop` and `change` are the budget."""
    def call(*arguments: Any, drop: float = 5.0, change: float = 1.0) -> int:
        budget = tmp_path / "budget.json"
        budget.write_text(json.dumps({"max_drop_points": drop, "min_agreement": 0.5,
                                      "max_change_points": change}))
        return run("--compare", tiny_float32, tiny_int8, "--budget", budget,
                   "--baselines", "none", *arguments)

    return call


def test_gate_passes_and_is_shown(gate: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert gate("--dataset", "grabcut", "--json", tmp_path / "gate.json") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("int8 against float32: passed") and "| pooled | 3 |" in shown
    assert (tmp_path / "summary.md").read_text() == shown
    report = json.loads((tmp_path / "gate.json").read_text())
    assert report["passed"] and report["failures"] == [] and report["change"] is None
    assert gate("--accepted", tmp_path / "gate.json") == 0  # the sets that are there: grabcut
    assert "Since the accepted report" in capsys.readouterr().out


@pytest.mark.parametrize("shift, word", [(-3.0, "rises"), (3.0, "falls")])
def test_gate_against_the_accepted_report(gate: Run, tmp_path: Path, shift: float, word: str,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gate.json"
    assert gate("--dataset", "grabcut", "many", "--json", path) == 0
    report = json.loads(path.read_text())
    report["drift"][1]["int8_miou_at_1"] += shift
    path.write_text(json.dumps(report))
    capsys.readouterr()
    assert gate("--dataset", "grabcut", "many", "--accepted", path) == 1
    assert f"FAILED: many: int8 mIoU@1 {word} from" in capsys.readouterr().out
    assert gate("--dataset", "grabcut", "many", "--accepted", path, change=5) == 0
    assert gate("--dataset", "grabcut", "--accepted", path, change=5) == 1  # a set is missing
    assert "change on many: now None" in capsys.readouterr().out


def test_gate_fails_and_says_what_lost_most(gate: Run, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    true = float_int8.open_pair

    def blind_on_the_right(*args: Any) -> Any:
        pair = true(*args)
        int8: Any = pair.segmenters["int8"]
        good = int8.probability
        int8.probability = lambda image, clicks: good(image, clicks) * (clicks[0].x < 15)
        return pair

    monkeypatch.setattr(float_int8, "open_pair", blind_on_the_right)
    assert gate("--dataset", "grabcut", "--json", tmp_path / "gate.json", drop=1.0) == 1
    shown = capsys.readouterr().out
    assert "FAILED: the pooled mIoU@1 drops by" in shown and " grabcut p1: " in shown
    report = json.loads((tmp_path / "gate.json").read_text())
    assert not report["passed"] and len(report["failures"]) == 1
    lost = report["most_lost"][0]
    assert lost["id"] == "p1" and lost["int8"] == 0 and lost["drop_points"] == lost["float"]
    assert lost["agreement"] == 0


def test_bad_gate(gate: Run, run: Run, data: Path, tmp_path: Path, tiny_int8: Path,
                  tiny_float32: Path, said: Callable[[], str]) -> None:
    budget = tmp_path / "b.json"
    budget.write_text('{"max_drop_points": 1, "min_agreement": 0.9}')
    assert run("--compare", tiny_int8, tiny_float32, "--budget", budget) == 2
    assert "is the int8 file; --compare takes FLOAT, then INT8" in said()
    assert gate("--accepted", budget) == 2
    assert "no report of --compare" in said()
    _empty_mask(data)
    assert gate() == 2
    assert "no object pixel" in said()
    shutil.rmtree(data / "GrabCut")
    assert gate() == 2
    assert "no set to measure on" in said()


def test_errors_of_parsing_are_usage_errors() -> None:
    with pytest.raises(UsageError):
        evaluate.parse_args(["--clicks", "many"])


def _entries(out: Path) -> list[dict[str, Any]]:
    return [entry for entry in json.loads(out.read_text()) if entry["kind"] != "baseline"]


def test_crumbs_are_in_every_table(run: Run, tmp_path: Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--dataset", "grabcut", "many", "--json", tmp_path / "a.json") == 0
    assert capsys.readouterr().out.count("  crumbs  ") == 2
    for entry in json.loads((tmp_path / "a.json").read_text()):
        assert set(entry["crumbs"]) == {"share", "pieces", "holes"}
        assert entry["crumbs"]["share"] is not None and "crumbs.share" in entry["ci95"]
        assert entry["boundary_iou_at"]["1"] is not None
        assert entry["corrections"] is None and entry["alternatives"] is None
        assert entry["gesture"] == "tap" and entry["tidy"] is False


@pytest.mark.parametrize("kind", ["box", "box_tap", "extreme", "drag", "scribble"])
def test_gestures(run: Run, tiny_multi: Path, tmp_path: Path, kind: str) -> None:
    clicks = 1 if kind == "extreme" else 2
    assert run("--model", tiny_multi, "--dataset", "many", "--gesture", kind, "--clicks", clicks,
               "--json", tmp_path / "a.json", "--tidy") == 0
    (entry,) = json.loads((tmp_path / "a.json").read_text())  # without baselines
    assert entry["gesture"] == kind and entry["tidy"] is True and entry["spread_taps"] == 0
    assert entry["click_spread"] is None and entry["own_minus_other"] is not None
    tapped = kind in ("box_tap", "drag", "scribble")
    assert (entry["miou_at"]["1"] > 0) is tapped  # its graph draws taps alone
    if clicks == 2:
        assert entry["miou_at"]["2"] > 0
    several = entry["alternatives"]
    assert several["n"] == 4 and several["best"] > several["chosen"] == several["mask"] or tapped


def test_gestures_that_are_not_known(run: Run, said: Callable[[], str], tiny_multi: Path) -> None:
    assert run("--dataset", "many", "--gesture", "box") == 2
    assert "was not trained on box; it knows background, tap" in said()
    assert run("--model", tiny_multi, "--dataset", "many", "--gesture", "extreme") == 2
    assert "takes 4 rows, the gesture extreme and its clicks need 6" in said()
    for more in ("--corrections", "--html"):
        out = [] if more == "--corrections" else ["x.html"]
        assert run("--dataset", "many", "--gesture", "scribble", more, *out) == 2
        assert "leave --gesture out" in said()


def test_corrections(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--dataset", "many", "--corrections", "--json", tmp_path / "a.json",
               "--html", tmp_path / "a.html") == 0
    (entry,) = _entries(tmp_path / "a.json")
    found = entry["corrections"]
    assert found["again"]["taps"] == 20 and found["again"]["obeyed"] == 100
    assert found["missed"]["obeyed"] > 90 and found["missed"]["iou_change"] > 0
    text = capsys.readouterr().out
    assert "object taps on what was missed are inside afterwards: " in text
    assert "what was missed are inside" in (tmp_path / "a.html").read_text()


def test_tidy_changes_crumbs_alone(run: Run, tmp_path: Path) -> None:
    for name, more in (("a", []), ("b", ["--tidy"])):
        assert run("--dataset", "grabcut", "--json", tmp_path / f"{name}.json", *more) == 0
    (plain,), (tidy,) = (_entries(tmp_path / f"{name}.json") for name in "ab")
    assert tidy["miou_at"] == plain["miou_at"] and tidy["crumbs"]["share"] == 0


@pytest.mark.parametrize("option", ["--json", "--html", "--journal"])
def test_no_input_is_written_over(run: Run, data: Path, tiny_int8: Path, tmp_path: Path,
                                  said: Callable[[], str], option: str) -> None:
    model = shutil.copy(tiny_int8, tmp_path / "model.tflite")
    (tmp_path / "link").symlink_to(model)
    for read in (data / "val" / "many" / "instances.json", tmp_path / "link",
                 data / "val" / "many" / "images" / "1.png"):
        before = read.read_bytes()
        assert run("--dataset", "many", "--model", model, option, read) == 2
        assert "is read too" in said() and read.read_bytes() == before
    assert run("--dataset", "many", "--json", tmp_path / "x", "--html", tmp_path / "x") == 2
    assert "two outputs" in said()


def test_notes_are_no_journal(run: Run, tmp_path: Path, said: Callable[[], str]) -> None:
    (tmp_path / "notes").write_text("mine")
    assert run("--dataset", "many", "--journal", tmp_path / "notes") == 2
    assert "is no journal" in said() and (tmp_path / "notes").read_text() == "mine"
