"""The answers without a network, on a scene where the right one is known."""
import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.evaluation.baselines import disk_predictor, grabcut_predictor


@pytest.fixture
def scene():
    """Two red squares on noisy green, 80x100."""
    rng = np.random.default_rng(0)
    image = np.array([40, 160, 60]) + rng.normal(0, 8, (80, 100, 3))
    for columns in (slice(20, 45), slice(60, 85)):
        image[28:53, columns] = np.array([200, 50, 40]) + rng.normal(0, 8, (25, 25, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def test_disk_is_a_quarter_of_the_shorter_side(scene):
    mask = disk_predictor(scene, [Click(50, 40), Click(0, 0, False)])
    assert mask.shape == (80, 100) and mask.dtype == np.float32
    assert set(np.unique(mask)) == {0, 1}
    assert mask[40, 30] == mask[20, 50] == 1 and mask[40, 29] == mask[19, 50] == mask[0, 0] == 0


def test_grabcut_finds_the_tapped_square_alone(scene):
    before = scene.copy()
    mask = grabcut_predictor(scene, [Click(32, 40)])
    expected = np.zeros((80, 100))
    expected[28:53, 20:45] = 1
    assert (mask != expected).mean() < 0.01  # measured: 0
    np.testing.assert_array_equal(mask, grabcut_predictor(scene, [Click(32, 40)]))
    np.testing.assert_array_equal(scene, before)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 40)])
def test_tiny_images(shape):
    image = np.zeros((*shape, 3), np.uint8)
    for predict in (disk_predictor, grabcut_predictor):
        mask = predict(image, [Click(0, 0)])
        assert mask.shape == shape and mask[0, 0] == 1
