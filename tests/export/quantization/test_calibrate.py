"""Calibration: the recipe's choice of photographs; the same result for any number of workers."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.calibration import images as calibration_images
from export.quantization import calibrate, int8
from export.quantization.recipe import Recipe
from oace_tf.errors import UsageError
from tests.export.conftest import MAX_POINTS, SIZE, Made


def quietly(items: Iterable[Any], total: int, text: str) -> Iterator[Any]:
    return iter(items)


@pytest.fixture
def found(folder: Callable[..., Path]) -> calibration_images.CalibrationSet:
    return calibration_images.from_folder(folder("photographs", 6), 0)


def test_images_and_kind(found: calibration_images.CalibrationSet) -> None:
    few = calibrate.photographs_of(found, Recipe(images=2), 0)
    assert len(few.photographs) == 2 and set(few.photographs) <= set(found.photographs)
    assert calibrate.photographs_of(found, Recipe(images=2), 0) == few
    centre = calibrate.photographs_of(found, Recipe(kind="centre"), 0)
    assert {photo.kind for photo in centre.photographs} == {"centre"}
    one = calibration_images.CalibrationSet("one", "none", centre.photographs[:1])
    with pytest.raises(UsageError, match="'several'"):
        calibrate.photographs_of(one, Recipe(kind="several"), 0)


def test_what_recipes_decide(
    made: Made, found: calibration_images.CalibrationSet, tmp_path: Path
) -> None:
    path = tmp_path / "float.tflite"
    path.write_bytes(made.float_bytes)

    def calibrated(recipe: Recipe) -> Any:
        return calibrate.calibrate(path, found.photographs, recipe, SIZE, MAX_POINTS, 1, quietly)

    plain = calibrated(Recipe())
    assert not plain.shifts
    assert plain.edit(made.float_bytes) is made.float_bytes
    corrected = calibrated(Recipe(bias_correction=True, inner_images=3))
    assert corrected.ranges == plain.ranges and len(corrected.shifts) > 5
    assert all(np.isfinite(shift).all() for shift in corrected.shifts.values())
    narrow = calibrated(Recipe(ranges="mse"))
    assert not narrow.shifts and narrow.ranges != plain.ranges
    assert all(narrow.ranges[k][1] - narrow.ranges[k][0] <= high - low + 1e-6
               for k, (low, high) in plain.ranges.items() if low <= 0 <= high)
    content = int8.quantize(corrected.edit(made.float_bytes), corrected.ranges)
    assert content != int8.quantize(made.float_bytes, plain.ranges)


@pytest.mark.slow
def test_workers_do_not_matter(
    made: Made, found: calibration_images.CalibrationSet, tmp_path: Path
) -> None:
    path = tmp_path / "float.tflite"
    path.write_bytes(made.float_bytes)
    recipe = Recipe(ranges="mse", bias_correction=True)
    one, two = (calibrate.calibrate(path, found.photographs, recipe, SIZE, MAX_POINTS, n, quietly)
                for n in (1, 2))
    assert one.ranges == two.ranges
    assert all((one.shifts[k] == two.shifts[k]).all() for k in one.shifts)
