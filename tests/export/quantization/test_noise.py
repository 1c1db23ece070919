"""Noise of every tensor: against a plain computation; a fault is seen as a jump where it is."""
from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from export.calibration.observers import InnerTensors
from export.quantization import int8, noise
from export.quantization.recipe import Recipe
from export.tflite import model as tflite
from tests.export.conftest import MAX_POINTS, SIZE, Made, feeds, liven, quantized


def test_one_tensor_by_hand(made: Made) -> None:
    some = list(feeds(3, SIZE))
    rows = noise.tensor_noise(made.float_bytes, made.int8_bytes, some)
    row = next(row for row in rows if row["tensor"] == "msfnet.head.block1.relu")
    exact: list[np.ndarray] = []
    found: list[np.ndarray] = []
    files = InnerTensors(made.float_bytes), InnerTensors(made.int8_bytes)
    for feed in some:
        for file, values in zip(files, (exact, found)):
            file.run(feed)
            graph = tflite.graph(file.model)
            index = next(int(op.outputs[0]) for op in graph.operators if "head.block1.relu" in
                         tflite.name_of(graph.tensors[int(op.outputs[0])]).split(";")[0])
            values.append(file.real(index).astype(np.float64))
    error = np.array(found) - np.array(exact)
    wanted = 10 * np.log10(np.var(exact) / np.mean(error**2))
    assert row["snr_db"] == pytest.approx(wanted, abs=0.01)
    share = np.mean(error.mean(axis=(0, 1, 2)) ** 2) / np.mean(error**2)
    assert row["bias_share"] == pytest.approx(share, abs=1e-3)
    assert row["std"] == pytest.approx(np.std(exact), rel=1e-5)
    assert (row["low"], row["high"]) == pytest.approx((np.min(exact), np.max(exact)))
    exact_rows = {row["tensor"]: row["snr_db"] for row in rows}
    assert exact_rows["image_disks"] == 120.0  # bytes pass unchanged


def test_a_fault_is_a_jump(made: Made) -> None:
    """One bias of the int8 file off by far: that layer jumps, and no layer before it."""
    some = list(feeds(3, SIZE))
    model = tflite.parse(made.int8_bytes)
    operator = next(op for op in tflite.graph(model).operators if "head.block1" in
                    tflite.name_of(tflite.graph(model).tensors[int(op.outputs[0])]
                                   ).split(";")[0])
    buffer = model.buffers[tflite.graph(model).tensors[int(operator.inputs[2])].buffer]
    bias = np.frombuffer(bytes(np.asarray(buffer.data, np.uint8)), np.int32)
    reach = max(1, int(np.abs(bias).max()))
    buffer.data = np.frombuffer((bias + 8 * reach).astype(np.int32).tobytes(), np.uint8)
    broken = tflite.serialise(model)
    healthy = noise.tensor_noise(made.float_bytes, made.int8_bytes, some)
    rows = noise.tensor_noise(made.float_bytes, broken, some)
    place = [row["tensor"] for row in rows].index("msfnet.head.block1.relu")
    assert rows[place]["jump"] and not healthy[place]["jump"]
    assert rows[place]["snr_db"] < healthy[place]["snr_db"] - 10
    assert rows[:place] == healthy[:place]  # nothing before it has changed
    with pytest.raises(ValueError, match="no input"):
        noise.tensor_noise(made.float_bytes, broken, [])


@pytest.mark.slow
def test_a_pair_whose_taps_scale_the_features() -> None:
    """Its file has tensors of one value, and disks that a block kept float reads as float."""
    import keras

    from export.convert.keras_pair import float_tflite
    from oace_tf.config import NetworkConfig
    from oace_tf.networks.fused import build_fused
    from oace_tf.networks.pair import build_pair

    keras.utils.set_random_seed(5)
    config = dataclasses.replace(NetworkConfig.preset("tiny"), tap_film=True)
    pair = build_pair(config, SIZE)
    liven(pair, 5)
    rng = np.random.default_rng(5)
    for model in pair.models():
        for layer in model.layers:  # factors and summands start at zero
            if ".film." in layer.name and layer.weights:
                layer.kernel.assign(rng.normal(0, 0.1, layer.kernel.shape))
    float_bytes = float_tflite(build_fused(pair, MAX_POINTS, SIZE))
    ranges, content = quantized(float_bytes, SIZE)
    assert int8.quantize(float_bytes, ranges, Recipe(weight_algorithm="OCTAV")) != (
        int8.quantize(float_bytes, ranges))  # refuses constants that are not kernels
    rows = noise.tensor_noise(float_bytes, content, list(feeds(2, SIZE)))
    names = noise.blocks(rows)
    assert {"msfnet.film", "prior.decoder.film"} <= set(names)
    for name in ("msfnet.film", "prior.decoder.film"):
        mixed = int8.quantize(float_bytes, ranges, Recipe(float_layers=(re.escape(name),)))
        model = tflite.parse(mixed)
        kinds = {tflite.operator_name(model, op) for op in tflite.graph(model).operators}
        assert "DEQUANTIZE" in kinds


@pytest.mark.parametrize("name, short, block", [
    ("fused_1/prior_1/prior.trunk._blocks.12.relu0_1/Relu6;fused_1/x",
     "prior.trunk._blocks.12.relu0", "prior.trunk._blocks.12"),
    ("fused_1/msfnet_1/msfnet.msf.inception2.se.mean_1/Mean", "msfnet.msf.inception2.se.mean",
     "msfnet.msf.inception2"),
    ("fused_1/msfnet_1/msfnet.trunk.stage2.0.branches.1.0.relu_1/Relu",
     "msfnet.trunk.stage2.0.branches.1.0.relu", "msfnet.trunk.stage2.0"),
    ("fused_1/msfnet_1/msfnet.click_stem.relu_1/Relu6", "msfnet.click_stem.relu",
     "msfnet.click_stem"),
    ("mask", "mask", "mask"),
])
def test_names(name: str, short: str, block: str) -> None:
    assert noise.short_name(name) == short
    assert noise.block_of(short) == block
