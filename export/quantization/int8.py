"""Int8 file from the float32 file: pinned ranges, quantization, the contract's border.

The photograph is a uint8 tensor whose int8 form is byte - 128 (scale 1/128, zero point 0) without
arithmetic. That holds because the range of every tensor that only copies or resizes photograph,
disks and tanh outputs is pinned to [-1, 127/128] instead of taken from the calibration images.

A network that takes its previous mask (RITM) joins that and its disks, which are zero or one; there
the range [0, 1] is pinned, so that a disk stays exact.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.calibration.observers import KERNELS, Ranges, quiet
from export.quantization.recipe import Recipe
from export.tflite import model as tflite
from export.tflite import splice
from oace_tf.errors import UsageError
from oace_tf.runtime.tflite_reader import PREVIOUS, SCORES

UNIT_SCALE = 1 / 128  # the int8 scale of photograph, disks and OACE
UNIT_RANGE = (-1.0, 127 / 128)
GUIDE_RANGE = (0.0, 1.0)  # of previous mask and disks where a network takes both
_DEAD = 1e-6  # a tensor that never reaches this is taken for zero
_BIAS_MOST = 2.0**30  # of a stored bias: half of 32 bits, the other half is for the products
MASK_SCALE = 1 / 256  # the int8 sigmoid's fixed scale; 128 is one half
# What hands values on unchanged or averages neighbours: the range stays inside the inputs' range.
_KEEPS_RANGE = frozenset({"CONCATENATION", "RESIZE_BILINEAR", "PAD", "RESHAPE", "STRIDED_SLICE",
                          "SPACE_TO_DEPTH", "MAX_POOL_2D", "TRANSPOSE"})
_KEPT_NAMES = frozenset({"image", "points", "mask", "disks", "image_disks", PREVIOUS})


def unit_tensors(model: Any) -> set[int]:
    """Return the tensors of a float file whose range is pinned to [-1, 127/128].

    These are the image, the product of the drawing, outputs of tanh, and whatever is made of
    only such tensors by an operator that keeps the range.
    """
    inputs, _ = tflite.signature(model)
    pinned = {inputs["image"]}
    if PREVIOUS not in inputs:
        pinned.add(tflite.by_name(model, "disks"))
    return _spread(model, pinned, tanh=True)


def guide_tensors(model: Any) -> set[int]:
    """Return the tensors whose range is pinned to [0, 1]: previous mask, disks, what joins them.

    A file of gestures draws no disks.
    """
    inputs, _ = tflite.signature(model)
    if PREVIOUS not in inputs:
        return set()
    pinned = {inputs[PREVIOUS]}
    if tflite.has_name(model, "disks"):
        pinned.add(tflite.by_name(model, "disks"))
    return _spread(model, pinned, tanh=False)


def _spread(model: Any, pinned: set[int], tanh: bool) -> set[int]:
    """Add what is made of pinned tensors alone by operators that keep the range."""
    graph = tflite.graph(model)
    for operator in graph.operators:
        name = tflite.operator_name(model, operator)
        needs = tflite.activations(model, operator.inputs)
        if name == "TANH" and tanh or (
                name in _KEEPS_RANGE and needs and pinned.issuperset(needs)):
            pinned.update(int(i) for i in operator.outputs)
    return pinned


def dead_tensors(ranges: Ranges) -> list[str]:
    """Return the tensors that stayed zero on every calibration image, the drawing's left out."""
    # Both are compared: max(0, NaN) would be 0 in Python.
    return [name for name, (low, high) in ranges.items()
            if abs(low) < _DEAD and abs(high) < _DEAD
            and name != "disks" and not name.startswith(tflite.FLOAT_PREFIXES)]


def pin_ranges(float_bytes: bytes, ranges: Ranges) -> dict[str, tuple[float, float]]:
    """Return `ranges` with the unit tensors of the file at [-1, 127/128].

    Dead tensors get [0, 1]: zero is exact in every range, while their own would have a scale of
    4e-12, which the delegate refuses.
    """
    model = tflite.parse(float_bytes)
    tensors = tflite.graph(model).tensors
    pins = {tflite.name_of(tensors[i]): UNIT_RANGE for i in unit_tensors(model)}
    pins |= {tflite.name_of(tensors[i]): GUIDE_RANGE for i in guide_tensors(model)}
    return {**ranges, **dict.fromkeys(dead_tensors(ranges), (0.0, 1.0)), **pins}


def guard_biases(float_bytes: bytes, ranges: Ranges) -> bytes:
    """Return the file with kernels wide enough for their biases; without such ones, as it was.

    A bias is stored in steps of input step times kernel step, in 32 bits. Channels that training
    has switched off have kernels of 1e-6 and biases of -6: in such small steps the bias does not
    fit, is cut, and the sum with the products wraps around, so that a channel that should be zero
    gives noise. In such a channel the largest number of the kernel is raised until the bias takes
    30 bits; that moves the channel by at most 127 * 255 / 2**30 = 3e-5 of its bias.

    Args:
      float_bytes: a float file.
      ranges: of its tensors, pinned.
    """
    model = tflite.parse(float_bytes)
    tensors = tflite.graph(model).tensors
    changed = False
    for operator in tflite.graph(model).operators:
        kind = tflite.operator_name(model, operator)
        if kind not in KERNELS or len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        low, high = ranges.get(tflite.name_of(tensors[int(operator.inputs[0])]), (0.0, 0.0))
        step = (max(high, 0.0) - min(low, 0.0)) / 255
        kernel = tflite.constant(model, int(operator.inputs[1]))
        bias = tflite.constant(model, int(operator.inputs[2]))
        if not step > 0 or not np.isfinite(kernel).all():
            continue  # what is wrong with these is told elsewhere
        rows = np.moveaxis(kernel, 3 if kind == "DEPTHWISE_CONV_2D" else 0, 0)
        rows = rows.reshape(len(bias), -1)
        needed = np.abs(bias) * (127 / (step * _BIAS_MOST))
        short = np.flatnonzero(np.abs(rows).max(axis=1) < needed)
        for channel in short:
            column = int(np.abs(rows[channel]).argmax())
            sign = -1.0 if rows[channel, column] < 0 else 1.0
            rows[channel, column] = sign * needed[channel]
        if len(short):
            if kind == "DEPTHWISE_CONV_2D":
                rows = np.moveaxis(rows.reshape(len(bias), *kernel.shape[:3]), 0, 3)
            tflite.set_constant(model, int(operator.inputs[1]), rows.reshape(kernel.shape))
            changed = True
    return tflite.serialise(model) if changed else float_bytes


def quantize(
    float_bytes: bytes, ranges: Ranges, recipe: Recipe = Recipe(), keep_names: bool = False
) -> bytes:
    """Return the int8 file: uint8 image and mask, float points and drawing, int8 all else.

    Args:
      float_bytes: the float32 file.
      ranges: of its tensors, as `RangeObserver` gives them; the pinning is done here.
      recipe: what is quantized and how.
      keep_names: keep the names of inner tensors (for comparing layer by layer); without them
        the file is smaller and runs the same.
    Raises:
      UsageError: ranges are missing, not finite, or made for another network; or the weights are
        such that no int8 numbers can hold them.
    """
    from ai_edge_quantizer import quantizer

    ranges = pin_ranges(float_bytes, ranges)
    _check_ranges(float_bytes, ranges, recipe)
    float_bytes = guard_biases(float_bytes, ranges)
    statistics = {
        name: {"min": np.array([low]), "max": np.array([high])}
        for name, (low, high) in ranges.items()
    }
    with quiet():
        tool = quantizer.Quantizer(float_bytes)
        tool.load_quantization_recipe(recipe.rules())
        try:
            result = tool.quantize(statistics, enable_progress_bar=False,
                                   enable_progress_report=False)
        except ValueError as error:  # such as a bias beyond 32 bits, where a kernel is all zero
            raise UsageError(f"the weights cannot be quantized ({error}); "
                             "they are damaged or untrained") from error
    return finish(bytes(result.quantized_model), keep_names, bool(recipe.float_layers))


def finish(content: bytes, keep_names: bool = False, mixed: bool = False) -> bytes:
    """Return the quantizer's file with a uint8 image, its contract checked, names cleared.

    Args:
      content: the quantizer's file.
      keep_names: keep the names of inner tensors.
      mixed: the recipe leaves layers float, so what they read may be float as well.
    Raises:
      ValueError: a tensor is not what the contract says; the quantizer's rules have changed.
    """
    model = tflite.parse(content)
    graph = tflite.graph(model)
    inputs, outputs = tflite.signature(model)
    _drop_copies(model)
    _make_uint8(model, inputs["image"], "image", (UNIT_SCALE, 0), (UNIT_SCALE, 128))
    if PREVIOUS in inputs:
        # Whatever it is joined with gives its scale inside; that of RITM's disks is 1/255.
        _make_uint8(model, inputs[PREVIOUS], "previous mask", None, (MASK_SCALE, 0))
    if tflite.type_name(graph.tensors[inputs["points"]]) != "float32":
        raise ValueError("the taps must stay float32, the quantizer has changed them")
    mask = graph.tensors[outputs["mask"]]
    if tflite.type_name(mask) != "uint8" or not _has_scale(mask, MASK_SCALE, 0):
        raise ValueError(
            f"the mask must be uint8 of scale 1/256, zero point 0; it is "
            f"{tflite.type_name(mask)} {tflite.scale_and_zero(mask)}"
        )
    if SCORES in outputs:
        _open_scores(model, outputs[SCORES])
    _check_unit_scales(model, mixed)
    _name(model, outputs, keep_names)
    return tflite.serialise(model)


def _open_scores(model: Any, scores: int) -> None:
    """Make the file give float32 scores; the quantizer makes bytes of every output."""
    graph = tflite.graph(model)
    old = splice.producer(model, scores)
    if tflite.operator_name(model, old) != "QUANTIZE":
        raise ValueError("the scores are not written by a QUANTIZE, but by "
                         f"{tflite.operator_name(model, old)}")
    splice.set_type(graph.tensors[scores], "float32")
    graph.operators[graph.operators.index(old)] = splice.operator(
        model, "DEQUANTIZE", 2, [int(old.inputs[0])], [scores])


def _make_uint8(model: Any, index: int, what: str, inside: tuple[float, int] | None,
                outside: tuple[float, int]) -> None:
    """Turn a float input into uint8 of scale and zero point `outside`.

    Inside it is int8 of the scale and zero point `inside`; None: of any.
    """
    readers = tflite.consumers(model, index)
    graph = tflite.graph(model)
    for operator in readers:
        output = graph.tensors[int(operator.outputs[0])]
        if tflite.operator_name(model, operator) != "QUANTIZE" or inside is not None and (
                not _has_scale(output, *inside)):
            raise ValueError(
                f"the {what} is read by {tflite.operator_name(model, operator)} of scale "
                f"{tflite.scale_and_zero(output)}; expected QUANTIZE"
                + (" of scale 1/128, zero point 0" if inside else "")
            )
    if not readers:
        raise ValueError(f"nothing reads the {what}")
    tensor = graph.tensors[index]
    tensor.type = schema.TensorType.UINT8
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.array([outside[0]], np.float32)
    tensor.quantization.zeroPoint = np.array([outside[1]], np.int64)


def _drop_copies(model: Any) -> None:
    """Remove QUANTIZE operators that change nothing (tanh's fixed scale before a concat's)."""
    graph = tflite.graph(model)
    replaced: dict[int, int] = {}
    operators = []
    for operator in graph.operators:
        operator.inputs = np.array(
            [replaced.get(int(i), int(i)) for i in operator.inputs], np.int32)
        source, result = int(operator.inputs[0]), int(operator.outputs[0])
        same = tflite.type_name(graph.tensors[source]) == tflite.type_name(
            graph.tensors[result]) and tflite.scale_and_zero(
            graph.tensors[source]) == tflite.scale_and_zero(graph.tensors[result])
        if tflite.operator_name(model, operator) == "QUANTIZE" and same:
            replaced[result] = source
        else:
            operators.append(operator)
    graph.operators = operators


def _check_unit_scales(model: Any, mixed: bool) -> None:
    """Follow the image through the copying operators; every tensor on the way has scale 1/128.

    In a mixed file one that a float layer reads is float: nothing is rounded there.
    """
    graph = tflite.graph(model)
    inputs, _ = tflite.signature(model)
    exact = {int(op.outputs[0]) for op in tflite.consumers(model, inputs["image"])}
    if PREVIOUS not in inputs:
        disks = tflite.by_name(model, "disks")
        exact |= {int(op.outputs[0]) for op in tflite.consumers(model, disks)}
    for operator in graph.operators:
        name = tflite.operator_name(model, operator)
        needs = tflite.activations(model, operator.inputs)
        if name == "TANH" or (name in _KEEPS_RANGE and needs and exact.issuperset(needs)):
            exact.update(int(i) for i in operator.outputs)
    for index in sorted(exact):
        tensor = graph.tensors[index]
        if mixed and tflite.type_name(tensor) == "float32":
            continue
        if tflite.type_name(tensor) != "int8" or not _has_scale(tensor, UNIT_SCALE, 0):
            raise ValueError(
                f"tensor {tflite.name_of(tensor)!r} should be int8 of scale 1/128; it is "
                f"{tflite.type_name(tensor)} {tflite.scale_and_zero(tensor)}"
            )


def _has_scale(tensor: Any, scale: float, zero_point: int) -> bool:
    return tflite.scale_and_zero(tensor) == (float(np.float32(scale)), zero_point)


def _name(model: Any, outputs: Mapping[str, int], keep_names: bool) -> None:
    tensors = tflite.graph(model).tensors
    for tensor in tensors:
        if tflite.name_of(tensor) in outputs:
            # what the sigmoid gives, one operator before the file's output
            tensor.name = f"{tflite.name_of(tensor)}_int8"
        elif not keep_names and tflite.name_of(tensor) not in _KEPT_NAMES:
            tensor.name = ""
    for name, index in outputs.items():
        tensors[index].name = name


def _check_ranges(float_bytes: bytes, ranges: Ranges, recipe: Recipe) -> None:
    model = tflite.parse(float_bytes)
    tensors = tflite.graph(model).tensors
    for operator in tflite.graph(model).operators:
        for index in tflite.activations(model, operator.outputs):
            name = tflite.name_of(tensors[index])
            if any(re.search(pattern, name) for pattern in recipe.float_tensors):
                continue
            if name not in ranges:
                raise UsageError(
                    f"the calibration statistics have no range for tensor {name!r}: they were "
                    "recorded for another network or by another version; calibrate anew"
                )
            if not all(map(math.isfinite, ranges[name])):
                raise UsageError(
                    f"tensor {name!r} reached {ranges[name]} in calibration: damaged weights"
                )
