"""Whole ports: published networks with random weights, PyTorch -> ONNX -> Keras.

Golden graphs and outputs: tests/golden/port/make.py (PyTorch, run once on published code).
"""
from __future__ import annotations

import argparse
import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export import port
from export.porting import parity, parity_inputs, port_network, tensor_map
from export.porting.checkpoint import Checkpoint, read_checkpoint
from oace_tf.errors import UsageError
from tests.golden.port import refill
from tests.golden.port.weights import inputs

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

# float32 on both sides, sums in another order; measured: 3e-6 of the largest value
TOLERANCE = 1e-4
TENSORS = {"hrnet18": 1631, "hrnet18s": 826, "ritm_hrnet18": 1581, "ritm_hrnet18s": 776}
RESIZES = {"hrnet18": "nearest", "hrnet18s": "nearest", "ritm_hrnet18": "aligned",
           "ritm_hrnet18s": "aligned"}


def arguments(network: str, **changed: Any) -> argparse.Namespace:
    args = port.parse_args(["model.onnx", "--network", network, "--out", "x.safetensors"])
    return argparse.Namespace(**{**vars(args), **changed})


@cache
def checkpoint(key: str, folder: Path) -> Checkpoint:
    path = folder / f"{key}.onnx"
    path.write_bytes(refill.graph(key).SerializeToString())
    return read_checkpoint(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@cache
def made_of(key: str, folder: Path) -> port_network.Made:
    source = checkpoint(key, folder)
    ported = port_network.describe(arguments(key), source, source)
    return port_network.port(ported, source, (), source)


@pytest.fixture
def small(folder: Path) -> port_network.Made:
    """RITM-HRNet18s, filled; whoever changes its weights calls `restore`."""
    return made_of("ritm_hrnet18s", folder)


def restore(made: port_network.Made, source: Checkpoint) -> None:
    rows, filled = tensor_map.map_tensors(made.model, source)
    tensor_map.fill(made.model, rows, filled)


def stages_of(made: port_network.Made, source: Checkpoint) -> dict[str, parity.StageRow]:
    """The proof on one random input."""
    scenes = parity_inputs.scenes(parity_inputs.graph_side(source), 3, 1, [])
    rows, _ = tensor_map.map_tensors(made.model, source, ["*"])
    found = parity.prove(made.model, source, rows,
                         parity_inputs.make_feeds(made.ported, made.model, source, scenes))
    return {row.stage: row for row in found}


@pytest.mark.slow
@pytest.mark.parametrize("key", TENSORS)
def test_published_networks_go_over_whole(key: str, folder: Path) -> None:
    made, source = made_of(key, folder), checkpoint(key, folder)
    assert made.counts == {"ported": TENSORS[key], "missing": 0, "extra": 0, "wrong shape": 0}
    assert made.ported.resize == RESIZES[key]
    assert made.ported.classifier == (not key.startswith("ritm"))

    values = [value.transpose(0, 2, 3, 1) for value in inputs(key)]
    if len(values) == 3:  # RITM: our photograph is (byte - 128) / 128, theirs byte / 255
        values[0] = (values[0].astype(np.float64) * 255 - 128) / 128
    results = [np.asarray(value) for value in made.model(
        [value.astype(np.float32) for value in values] if len(values) > 1 else values[0])]
    golden = next(iter(refill.outputs(key).values()))
    ours = results[0].transpose(0, 3, 1, 2) if len(values) > 1 else results[-1]
    assert ours.shape == golden.shape
    assert np.abs(ours - golden).max() < TOLERANCE
    assert golden.std() > 0.04  # no constant

    for stage in stages_of(made, source).values():
        assert stage.deviation < TOLERANCE, stage


def test_every_tensor_is_in_the_report(small: port_network.Made) -> None:
    rows = {row.name: row for row in small.rows if row.state == "ported"}
    assert len(rows) == TENSORS["ritm_hrnet18s"]
    row = rows["feature_extractor.layer1.0.conv3.weight"]
    assert (row.shape_before, row.shape_after) == ((256, 64, 1, 1), (1, 1, 64, 256))
    for row in rows.values():  # the same numbers, elsewhere
        assert row.source == f"model.{row.name}"
        assert row.before == row.after and row.before is not None


# --- controls: what must be caught, and named


def changed(source: Checkpoint, **tensors: Any) -> Checkpoint:
    """The checkpoint with tensors replaced (None: taken out)."""
    kept = {name: value for name, value in {**source.tensors, **tensors}.items()
            if value is not None}
    return dataclasses.replace(source, tensors=kept)


BN = "model.feature_extractor.stage2.0.branches.1.0.bn2"
SQUARE = "feature_extractor.layer1.0.conv1"  # 64 x 64


def test_a_renamed_tensor_is_missing_and_extra(small: port_network.Made, folder: Path) -> None:
    source = checkpoint("ritm_hrnet18s", folder)
    renamed = changed(source, **{f"{BN}.weight": None, f"{BN}.gamma": source.tensors[
        f"{BN}.weight"]})
    rows, _ = tensor_map.map_tensors(small.model, renamed)
    with pytest.raises(UsageError, match=rf"1 missing \({BN[6:]}.weight\); 1 extra \({BN}.gamma\)"):
        tensor_map.refuse_faults(rows, renamed)
    rows, filled = tensor_map.map_tensors(small.model, renamed, ["*.bn2.weight", "*.gamma"])
    tensor_map.refuse_faults(rows, renamed)
    counts = tensor_map.counts(rows)
    assert counts["missing, allowed"] == counts["extra, allowed"] == 1
    assert len(filled) == TENSORS["ritm_hrnet18s"] - 1


def test_dropped_statistics_are_named_with_the_flag(small: port_network.Made, folder: Path) -> None:
    source = checkpoint("ritm_hrnet18s", folder)
    dropped = changed(source, **{f"{BN}.running_mean": None, f"{BN}.running_var": None})
    rows, _ = tensor_map.map_tensors(small.model, dropped)
    with pytest.raises(UsageError, match=rf"2 missing \({BN[6:]}.running_mean, .*TrainingMode"):
        tensor_map.refuse_faults(rows, dropped)


def test_a_transposed_tensor_of_another_shape_is_named(
    small: port_network.Made, folder: Path
) -> None:
    source = checkpoint("ritm_hrnet18s", folder)
    name = "model.feature_extractor.layer1.0.conv3.weight"
    turned = changed(source, **{name: source.tensors[name].transpose(1, 0, 2, 3)})
    rows, _ = tensor_map.map_tensors(small.model, turned)
    with pytest.raises(UsageError, match=r"wrong shape \(model.feature_extractor.layer1.0.conv3"):
        tensor_map.refuse_faults(rows, turned)


def test_tensors_unlike_the_proof_are_named(small: port_network.Made, folder: Path) -> None:
    source = checkpoint("ritm_hrnet18s", folder)
    first, second = (f"model.feature_extractor.stage4.1.branches.3.1.conv{k}.weight"
                     for k in (1, 2))
    swapped = changed(source, **{first: source.tensors[second], second: source.tensors[first]})
    rows, filled = tensor_map.map_tensors(small.model, swapped)
    tensor_map.refuse_faults(rows, swapped)  # names and shapes are right
    with pytest.raises(UsageError, match=rf"tensor {first[6:]} and 1 more is unlike"):
        port_network._same_tensors(small.model, filled, source, ())


@pytest.mark.slow
@pytest.mark.parametrize(("control", "stage", "layer"), (
    ("swapped", "feature_extractor.stage4.1", "stage4.1.branches.3.1.conv1"),
    ("transposed", "feature_extractor.layer1.0", "layer1.0.conv1"),
    ("statistics", "feature_extractor.stage2.0", "stage2.0.branches.1.0.bn2"),
    ("padding", "feature_extractor.transition1.1", "transition1.1.0.0"),
    ("resize", "feature_extractor.stage3.0", ""),
))
def test_the_proof_names_the_stage(control: str, stage: str, layer: str, small: port_network.Made,
                                   folder: Path) -> None:
    source = checkpoint("ritm_hrnet18s", folder)
    rows, filled = tensor_map.map_tensors(small.model, source)
    graph = onnx.ModelProto()
    graph.CopyFrom(source.graph)
    weight = f"feature_extractor.{layer}.weight"
    if control == "swapped":
        other = weight.replace("conv1", "conv2")
        filled[weight], filled[other] = filled[other], filled[weight]
    elif control == "transposed":
        filled[weight] = filled[weight].transpose(0, 1, 3, 2)
    elif control == "statistics":
        name = f"feature_extractor.{layer}.running_var"
        filled[name] = np.ones_like(filled[name])
    elif control == "padding":
        node = next(node for node in graph.graph.node if f"model.{weight}" in node.input)
        pads = next(entry for entry in node.attribute if entry.name == "pads")
        del pads.ints[:]
        pads.ints.extend([0, 0, 2, 2])
    else:
        for entry in (entry for node in graph.graph.node if node.op_type == "Resize"
                      for entry in node.attribute if entry.name.startswith("coordinate")):
            entry.s = b"half_pixel"
    tensor_map.fill(small.model, rows, filled)
    try:
        found = stages_of(small, dataclasses.replace(source, graph=graph))
    finally:
        restore(small, source)
    bad = next(row for row in found.values() if not row.holds)
    assert bad.stage == stage and bad.deviation > 10 * parity.TOLERANCE
    assert (bad.first_bad or "").endswith(layer)
    assert found["feature_extractor.conv1"].holds
    assert not found["feature_extractor.cls_head"].holds  # what goes wrong stays wrong


def test_another_resize_than_the_graphs_is_refused(folder: Path) -> None:
    source = checkpoint("ritm_hrnet18s", folder)
    with pytest.raises(UsageError, match="convention aligned, --resize says nearest"):
        port_network.describe(arguments("ritm_hrnet18s", resize="nearest"), source, source)


def test_a_state_dict_of_a_trunk_must_say_how_it_resizes(folder: Path) -> None:
    source = dataclasses.replace(checkpoint("segmentation18s", folder), graph=None)
    with pytest.raises(UsageError, match="does not say how its network resizes; give --resize"):
        port_network.describe(arguments("hrnet18s"), source, source)


def test_the_checkpoint_is_not_written_over(tmp_path: Path,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    source, proof = tmp_path / "source.safetensors", tmp_path / "proof.safetensors"
    for path in (source, proof):
        path.write_bytes(b"mine")
        assert port.main([str(source), "--network", "hrnet18s", "--proof", str(proof),
                          "--out", str(path)]) == 2
        assert "is read too" in capsys.readouterr().err and path.read_bytes() == b"mine"
