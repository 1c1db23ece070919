"""Three roads for one graph: onnxruntime, Keras, onnx2tf; on noise and on photographs."""
from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from export.porting import onnx2tf_check, parity_inputs, tensor_map
from export.porting.checkpoint import read_checkpoint
from oace_tf.networks.ported.registry import Ported, build_ported
from tests.golden.port import refill

pytestmark = pytest.mark.skipif(importlib.util.find_spec("onnx2tf") is None,
                                reason="the extra `port` is not installed")


@pytest.mark.slow
def test_three_roads_agree(tmp_path: Path) -> None:
    path = tmp_path / "ritm.onnx"
    path.write_bytes(refill.graph("ritm_hrnet18s").SerializeToString())
    before = path.read_bytes()
    source, ported = read_checkpoint(path), Ported("ritm_hrnet18s", "aligned")
    model = build_ported(ported, parity_inputs.graph_side(source), 1)
    rows, filled = tensor_map.map_tensors(model, source)
    tensor_map.fill(model, rows, filled)
    scenes = parity_inputs.scenes(parity_inputs.graph_side(source), 0, 1)
    made = parity_inputs.make_feeds(ported, model, source, scenes)
    found = onnx2tf_check.cross_check(model, source, made)
    assert "onnx2tf" not in sys.modules  # it lifts the limit of recursion of its whole process
    photographs = sorted(photo.name for photo in parity_inputs.SAMPLES.glob("*.jpg"))
    assert [row.input for row in found] == ["random 0", *photographs] and photographs
    for row in found:
        assert row.holds and row.keras is not None and row.both is not None
        assert max(row.keras, row.onnx2tf, row.both) < 1e-4  # measured: 1e-6
    assert path.read_bytes() == before


def test_a_road_that_leaves_the_others_is_named() -> None:
    row = onnx2tf_check.RoadRow("random 0", "instances", 0.2, 1e-6, 0.2)
    assert not row.holds and "TOO LARGE" in onnx2tf_check.table([row])
    assert not onnx2tf_check.RoadRow("x", "y", None, float("nan"), None).holds
