"""Calibration result: tensor ranges and weight edits of one float file and recipe; its record."""
from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from export.calibration.observers import MODE, Ranges
from export.quantization import bias_correction
from export.quantization.recipe import Recipe, layer_pattern
from export.tflite import model as tflite
from oace_tf import fileio
from oace_tf.errors import UsageError, quoted

_KEYS = frozenset({"weights_sha256", "recipe", "mode", "calibration", "ranges", "factors",
                   "shifts"})


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """What photographs decide; with it the int8 file follows from the float file alone.

    Attributes:
      ranges: of the edited float file's tensors.
      shifts: what `bias_correction.corrections` gave.
    """

    ranges: Ranges
    shifts: Mapping[str, np.ndarray] = field(default_factory=dict)

    def edit(self, float_bytes: bytes, float_layers: Sequence[str] = ()) -> bytes:
        """Return the float file with the edits made; without edits the bytes that were given.

        Args:
          float_bytes: the float file.
          float_layers: those of the recipe; their kernels are not rounded, and so their biases
            keep no correction.
        Raises:
          UsageError: the calibration was made for another network.
        """
        if not self.shifts:
            return float_bytes
        model = tflite.parse(float_bytes)
        try:
            patterns = [re.compile(layer_pattern(layer)) for layer in float_layers]
            bias_correction.apply(model, {name: shift for name, shift in self.shifts.items()
                                          if not any(pattern.search(name) for pattern in patterns)})
        except (KeyError, ValueError) as error:
            raise UsageError(f"the calibration statistics do not fit the network ({error}): they "
                             "were recorded for another one; calibrate anew") from error
        return tflite.serialise(model)


    def within(self, float_bytes: bytes) -> CalibrationResult:
        """Return what concerns a part of the float file: the tensors that the part has."""
        names = {tflite.name_of(tensor)
                 for tensor in tflite.graph(tflite.parse(float_bytes)).tensors}
        return CalibrationResult(
            {name: ends for name, ends in self.ranges.items() if name in names},
            {name: shift for name, shift in self.shifts.items() if name in names})


def save(
    path: str | Path, result: CalibrationResult, weights_sha256: str, recipe: Recipe,
    calibration: Mapping[str, Any],
) -> None:
    """Record a calibration result, for machines without images.

    Args:
      path: the JSON file.
      result: what is recorded.
      weights_sha256: of the weights that were calibrated.
      recipe: only its name is recorded.
      calibration: the report's entry on the images (count, source, seed, sha256).
    """
    fileio.write_json(path, {
        "weights_sha256": weights_sha256,
        "recipe": recipe.name,
        "mode": MODE,
        "calibration": dict(calibration),
        "ranges": {name: list(limits) for name, limits in sorted(result.ranges.items())},
        "factors": {},  # of channel equalisation, in older records
        # float32, little-endian: the very bits.
        "shifts": {name: base64.b64encode(shift.astype("<f4").tobytes()).decode()
                   for name, shift in result.shifts.items()},
    })


def load(
    path: str | Path, weights_sha256: str, recipe: Recipe
) -> tuple[CalibrationResult, dict[str, Any]]:
    """Return the recorded result and what the record says of its calibration.

    Raises:
      UsageError: no such file, not of this form, or recorded for other weights or another recipe.
    """
    record = fileio.read_json(path)
    if not isinstance(record, dict) or set(record) != _KEYS:
        raise UsageError(f"{path}: not calibration statistics; expected the keys "
                         f"{', '.join(sorted(_KEYS))}")
    for key, expected, noun in (("weights_sha256", weights_sha256, "weights"),
                                ("recipe", recipe.name, "recipe")):
        if record[key] != expected:
            raise UsageError(
                f"{path}: recorded for {noun} {quoted(str(record[key]), 24)}, not for "
                f"{expected[:24]}; give "
                "calibration images instead (--images DIR)"
            )
    if record["mode"] != MODE:
        raise UsageError(f"{path}: recorded in mode {quoted(repr(record['mode']))}, "
                         f"expected {MODE!r}")
    if record["factors"] != {}:
        raise UsageError(f"{path}: holds factors of channel equalisation, which is no more part of "
                         "quantization; calibrate anew (--images DIR)")
    if not isinstance(record["calibration"], dict):
        raise UsageError(f"{path}: calibration is no object; calibrate anew (--images DIR)")
    try:
        ranges = {str(name): (float(low), float(high))
                  for name, (low, high) in record["ranges"].items()}
        shifts = {str(name): np.frombuffer(base64.b64decode(text, validate=True), "<f4")
                  for name, text in record["shifts"].items()}
    except (TypeError, ValueError, AttributeError, OverflowError, binascii.Error) as error:
        raise UsageError(f"{path}: ranges must be pairs of numbers, shifts base64 "
                         f"({quoted(str(error))}); calibrate anew (--images DIR)") from error
    return CalibrationResult(ranges, shifts), dict(record["calibration"])
