"""Parts of a file: they compute what the whole computes there, and know their layers."""
from __future__ import annotations

import numpy as np
import pytest

from export.tflite import extract
from export.tflite import model as tflite
from export.tflite.operators import multiply_adds
from oace_tf.errors import UsageError
from oace_tf.geometry import normalise
from oace_tf.runtime.interpreter import open_interpreter
from tests.export.conftest import SIZE, Made, pictures, tensors_of


def outputs_of(content: bytes, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a part; its tensors are found by name."""
    interpreter = open_interpreter(content)
    for entry in interpreter.get_input_details():
        interpreter.set_tensor(entry["index"], feeds[entry["name"]])
    interpreter.invoke()
    return {entry["name"]: interpreter.get_tensor(entry["index"])
            for entry in interpreter.get_output_details()}


def test_two_halves_are_the_whole(made: Made) -> None:
    model = tflite.parse(made.float_bytes)
    count = len(tflite.graph(model).operators)
    picture, points = next(pictures(1, SIZE, seed=3))
    feeds = {"image": normalise(picture)[None], "points": points[None]}
    wanted, disks = tensors_of(made.float_bytes, picture, points, ("mask", "disks"))
    assert wanted.std() > 0
    for middle in (1, count // 3, count - 1):
        first = outputs_of(extract.part(model, range(middle)), feeds)
        second = outputs_of(extract.part(model, range(middle, count)), {**feeds, **first})
        np.testing.assert_allclose(second["mask"][0], wanted, atol=1e-5)  # kernels may differ
        if "disks" in first:
            np.testing.assert_array_equal(first["disks"][0], disks)
    assert tflite.serialise(model) == tflite.serialise(tflite.parse(made.float_bytes))


def test_the_parts_share_the_work(made: Made) -> None:
    for content in (made.float_bytes, made.int8_bytes):
        model = tflite.parse(content)
        count = len(tflite.graph(model).operators)
        single = [multiply_adds(extract.part(model, [index])) for index in range(count)]
        assert sum(single) == multiply_adds(content) > 0
        small = min(len(extract.part(model, [index])) for index in range(count))
        assert small < len(content) / 20  # other operators' weights stay out


def test_layers_are_those_of_keras(made: Made) -> None:
    model = tflite.parse(made.float_bytes)
    layers = extract.layers_of(model)
    known = {layer.name for network in made.pair.models() for layer in network.layers}
    named = [layer for layer in layers if "." in layer]
    assert len(named) > 0.5 * len(layers) and set(named) <= known
    assert layers.count(extract.DRAWING) > 10
    assert {extract.stage_of(layer) for layer in named} >= {
        "prior.decoder", "msfnet.msf", "msfnet.head", "msfnet.join"}


def test_an_int8_file_takes_the_names_of_its_twin(made: Made) -> None:
    model, named = map(tflite.parse, (made.int8_bytes, made.float_bytes))
    theirs = dict(zip((tflite.name_of(tflite.graph(named).tensors[int(op.outputs[0])])
                       for op in tflite.graph(named).operators), extract.layers_of(named)))
    for operator, layer in zip(tflite.graph(model).operators, extract.layers_of(model, named)):
        # The names were kept here; the quantizer adds a suffix to some.
        name = tflite.name_of(tflite.graph(model).tensors[int(operator.outputs[0])])
        if name in theirs and tflite.operator_name(model, operator) != "QUANTIZE":
            assert layer == theirs[name]


def test_other_files_are_no_twins(made: Made, plain_files: tuple[bytes, bytes]) -> None:
    with pytest.raises(UsageError, match="not the twin"):
        extract.layers_of(tflite.parse(made.int8_bytes), tflite.parse(plain_files[0]))


@pytest.mark.parametrize(("name", "layer", "stage"), (
    ("fused_1/msfnet_1/msfnet.trunk.layer1.0.relu1_1/Relu;more", "msfnet.trunk.layer1.0.relu1",
     "msfnet.trunk.layer1"),
    ("fused_1/prior_1/prior.decoder.block1.relu_1/Relu6", "prior.decoder.block1.relu",
     "prior.decoder"),
    ("fused/shared/shared.trunk.conv1/convolution", "shared.trunk.conv1", "shared.trunk.conv1"),
    ("disks/13", extract.DRAWING, extract.DRAWING), ("disks", extract.DRAWING, extract.DRAWING),
    ("mask", extract.ELSEWHERE, extract.ELSEWHERE)))
def test_names_of_layers_and_stages(name: str, layer: str, stage: str) -> None:
    assert extract.layer_of(name) == layer
    assert extract.stage_of(layer) == stage
