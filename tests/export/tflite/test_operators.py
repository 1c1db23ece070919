"""What is read from a file: operators, delegate, cost, time; and that bad files are seen as bad."""
from __future__ import annotations

import keras
import numpy as np
import pytest

from export.convert.keras_pair import float_tflite
from export.tflite import model as tflite
from export.tflite.delegation import Delegation, delegation
from export.tflite.operators import multiply_adds, operator_faults, operators
from oace_tf.errors import UsageError
from oace_tf.networks.cost import add_up, cost_table
from oace_tf.networks.fused import build_fused
from tests.export.conftest import SIZE, Gestures, Made, plain_pair, quantized


@pytest.fixture(scope="module")
def split() -> tuple[bytes, bytes]:
    """Return float and int8 file of a network with an operator that no delegate takes."""
    keras.utils.set_random_seed(3)
    pair = plain_pair(SIZE, 1, upsampling="nearest")
    content = float_tflite(build_fused(pair, 6, SIZE))
    return content, quantized(content, SIZE)[1]


def test_an_operator_outside_is_seen(split: tuple[bytes, bytes]) -> None:
    for content in split:
        found = delegation(content)
        assert "TILE" in found.outside  # how Keras repeats pixels
        assert not found.as_contracted


@pytest.mark.parametrize("partitions, outside, fine", [
    ((9,), (), True),
    ((9,), ("QUANTIZE",), True),
    ((9,), ("QUANTIZE", "QUANTIZE"), True),
    ((9,), ("QUANTIZE",) * 3, False),
    ((9,), ("ADD",), False),
    ((5, 4), ("QUANTIZE", "QUANTIZE"), False),
    ((), ("CONV_2D",), False),
])
def test_contract_of_the_delegate(
    partitions: tuple[int, ...], outside: tuple[str, ...], fine: bool
) -> None:
    assert Delegation(partitions, outside).as_contracted is fine


def test_every_operator_is_inside_or_outside(made: Made) -> None:
    found = delegation(made.int8_bytes)
    count = sum(entry["count"] for entry in operators(made.int8_bytes))
    assert sum(found.partitions) + len(found.outside) == count


def test_operators_by_type(made: Made) -> None:
    entries = operators(made.int8_bytes)
    assert entries == sorted(entries, key=lambda e: -e["count"])
    kinds = {(e["operator"], e["types"]): e["count"] for e in entries}
    assert kinds["QUANTIZE", "uint8 -> int8"] == 1
    assert kinds["QUANTIZE", "int8 -> uint8"] == 1
    assert kinds["QUANTIZE", "float32 -> int8"] == 1
    assert not any(op == "CONV_2D" and types != "int8 -> int8" for op, types in kinds)


def test_foreign_operators_are_faults(made: Made) -> None:
    model = tflite.parse(made.int8_bytes)
    code = model.operatorCodes[tflite.graph(model).operators[-1].opcodeIndex]
    code.builtinCode, code.deprecatedBuiltinCode, code.customCode = 32, 32, b"FlexErf"
    assert any("FlexErf" in fault for fault in operator_faults(tflite.serialise(model)))


def test_a_float_operator_is_a_fault(made: Made) -> None:
    assert any("CONV_2D works in float" in fault
               for fault in operator_faults(made.float_bytes))


def test_multiply_adds_are_those_of_the_layers(made: Made) -> None:
    wanted = add_up(row for model in made.pair.models() for row in cost_table(model)).macs
    assert multiply_adds(made.float_bytes) == wanted
    assert multiply_adds(made.int8_bytes) == wanted


@pytest.mark.parametrize("damage", [
    lambda content: b"", lambda content: b"not a file at all", lambda content: content[:300],
    lambda content: content[:len(content) // 2],
])
def test_what_is_no_file_is_refused(made: Made, damage) -> None:
    with pytest.raises(UsageError):
        tflite.parse(damage(made.int8_bytes))


def test_buffers_are_aligned(made: Made) -> None:
    content = tflite.serialise(tflite.parse(made.int8_bytes))
    large = [b.data for b in tflite.parse(content).buffers if b.data is not None and len(b.data)]
    for data in large:
        assert content.find(data.tobytes()) >= 0
    places = [content.index(data.tobytes()) for data in large if len(data) >= 256]
    assert places and all(place % 16 == 0 for place in places)


def test_a_float_quotient_is_a_fault_unless_it_is_a_region_over_its_sum(
    gestures: Gestures
) -> None:
    assert operator_faults(gestures.int8_bytes) == []
    model = tflite.parse(gestures.int8_bytes)
    quotients = [op for op in tflite.graph(model).operators
                 if tflite.operator_name(model, op) == "DIV"]
    region = quotients[-1].inputs[0]
    quotients[-1].inputs = np.array([region, region], np.int32)
    faults = operator_faults(tflite.serialise(model))
    assert faults and all("works in float" in fault for fault in faults), faults
