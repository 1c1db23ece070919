"""The command from end to end on the tiny network, and what it refuses."""
from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from export import build, quantize
from export.calibration import images as calibration_images
from export.interfaces import build as interfaces
from export.interfaces import files as interface_files
from export.quantization import agreement as agreement_module
from export.quantization import recipe
from export.tflite import memory
from oace_tf.runtime.model import open_model
from tests.drawn_photograph import drawn_photograph
from tests.export.conftest import SIZE, liven

Run = Callable[..., int]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a weights file of the tiny pair, untrained but not dead."""
    import keras

    from oace_tf.config import NetworkConfig
    from oace_tf.networks.pair import build_pair
    from oace_tf.networks.weights import save_weights

    keras.utils.set_random_seed(4)
    pair = build_pair(NetworkConfig.preset("tiny"), SIZE)
    liven(pair, 4)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, pair, {"licence": "Apache-2.0, for tests"})
    return path


@pytest.fixture(scope="module")
def convert_once() -> Callable[..., Any]:
    """Return what stands in for `workers.apart`: in this process, each weights file once."""
    kept: dict[Any, tuple[Any, bytes]] = {}

    def call(function: Callable[..., Any], source: Path, *args: Any) -> Any:
        out = args[-1]
        key = (source.read_bytes(), *args[:-1])
        if key not in kept:
            kept[key] = function(source, *args), out.read_bytes()
        out.write_bytes(kept[key][1])
        return kept[key][0]

    return call


@pytest.fixture
def run(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    convert_once: Callable[..., Any],
) -> Run:
    """Return the command with what every test needs; everything stays in this process."""
    monkeypatch.setattr(build, "apart", convert_once)
    monkeypatch.setattr(memory, "apart", lambda function, *args: function(*args))
    monkeypatch.delenv("OACE_DATA", raising=False)
    monkeypatch.setattr(calibration_images, "CACHE", tmp_path / "cache")

    def call(*arguments: Any) -> int:
        fixed = ["--int8", "--size", SIZE, "--threads", 1, "--out", tmp_path / "out",
                 "--coco-host", "http://127.0.0.1:9", "--max-points", 5]
        given = [] if "--weights" in arguments else ["--weights", weights]
        return quantize.main([str(word) for word in [*fixed, *given, *arguments]])

    return call


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Return a folder of data sets: grabcut of two drawn objects, one unreadable ecssd image."""
    root = tmp_path / "data"
    for name, folders in (("GrabCut", ("data_GT", "boundary_GT")), ("ecssd", ("img", "gt"))):
        for folder in folders:
            (root / name / folder).mkdir(parents=True)
        for number in range(2):
            picture, clicks = drawn_photograph(np.random.default_rng(number))
            mask = np.zeros(picture.shape[:2], np.uint8)
            cv2.circle(mask, (int(clicks[0].x), int(clicks[0].y)), 30, 255, -1)
            cv2.imwrite(str(root / name / folders[0] / f"{number}.jpg"), picture)
            cv2.imwrite(str(root / name / folders[1] / f"{number}.png"), mask)
    (root / "ecssd" / "img" / "1.jpg").write_bytes(b"no picture")
    return root


def budget(path: Path, drop: float, agreement: float) -> Path:
    path.write_text(json.dumps({"max_drop_points": drop, "min_agreement": agreement}))
    return path


@pytest.mark.slow
def test_without_labels(
    run: Run, weights: Path, tmp_path: Path, folder: Callable[..., Path],
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    images = folder("photographs", 4)
    (images / "broken.png").write_bytes(b"no picture")
    lax = budget(tmp_path / "lax.json", 100, 0)
    assert run("--images", images, "--budget", lax) == 0
    shown = capfd.readouterr()
    assert "NO LABELLED SET WAS AT HAND" in shown.out and "1 skipped" in shown.out
    assert re.search(r"^in the package +another file$", shown.out, re.M)
    assert re.search(r"^processor +\S.*int8", shown.out, re.M)
    assert list(dict.fromkeys(re.findall(r"(\d)/5 (\w+)", caplog.text))) == [
        ("1", "converting"), ("2", "calibrating"), ("3", "quantizing"), ("4", "verifying"),
        ("5", "timing")]
    assert "NOTE: left out:" in shown.out and "broken.png" in shown.out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["passed"] is True and report["failures"] == []
    assert report["calibration"]["images"] == 4
    assert report["calibration"]["source"] == "folder photographs"
    assert "at random" in report["calibration"]["taps"]
    assert len(report["calibration"]["sha256"]) == 64
    assert report["drift"] == [] and report["agreement"]["n"] == 4
    assert set(report["agreement"]) >= {"n", "mean_iou", "worst"}
    assert report["operators_outside_delegate"] == ["QUANTIZE", "QUANTIZE"]
    assert report["weights"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert report["params"] > 1000 and report["gmac"] >= 0
    for key in ("host_latency_ms", "host_load_ms"):
        assert report[key]["int8"] > 0 and report[key]["float32"] > 0
    assert report["versions"]["ai-edge-litert"]
    for kind in ("int8", "float32"):
        path = tmp_path / "out" / f"oace_{kind}.tflite"
        assert report[kind]["size_mb"] == pytest.approx(path.stat().st_size / 1e6, abs=1e-3)
        assert report[kind]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        model = open_model(path)
        assert model.sealed and model.max_points == 5 and model.click_channels == 2
        assert model.metadata["weights_sha256"] == report["weights"]["sha256"]
        assert model.metadata["licence"] == "Apache-2.0, for tests"
    assert report["recipe"] == recipe.DEFAULT and report["lowest_runtime"]["version"] == "2.2.0"
    assert [row["operator"] for row in report["outside_cost"]] == ["QUANTIZE", "QUANTIZE"]
    assert report["accelerators"]["qualcomm_npu"]["all"] is True
    assert report["memory"]["int8"]["arena_mb"] < report["memory"]["float32"]["arena_mb"]
    assert report["memory"]["conversion_peak_mb"] > 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "oace_float32.tflite", "oace_int8.tflite", "report.json"]
    # The report is enough to build the same files again; another recipe gives others.
    assert run("--images", images, "--check", tmp_path / "out" / "report.json") == 0
    assert "int8     the same" in capfd.readouterr().out
    (tmp_path / "out" / "report.json").write_text(json.dumps({**report, "recipe": "plain"}))
    assert run("--images", images, "--check", tmp_path / "out" / "report.json") == 1
    assert "int8     ANOTHER FILE" in capfd.readouterr().out


@pytest.mark.slow
def test_half_precision_and_analysis(
    run: Run, tmp_path: Path, folder: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    lax = budget(tmp_path / "lax.json", 100, 0)
    assert run("--images", folder("photographs", 2), "--budget", lax, "--float16",
               "--analyze", 1) == 0
    out = tmp_path / "out"
    report = json.loads((out / "report.json").read_text())
    assert report["float16"]["agreement"]["mean_iou"] > 0.99
    assert report["float16"]["sha256"] == hashlib.sha256(
        (out / "oace_float16.tflite").read_bytes()).hexdigest()
    assert open_model(out / "oace_float16.tflite").quantized is False
    assert report["analysis"]["worst"]["snr_db"] < 60
    found = json.loads((out / "analysis.json").read_text())
    assert "not weighed" in found["note"] and len(found["tensors"]) > 40
    assert (out / "analysis.png").stat().st_size > 1000
    assert "signal to noise on 2 photographs" in capfd.readouterr().out


@pytest.mark.slow
def test_other_interfaces(
    run: Run, tmp_path: Path, folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interface_files, "apart", lambda function, *args: function(*args))
    lax = budget(tmp_path / "lax.json", 100, 0)
    asked = [word for name in interfaces.NAMES for word in ("--interface", name)]
    assert run("--images", folder("photographs", 3), "--budget", lax, *asked) == 0
    out = tmp_path / "out"
    report = json.loads((out / "report.json").read_text())
    assert [entry["interface"] for entry in report["interfaces"]] == [*interfaces.NAMES[1:]]
    assert sorted(path.name for path in out.iterdir()) == sorted([
        "oace_float32.tflite", "oace_int8.tflite", "report.json", *interface_files.FILES.values()])
    for entry in report["interfaces"]:
        path = out / interface_files.FILES[entry["interface"]]
        assert entry["path"] == str(path)
        if entry["interface"] in interface_files.OF_FLOAT:
            assert entry["mask_difference"]["half_precision"] <= interface_files.TOLERANCE
            assert entry["mask_difference"]["float32_worst_iou"] > 0.99
        else:
            assert entry["mask_bytes"]["differing"] == 0
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_over_budget_writes_all_and_fails(
    run: Run, tmp_path: Path, folder: Callable[..., Path], labelled: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    images = folder("photographs", 3)
    strict = budget(tmp_path / "strict.json", 0, 1)
    assert run("--images", images, "--data", labelled, "--budget", strict) == 1
    report = json.loads((tmp_path / "out" / "report.failed.json").read_text())
    assert report["passed"] is False and report["failures"]
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["oace_float32.failed.tflite", "oace_int8.failed.tflite", "report.failed.json"]
    assert report["int8"]["path"] == str(tmp_path / "out" / "oace_int8.failed.tflite")
    assert [row["dataset"] for row in report["drift"]] == ["grabcut", "ecssd", "pooled"]
    assert [row["n"] for row in report["drift"]] == [2, 1, 3]
    assert report["agreement"]["n"] == 3
    assert set(report["baselines"]) == {"disk", "opencv_grabcut"}
    assert any("1.jpg" in note for note in report["notes"])
    assert any("coco_mval" in note for note in report["notes"])
    shown = capfd.readouterr()
    assert "not passed" in shown.out and "FAILED" in shown.out and "Traceback" not in shown.err
    first = (tmp_path / "out" / "oace_int8.failed.tflite").read_bytes()
    # The same inputs give the same bytes; what passes lies beside what failed.
    lax = budget(tmp_path / "lax.json", 100, 0)
    assert run("--images", images, "--budget", lax) == 0
    assert (tmp_path / "out" / "oace_int8.tflite").read_bytes() == first
    # And what fails later leaves what has passed as it is.
    passed = (tmp_path / "out" / "report.json").read_bytes()
    assert run("--images", images, "--data", labelled, "--budget", strict) == 1
    assert (tmp_path / "out" / "report.json").read_bytes() == passed


def test_recorded_statistics(
    run: Run, weights: Path, tmp_path: Path, folder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    place = calibration_images.statistics_path(digest, tmp_path)
    assert place.name == f"statistics-{digest[:12]}.json"
    monkeypatch.setattr(calibration_images, "statistics_path", lambda _: place)
    assert run() == 2  # neither images nor statistics
    line = capfd.readouterr().err.splitlines()[-1]
    assert "ConnectionError" in line and "--images DIR" in line
    lax = budget(tmp_path / "lax.json", 100, 0)
    images = folder("photographs", 3)
    assert run("--images", images, "--budget", lax, "--record-statistics") == 0
    made = (tmp_path / "out" / "oace_int8.tflite").read_bytes()
    shutil.rmtree(tmp_path / "out")
    monkeypatch.setattr(agreement_module, "SYNTHETIC", 3)
    assert run("--budget", lax) == 0
    assert (tmp_path / "out" / "oace_int8.tflite").read_bytes() == made
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["calibration"]["source"].startswith("statistics recorded earlier")
    assert report["calibration"]["images"] == 3 and report["agreement"]["n"] == 3
    shown = capfd.readouterr().out
    assert "NO PHOTOGRAPH WAS AT HAND" in shown and "NO LABELLED SET" in shown
    assert "4/4 timing" in caplog.text and "2/4 quantizing" in caplog.text


def refused(run: Run, capfd: pytest.CaptureFixture[str], out: Path, *arguments: Any) -> str:
    """Run what must be refused; return the one line. Good output stays."""
    out.mkdir(exist_ok=True)
    (out / "oace_int8.tflite").write_bytes(b"earlier")
    assert run(*arguments) == 2
    shown = capfd.readouterr()
    lines = [line for line in shown.err.splitlines() if "error:" in line]
    assert shown.out == "" and len(lines) == 1 and "Traceback" not in shown.err
    assert [p.name for p in out.iterdir()] == ["oace_int8.tflite"]
    assert (out / "oace_int8.tflite").read_bytes() == b"earlier"
    return lines[0]


def test_bad_input(
    run: Run, weights: Path, tmp_path: Path, folder: Callable[..., Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    images, out = folder("photographs", 2), tmp_path / "out"
    content = weights.read_bytes()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(content[: len(content) // 2])
    flipped = tmp_path / "flipped.safetensors"
    flipped.write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"no weights at all")
    unknown = tmp_path / "budget.json"
    unknown.write_text('{"max_drop_points": 0.5, "min_agreement": 0.93, "max_drop": 1}')
    (tmp_path / "empty").mkdir()
    broken = folder("broken", 1)
    (broken / "instances.json").write_text('{"images": 3}')
    for arguments, word in [
        (("--weights", tmp_path / "none.safetensors"), "no such weights"),
        (("--weights", cut), "cut.safetensors"),
        (("--weights", flipped), "flipped.safetensors"),
        (("--weights", wrong), "wrong.safetensors"),
        (("--trunk", "hrnet"), "hrnet"),  # the file's pair is another
        (("--images", tmp_path / "empty"), "empty"),
        (("--images", tmp_path / "nowhere"), "nowhere"),
        (("--images", broken), "instances.json"),
        (("--budget", unknown), "max_drop"),
        (("--budget", tmp_path / "none.json"), "none.json"),
        (("--data", tmp_path / "nowhere"), "nowhere"),
        (("--threads", 0), "--threads"),
        (("--max-points", 0), "--max-points"),
        (("--seed", -1), "--seed"),
        (("--interface", "encoder-decoder"), "of a network of gestures"),
    ]:
        given = arguments if "--images" in arguments else ("--images", images, *arguments)
        assert word in refused(run, capfd, out, *given)
    # Damaged weights have no statistics, but that is not what is wrong with them.
    assert "flipped.safetensors" in refused(run, capfd, out, "--weights", flipped)


def test_trunk_without_weights(capfd: pytest.CaptureFixture[str]) -> None:
    assert quantize.main(["--int8", "--trunk", "hrnet"]) == 2
    assert "no weights of hrnet are shipped" in capfd.readouterr().err
    assert quantize.main([]) == 2
    assert "--int8" in capfd.readouterr().err


def test_unwritable_output(
    run: Run, tmp_path: Path, folder: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    images = folder("photographs", 2)
    assert run("--images", images, "--out", tmp_path / "file") == 2
    assert "cannot be written" in capfd.readouterr().err


@pytest.mark.slow
def test_damaged_weights_fail_the_gate(
    run: Run, weights: Path, tmp_path: Path, labelled: Path, folder: Callable[..., Path]
) -> None:
    """Weights that find nothing: float and int8 file agree perfectly, and fail."""
    from oace_tf.networks.weights import build_from_weights, save_weights

    pair, record = build_from_weights(weights, SIZE)
    head = pair.msfnet.get_layer("msfnet.head.mask")
    head.kernel.assign(0.01 * head.kernel.value)
    head.bias.assign([-3.0])
    damaged = tmp_path / "damaged.safetensors"
    save_weights(damaged, pair, record)
    images = folder("photographs", 3)
    assert run("--weights", damaged, "--images", images, "--data", labelled) == 1
    report = json.loads((tmp_path / "out" / "report.failed.json").read_text())
    assert report["passed"] is False
    assert any("damaged or untrained weights" in failure for failure in report["failures"])


@pytest.mark.slow
def test_kernels_of_zero_do_not_stop_the_command(
    run: Run, weights: Path, tmp_path: Path, folder: Callable[..., Path]
) -> None:
    """Biases without a kernel to give them a step: the file is made, and the gate judges it."""
    from oace_tf.networks.weights import build_from_weights, save_weights

    pair, record = build_from_weights(weights, SIZE)
    for layer in pair.msfnet.layers:
        if "kernel" in [variable.name for variable in layer.weights]:
            layer.kernel.assign(np.zeros(layer.kernel.shape))
    pair.msfnet.get_layer("msfnet.head.mask").bias.assign([-3.0])
    zero = tmp_path / "zero.safetensors"
    save_weights(zero, pair, record)
    assert run("--weights", zero, "--images", folder("photographs", 3)) == 1
    report = json.loads((tmp_path / "out" / "report.failed.json").read_text())
    assert report["failures"] == ["both files give an empty mask on every picture: "
                                  "damaged weights?"]


@pytest.mark.slow
def test_in_processes_of_their_own(
    weights: Path, tmp_path: Path, folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the command runs: conversion, calibration and verification in spawned processes."""
    monkeypatch.delenv("OACE_DATA", raising=False)
    images = folder("photographs", 4)
    files = []
    for threads in (1, 2):
        out = tmp_path / str(threads)
        code = quantize.main([str(word) for word in (
            "--int8", "--size", SIZE, "--threads", threads, "--out", out, "--images", images,
            "--weights", weights, "--budget", budget(tmp_path / "lax.json", 100, 0))])
        assert code == 0
        files.append([(out / f"oace_{kind}.tflite").read_bytes() for kind in ("int8", "float32")])
    assert files[0] == files[1]


def test_folders_of_killed_builds_are_cleared(tmp_path: Path) -> None:
    old, young = tmp_path / ".making-old", tmp_path / ".making-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "half.tflite").write_bytes(b"half")
    os.utime(old, (1, 1))
    with build.staging(tmp_path) as folder:
        assert not old.exists() and young.is_dir() and folder.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [young.name]
