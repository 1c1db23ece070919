"""The within-pass AUC tells an object-aware embedding from a constant and from a blob."""
import numpy as np
import pytest

from oace_tf.clicks import Click, pack_points
from oace_tf.evaluation.oace_auc import cosine_to_tap, summarise, within_pass_auc
from oace_tf.samples.layouts import Sample

SIZE = 64


def samples():
    """Six photographs, each with a bright tall object off the centre."""
    for index in range(6):
        mask = np.zeros((48, 80), np.int8)
        mask[4:44, 6 + 8 * index:18 + 8 * index] = 1
        image = np.where(mask[..., None] == 1, 220, 30).astype(np.uint8).repeat(3, axis=2)
        yield Sample(f"bar{index}", image, mask, "bars")


def constant(image, points):
    """A collapsed prior: the same vector everywhere."""
    return np.broadcast_to(np.array([0.3, -0.5, 0.8], np.float32), (*image.shape[:2], 3))


def aware(image, points):
    """An embedding that knows the object by its brightness."""
    inside = (image[..., :1] > 128).astype(np.float32)
    return inside * np.array([1, 0, 0], np.float32) + (1 - inside) * np.array([0, 1, 0], np.float32)


def blob(image, points):
    """A prior that only knows how far a pixel is from the tap: the cosine falls with distance."""
    rows, columns = np.mgrid[:image.shape[0], :image.shape[1]]
    angle = np.hypot(columns - points[0, 0], rows - points[0, 1]) / SIZE * np.pi / 2
    return np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], -1).astype(np.float32)


def scored(embed):
    records = within_pass_auc(embed, samples(), np.random.default_rng(3), size=SIZE)
    assert len(records) == 6
    return summarise(records, np.random.default_rng(0))


def test_a_constant_prior_scores_one_half_and_fails():
    result = scored(constant)
    # The cosines of a constant differ in their last bits only where numpy sums in another order.
    assert result["auc"] == pytest.approx(0.5, abs=1e-6)
    assert not result["passed"]


def test_a_blob_around_the_tap_fails():
    result = scored(blob)
    assert result["auc"] == pytest.approx(result["auc_minus_distance"], abs=0.02)
    assert not result["passed"]


def test_an_object_aware_embedding_passes():
    result = scored(aware)
    assert result["auc"] > 0.97  # the frame's resize blurs the outline
    assert result["difference"] == pytest.approx(result["auc"] - result["auc_minus_distance"])
    assert result["ci95"][0] <= result["difference"] <= result["ci95"][1]
    assert result["passed"]


def test_taps_are_uniform_in_the_mask_and_repeatable():
    first = within_pass_auc(aware, samples(), np.random.default_rng(5), size=SIZE)
    again = within_pass_auc(aware, samples(), np.random.default_rng(5), size=SIZE)
    other = within_pass_auc(aware, samples(), np.random.default_rng(6), size=SIZE)
    assert first == again
    assert [record.tap for record in first] != [record.tap for record in other]


def test_cosine_by_hand():
    oace = np.zeros((16, 16, 3), np.float32)
    oace[:, :8] = [2, 0, 0]
    oace[:, 8:] = [3, 3, 0]
    oace[15, 15] = 0
    cosine = cosine_to_tap(oace, pack_points([Click(2, 2)], 1))  # a disk on the left half alone
    assert cosine[0, 0] == pytest.approx(1.0)
    assert cosine[0, 12] == pytest.approx(np.sqrt(0.5))
    assert cosine[15, 15] == 0.0
