"""The picture of the limits, and its tables."""
from __future__ import annotations

import numpy as np

from oace_tf.clicks import Click
from oace_tf.images import read_image
from tests.oace_tf.conftest import tiny_int8  # noqa: F401  (fixture)
from tools.docs import limits


def test_limits_show_every_case_twice() -> None:
    class Everything:
        def segment(self, image: np.ndarray, taps: list[Click]) -> np.ndarray:
            return np.zeros(image.shape[:2], bool)

    picture = limits.columns(Everything())  # type: ignore[arg-type]
    height = limits.HEIGHT
    assert picture.shape == (2 * height + 8, 2 * height + round(1.5 * height) + 16, 3)
    upper, lower = picture[:height].astype(float), picture[height + 8:].astype(float)
    assert lower.mean() < 0.6 * upper.mean()  # all is dimmed where nothing is found
    for case in limits.CASES:
        image = read_image(limits.SAMPLES / case.photograph)
        assert 0 <= case.tap.x < image.shape[1] and 0 <= case.tap.y < image.shape[0]


def test_table_by_thinness_and_size() -> None:
    found = {"n": 7, "miou_at": {"1": 12.5}}
    scores = {"entries": [
        {"kind": "baseline", "dataset": "grabcut", "groups": None},
        {"kind": "int8", "dataset": "coco",
         "groups": {"size": {"small": found}, "thinness": {"thin_parts": found}}},
        {"kind": "int8", "dataset": "bare", "groups": None}]}
    lines = limits.table(scores).splitlines()
    assert lines[2] == "| coco | 12.5 (7) | - | - | 12.5 (7) | - | - |"
    assert lines[3] == "| bare | - | - | - | - | - | - |" and len(lines) == 4
