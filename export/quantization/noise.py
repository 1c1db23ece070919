"""Noise of every tensor: float file against int8 file, on the same inputs.

A fault is a jump (an operator that gives much less than it got), noise is a slope.
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.calibration.observers import InnerTensors
from export.tflite import model as tflite

JUMP_DB = 6.0  # an operator that loses more of what it got is called a jump,
FLOOR_DB = 40.0  # whatever above this it got: that is what rounding alone leaves of an exact input
_EXACT_DB = 120.0  # shown where there is no noise at all


@dataclass(slots=True, kw_only=True)
class _Sums:
    count: int = 0
    value: Any = 0.0  # per channel
    square: float = 0.0
    error: Any = 0.0  # per channel
    noise: float = 0.0
    cut: int = 0
    low: float = math.inf
    high: float = -math.inf


def tensor_noise(
    float_bytes: bytes, int8_bytes: bytes, feeds: Iterable[Mapping[str, np.ndarray]]
) -> list[dict[str, Any]]:
    """Return a row per tensor that both files have, in the order of execution.

    Args:
      float_bytes: the float file.
      int8_bytes: the int8 file, its inner names kept.
      feeds: what the float file is fed with.
    Returns:
      Rows {tensor, operator, snr_db, from_db, bias_share, low, high, std, int8_low, int8_high,
      saturated, jump}: snr_db = variance of the float values over mean squared error; from_db the
      least snr_db of what the operator reads; bias_share the share of the error's power that
      is one constant per channel; low .. high the float values' range, int8_low .. int8_high what
      the int8 tensor can hold; saturated the share of values beyond that by more than half a step.
    Raises:
      ValueError: no feeds.
    """
    files = InnerTensors(float_bytes), InnerTensors(int8_bytes)
    places = _shared(files[0].model, files[1])
    sums = {index: _Sums() for index in places}
    count = 0
    for feed in feeds:
        for file in files:
            file.run(feed)
        for index, other in places.items():
            _add(sums[index], files[0].value(index), files[1].real(other),
                 tflite.scale_and_zero(tflite.graph(files[1].model).tensors[other]))
        count += 1
    if not count:
        raise ValueError("no input, no noise")
    return _rows(files[0].model, files[1].model, places, sums)


def _shared(model: Any, int8: InnerTensors) -> dict[int, int]:
    """Return float tensor -> int8 tensor of the same name, for what both files compute."""
    tensors = tflite.graph(int8.model).tensors
    indices = set(int8.kept)
    there = {tflite.name_of(tensor): i for i, tensor in enumerate(tensors)
             if i in indices and tflite.name_of(tensor)}
    there["mask"] = there.get("mask_int8", there["mask"])  # before the last QUANTIZE
    graph = tflite.graph(model)
    return {int(op.outputs[0]): there[name] for op in graph.operators
            if (name := tflite.name_of(graph.tensors[int(op.outputs[0])])) in there}


def _add(sums: _Sums, exact: np.ndarray, values: np.ndarray, scale: Any) -> None:
    exact = np.atleast_1d(exact).astype(np.float64)  # a scalar is one channel
    exact = exact.reshape(-1, exact.shape[-1])
    error = values.astype(np.float64).reshape(exact.shape) - exact
    sums.count += len(exact)
    sums.value = sums.value + exact.sum(axis=0)
    sums.error = sums.error + error.sum(axis=0)
    sums.square += float(np.square(exact).sum())
    sums.noise += float(np.square(error).sum())
    sums.low, sums.high = min(sums.low, float(exact.min())), max(sums.high, float(exact.max()))
    if scale is not None:
        low, high = _ends(scale)
        half = scale[0] / 2
        sums.cut += int(np.count_nonzero((exact < low - half) | (exact > high + half)))


def _ends(scale: tuple[float, int]) -> tuple[float, float]:
    return (-128 - scale[1]) * scale[0], (127 - scale[1]) * scale[0]


def _rows(
    model: Any, int8: Any, places: Mapping[int, int], sums: Mapping[int, _Sums]
) -> list[dict[str, Any]]:
    tensors = tflite.graph(model).tensors
    level: dict[int, float] = {}
    rows = []
    for operator in tflite.graph(model).operators:
        index = int(operator.outputs[0])
        if index not in places:
            continue
        one = sums[index]
        channels = np.size(one.value)
        total = one.count * channels
        mean = float(np.sum(one.value)) / total
        variance = one.square / total - mean * mean
        constant = float(np.square(one.error / one.count).sum()) / channels
        power = one.noise / total
        level[index] = (_EXACT_DB if power == 0 or variance <= 0 else
                        min(_EXACT_DB, 10 * math.log10(variance / power)))
        sources = [level[int(i)] for i in operator.inputs if int(i) in level]
        came = min(sources) if sources else None
        scale = tflite.scale_and_zero(tflite.graph(int8).tensors[places[index]])
        ends = _ends(scale) if scale is not None else (None, None)
        rows.append({
            "tensor": short_name(tflite.name_of(tensors[index])),
            "operator": tflite.operator_name(model, operator),
            "snr_db": round(level[index], 2),
            "from_db": None if came is None else round(came, 2),
            "bias_share": round(constant / power, 4) if power else 0.0,
            "low": one.low, "high": one.high, "std": math.sqrt(max(variance, 0.0)),
            "int8_low": ends[0], "int8_high": ends[1],
            "saturated": one.cut / total,
            "jump": came is not None and min(came, FLOOR_DB) - level[index] > JUMP_DB,
        })
    return rows


def short_name(name: str) -> str:
    """Return a tensor's layer: `msfnet.trunk._blocks.3.add` of the converter's long name."""
    first = name.split(";")[0]
    part = next((p for p in reversed(first.split("/")) if "." in p), first)
    head, _, tail = part.rpartition("_")
    return head if tail.isdigit() else part


def block_of(tensor: str) -> str:
    """Return the block that a layer belongs to: the part kept whole when blocks are weighed.

    A trunk's blocks by their number, HRNet's modules by stage and number, else the layer's scope.
    """
    parts = tensor.split(".")
    if len(parts) < 3:
        return tensor
    for index, part in enumerate(parts[2:], 2):
        if part.isdigit():
            return ".".join(parts[: index + 1])
    if parts[1] == "trunk":
        return ".".join(parts[:3])
    return ".".join(parts[:3]) if parts[1] in ("decoder", "join", "head", "msf") else \
        ".".join(parts[:2])


def blocks(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the blocks of the rows in the order of execution."""
    return list(dict.fromkeys(block_of(row["tensor"]) for row in rows
                              if row["tensor"].startswith(("prior.", "msfnet.", "refiner."))))
