"""From photographs to a plan: the recipe's choice, and the same plan for any number of workers."""
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
    few = calibrate.chosen(found, Recipe(images=2), 0)
    assert len(few.photographs) == 2 and set(few.photographs) <= set(found.photographs)
    assert calibrate.chosen(found, Recipe(images=2), 0) == few
    centre = calibrate.chosen(found, Recipe(kind="centre"), 0)
    assert {photo.kind for photo in centre.photographs} == {"centre"}
    one = calibration_images.CalibrationSet("one", "none", centre.photographs[:1])
    with pytest.raises(UsageError, match="'several'"):
        calibrate.chosen(one, Recipe(kind="several"), 0)


def test_plans(made: Made, found: calibration_images.CalibrationSet, tmp_path: Path) -> None:
    path = tmp_path / "float.tflite"
    path.write_bytes(made.float_bytes)

    def plan_of(recipe: Recipe) -> Any:
        return calibrate.make_plan(path, found.photographs, recipe, SIZE, MAX_POINTS, 1, quietly)

    plain = plan_of(Recipe())
    assert not plain.factors and not plain.shifts
    assert plain.edit(made.float_bytes) is made.float_bytes
    whole = plan_of(Recipe(bias_correction=True, inner_images=3))
    assert whole.ranges == plain.ranges and len(whole.shifts) > 5
    narrow = plan_of(Recipe(ranges="percentile", percentile=99.0))
    assert all(narrow.ranges[k][1] - narrow.ranges[k][0] <= high - low + 1e-6
               for k, (low, high) in plain.ranges.items() if low <= 0 <= high)
    alone = plan_of(Recipe(equalise=0.5))
    assert alone.factors and not alone.shifts
    even = plan_of(Recipe(equalise=0.5, bias_correction=True))
    assert even.factors == alone.factors
    assert even.factors and even.shifts
    content = int8.quantize(even.edit(made.float_bytes), even.ranges)
    assert content != int8.quantize(made.float_bytes, plain.ranges)
    assert all(np.isfinite(shift).all() for shift in even.shifts.values())


@pytest.mark.slow
def test_workers_do_not_matter(
    made: Made, found: calibration_images.CalibrationSet, tmp_path: Path
) -> None:
    path = tmp_path / "float.tflite"
    path.write_bytes(made.float_bytes)
    recipe = Recipe(equalise=0.5, bias_correction=True)
    one, two = (calibrate.make_plan(path, found.photographs, recipe, SIZE, MAX_POINTS, n, quietly)
                for n in (1, 2))
    assert one.ranges == two.ranges and one.factors == two.factors
    assert all((one.shifts[k] == two.shifts[k]).all() for k in one.shifts)
