"""The score command, and what the shipped weights say of themselves."""
import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from oace_tf import score
from oace_tf.config import NetworkConfig
from oace_tf.fileio import sha256_file
from oace_tf.networks.pair import build_pair
from oace_tf.networks.weights import (
    get_arrays,
    read_arrays,
    read_record,
    save_weights,
    set_arrays,
)
from oace_tf.runtime.tflite_reader import read_facts

SHIPPED = Path(__file__).parents[2] / "oace_tf" / "weights"
WEIGHTS = SHIPPED / "one_trunk.safetensors"


def write_sets(root: Path) -> None:
    """Write two photographs with a bright square into each labelled set."""
    layouts = {"GrabCut": ("data_GT", "boundary_GT"), "val/ecssd": ("img", "gt"),
               "val/coco_mval": ("img", "gt")}
    for name, (images, masks) in layouts.items():
        for folder in (images, masks):
            (root / name / folder).mkdir(parents=True)
        for index in range(2):
            mask = np.zeros((60, 80), np.uint8)
            mask[10 + index:40, 20:50] = 255
            image = np.random.default_rng(index).integers(0, 90, (60, 80, 3), np.uint8)
            image[mask > 0] += 150
            assert cv2.imwrite(str(root / name / images / f"{index}.png"), image)
            assert cv2.imwrite(str(root / name / masks / f"{index}.png"), mask)


@pytest.fixture(params=(512, 256), ids="frame{}".format)
def weights(request, tmp_path):
    # The collapsed prior: one vector everywhere, whatever the photograph.
    config = dataclasses.replace(NetworkConfig.preset("tiny"), frame=request.param)
    pair = build_pair(config, 64)
    collapsed = {name: np.zeros_like(array) if name == "prior.decoder.embed.weight"
                 else array + 0.3 if name == "prior.decoder.embed.bias" else array
                 for name, array in get_arrays(pair).items()}
    set_arrays(pair, collapsed, "collapsed")
    path = tmp_path / "weights.safetensors"
    save_weights(path, pair, {"steps": 3})
    return path


def test_scores_are_written_into_the_record(tmp_path, weights):
    write_sets(tmp_path)
    out = tmp_path / "scored.safetensors"
    assert score.main([str(weights), "--data", str(tmp_path), "--out", str(out), "--limit", "2",
                       "--licence", "free"]) == 0
    _, record = read_record(out)
    assert (record["steps"], record["licence"]) == (3, "free")
    for name in ("grabcut", "ecssd", "coco_mval"):
        assert record["scores"]["miou_at_1"][name]["n"] == 2
        assert record["scores"]["within_pass_auc"][name]["n"] == 2
    pooled = record["scores"]["within_pass_auc"]["validation"]
    assert pooled["n"] == 4  # GrabCut is for reporting only
    assert pooled["auc"] == pytest.approx(0.5, abs=1e-6)
    assert not pooled["passed"]
    _, _, before = read_arrays(weights)
    _, _, after = read_arrays(out)
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name])


def test_sets_are_chosen_by_name(tmp_path, weights, capsys):
    write_sets(tmp_path)
    arguments = [str(weights), "--data", str(tmp_path), "--limit", "1"]
    assert score.main([*arguments, "--dataset", "grabcut"]) == 0
    said = capsys.readouterr().out
    assert "miou_at_1 grabcut: n 1" in said and "ecssd" not in said and "validation" not in said
    assert score.main([*arguments, "--dataset", "grabcut", "nonesuch"]) == 2
    error = capsys.readouterr().err
    assert "there is no set 'nonesuch' in" in error and error.count("\n") == 1


def test_bad_input_is_one_line(tmp_path, weights, capsys, monkeypatch):
    monkeypatch.delenv("OACE_DATA", raising=False)
    assert score.main([str(weights)]) == 2
    assert "OACE_DATA" in capsys.readouterr().err
    assert score.main([str(tmp_path / "none.safetensors"), "--data", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "none.safetensors" in error and error.count("\n") == 1


def test_the_shipped_prior_is_no_collapsed_one():
    _, record = read_record(WEIGHTS)
    pooled = record["scores"]["within_pass_auc"]["validation"]
    assert pooled["n"] == 360
    assert pooled["auc"] > pooled["auc_minus_distance"]
    assert pooled["ci95"][0] > 0
    assert pooled["passed"]


def test_the_shipped_record_is_complete():
    config, record = read_record(WEIGHTS)
    assert config == NetworkConfig.preset("two_trunks")
    assert {"data", "steps", "seed", "scores", "licence", "settings", "start"} <= set(record)
    assert record["scores"]["miou_at_1"]["grabcut"]["n"] == 50
    assert record["scores"]["miou_at_1"]["grabcut"]["miou_at_1"] >= 80
    assert {row["name"] for row in record["data"]} >= {"coco", "duts"}


def test_the_shipped_int8_file_is_of_the_shipped_weights():
    path = SHIPPED / "oace_int8.tflite"
    facts = read_facts(path.read_bytes(), path.name)
    assert facts.metadata["weights_sha256"] == sha256_file(WEIGHTS)


@pytest.mark.slow
@pytest.mark.data
def test_the_shipped_prior_measured_again(oace_data):
    from oace_tf.evaluation.oace_auc import summarise, within_pass_auc
    from oace_tf.networks.weights import build_gestures_from_weights
    from oace_tf.samples.layouts import list_samples

    networks, record = build_gestures_from_weights(WEIGHTS, batch=1)
    files = list_samples("ecssd", oace_data)[:12]
    records = within_pass_auc(score._forward(networks).oace, (file.read() for file in files),
                              np.random.default_rng(0), size=networks.config.network_side(512))
    result = summarise(records, np.random.default_rng(0))
    # Of 200 objects the record has the mean; over twelve it scatters by about 0.03.
    assert result["auc"] == pytest.approx(
        record["scores"]["within_pass_auc"]["ecssd"]["auc"], abs=0.1)
    assert result["auc"] > result["auc_minus_distance"]
    arrays = get_arrays(networks)
    assert all(np.isfinite(array).all() for array in arrays.values())
