"""The OACE against the disk: ratios by hand, and inputs that must not look good."""
import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.evaluation.tap_ratio import TapRatio, disk_input, summarise, tap_ratio, tap_ratios
from oace_tf.samples.sample import Sample

MASK = np.zeros((80, 100), np.int8)
MASK[20:60, 20:70] = 1
MASK[0] = -1
IMAGE = np.repeat(np.where(MASK == 1, 200, 40).astype(np.uint8)[..., None], 3, axis=2)


def _follows(image, clicks):
    """Knows the object: one answer for all taps on it, another beside it."""
    on = image[round(clicks[0].y), round(clicks[0].x), 0] > 100
    return (image[..., 0] > 100) == on


def _ignores(image, clicks):
    return image[..., 0] / 255


def _noise(image, clicks):
    return np.random.default_rng(int(1000 * clicks[0].x + clicks[0].y)).random(image.shape[:2])


def test_by_hand():
    def place(image, clicks):
        return np.array([clicks[0].x])

    on, beside = [Click(0, 0), Click(2, 0), Click(4, 0)], [Click(10, 0)]
    assert tap_ratio(place, IMAGE, on, beside) == pytest.approx((2 + 4 + 2) / 3 / 8)


def test_what_is_good_and_what_is_not():
    samples = [Sample(name, IMAGE, MASK, "set") for name in "abc"]
    (found,) = {round(ratio.oace, 9) for ratio in tap_ratios(_follows, samples, 6, 0)}
    assert found == 0
    ratios = tap_ratios(_noise, samples, 6, 0)
    assert all(0.95 < ratio.oace < 1.05 for ratio in ratios)
    assert all(0.8 < ratio.disk < 1.05 for ratio in ratios)  # disks on one object overlap at times
    assert [ratio.oace for ratio in tap_ratios(_ignores, samples, 6, 0)] == [1, 1, 1]
    assert tap_ratios(_noise, samples[::-1], 6, 0) == ratios[::-1]  # whatever the order
    assert tap_ratios(_noise, samples, 6, 1) != ratios
    full = Sample("full", IMAGE, np.ones_like(MASK), "set")
    assert tap_ratios(_noise, [full], 6, 0) == []


def test_disk_input():
    disk = disk_input(IMAGE, [Click(49.5, 39.5)])
    assert disk.shape == (512, 512) and disk[255, 255] > 0.9 and disk[255, 270] == 0
    assert 70 < (disk > 0).sum() < 90


def test_summary():
    ratios = [TapRatio(str(k), str(k), 0.2 + 0.01 * k, 1.0) for k in range(10)]
    found = summarise(ratios, 0)
    assert found is not None
    assert found["n"] == 10 and found["oace"] == pytest.approx(0.245) and found["disk"] == 1
    assert found["ci95"]["difference"][0] < -0.755 < found["ci95"]["difference"][1] < 0
    assert found["p"] < 0.01
    assert summarise([], 0) is None
    assert summarise([TapRatio("a", "a", float("nan"), 1.0)], 0) is None
