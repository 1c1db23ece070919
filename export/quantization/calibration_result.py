"""What calibration decides for one float file and one recipe: ranges and edits; and its record."""
from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from export.calibration.observers import Seen
from export.quantization import bias_correction, equalise
from export.quantization.recipe import Recipe, layer_pattern
from export.tflite import model as tflite
from oace_tf import fileio
from oace_tf.errors import UsageError

MODE = "CALIBRATION_PROFILER_BASED"  # the other mode gives equal ranges but other bytes
_KEYS = frozenset({"weights_sha256", "recipe", "mode", "calibration", "ranges", "factors",
                   "shifts"})
Ranges = Mapping[str, tuple[float, float]]  # tensor name -> (smallest, largest) value


@dataclass(frozen=True, slots=True)
class Plan:
    """All that photographs decide; with it the int8 file follows from the float file alone.

    Attributes:
      ranges: of the edited float file's tensors.
      factors: what `equalise.exponents` gave.
      shifts: what `bias_correction.corrections` gave.
    """

    ranges: Ranges
    factors: Mapping[str, list[int]] = field(default_factory=dict)
    shifts: Mapping[str, np.ndarray] = field(default_factory=dict)

    def edit(self, float_bytes: bytes, float_layers: Sequence[str] = ()) -> bytes:
        """Return the float file with the edits made; without edits the bytes that were given.

        Args:
          float_bytes: the float file.
          float_layers: those of the recipe; their kernels are not rounded, and so their biases
            keep no correction.
        Raises:
          UsageError: the plan was made for another network.
        """
        if not self.factors and not self.shifts:
            return float_bytes
        model = tflite.parse(float_bytes)
        try:
            equalise.apply(model, self.factors)
            patterns = [re.compile(layer_pattern(layer)) for layer in float_layers]
            bias_correction.apply(model, {name: shift for name, shift in self.shifts.items()
                                          if not any(pattern.search(name) for pattern in patterns)})
        except (KeyError, ValueError) as error:
            raise UsageError(f"the calibration statistics do not fit the network ({error}): they "
                             "were recorded for another one; calibrate anew") from error
        return tflite.serialise(model)


def equalised(
    float_bytes: bytes, seen: Seen, strength: float
) -> tuple[bytes, dict[str, list[int]], dict[str, np.ndarray]]:
    """Return the equalised file, the exponents of its factors, and the means that go with it."""
    model = tflite.parse(float_bytes)
    factors = equalise.exponents(model, seen.reach, strength)
    means = dict(seen.means)
    tensors = tflite.graph(model).tensors
    for chain in equalise.chains(model):
        steps = factors.get(tflite.name_of(tensors[min(chain.tensors)]))
        for reader in chain.readers if steps else ():
            name = tflite.name_of(tensors[int(reader.outputs[0])])
            if name in means:
                means[name] = means[name] * np.exp2(np.asarray(steps) / equalise.STEPS)
    equalise.apply(model, factors)
    return tflite.serialise(model), factors, means


def save(
    path: str | Path, plan: Plan, weights_sha256: str, recipe: Recipe,
    calibration: Mapping[str, Any],
) -> None:
    """Record a plan, for machines without images.

    Args:
      path: the JSON file.
      plan: what was decided.
      weights_sha256: of the weights that were calibrated.
      recipe: only its name is recorded.
      calibration: the report's entry on the images (count, source, seed, sha256).
    """
    fileio.write_json(path, {
        "weights_sha256": weights_sha256,
        "recipe": recipe.name,
        "mode": MODE,
        "calibration": dict(calibration),
        "ranges": {name: list(limits) for name, limits in sorted(plan.ranges.items())},
        "factors": {name: " ".join(map(str, steps)) for name, steps in plan.factors.items()},
        # float32, little-endian: the very bits.
        "shifts": {name: base64.b64encode(shift.astype("<f4").tobytes()).decode()
                   for name, shift in plan.shifts.items()},
    })


def load(
    path: str | Path, weights_sha256: str, recipe: Recipe
) -> tuple[Plan, dict[str, Any]]:
    """Return the recorded plan and what the record says of its calibration.

    Raises:
      UsageError: no such file, not of this form, or recorded for other weights or another recipe.
    """
    record = fileio.read_json(path)
    if not isinstance(record, dict) or set(record) != _KEYS:
        raise UsageError(f"{path}: not calibration statistics; expected the keys "
                         f"{', '.join(sorted(_KEYS))}")
    for key, wanted, told in (("weights_sha256", weights_sha256, "weights"),
                              ("recipe", recipe.name, "recipe")):
        if record[key] != wanted:
            raise UsageError(
                f"{path}: recorded for {told} {record[key][:24]}, not for {wanted[:24]}; give "
                "calibration images instead (--images DIR)"
            )
    if record["mode"] != MODE:
        raise UsageError(f"{path}: recorded in mode {record['mode']!r}, expected {MODE!r}")
    try:
        ranges = {str(name): (float(low), float(high))
                  for name, (low, high) in record["ranges"].items()}
        factors = {str(name): list(map(int, steps.split()))
                   for name, steps in record["factors"].items()}
        shifts = {str(name): np.frombuffer(base64.b64decode(text, validate=True), "<f4")
                  for name, text in record["shifts"].items()}
    except (TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise UsageError(f"{path}: ranges must be pairs of numbers, factors whole numbers, shifts "
                         f"base64 ({error})") from error
    return Plan(ranges, factors, shifts), dict(record["calibration"])


def merge_ranges(parts: Iterable[Ranges]) -> dict[str, tuple[float, float]]:
    """Return the ranges that cover all parts, whatever their order; NaN stays NaN."""
    merged: dict[str, tuple[float, float]] = {}
    for part in parts:
        for name, (low, high) in part.items():
            old = merged.get(name, (low, high))
            merged[name] = (float(np.minimum(old[0], low)), float(np.maximum(old[1], high)))
    return dict(sorted(merged.items()))
