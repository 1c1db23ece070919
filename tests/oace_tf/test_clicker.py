"""The simulated user against a plain slow rule and cases worked by hand."""
import numpy as np
import pytest

from oace_tf.clicker import edge_distance, first_click, next_click
from oace_tf.clicks import Click
from oace_tf.errors import UsageError


def _slow_squared_depth(region):
    """Squared distance to the nearest pixel outside, whole numbers; the border ring is outside."""
    height, width = region.shape
    outside = [(row, column) for row in range(-1, height + 1) for column in range(-1, width + 1)
               if not (0 <= row < height and 0 <= column < width and region[row, column])]
    depth = np.zeros(region.shape, int)
    for row, column in zip(*np.nonzero(region)):
        depth[row, column] = min((row - r) ** 2 + (column - c) ** 2 for r, c in outside)
    return depth


def slow_next(mask, prediction, clicked):
    best, found = 0, None
    for positive, region in ((False, (mask == 0) & prediction), (True, (mask == 1) & ~prediction)):
        depth = _slow_squared_depth(region)
        for row in range(mask.shape[0]):
            for column in range(mask.shape[1]):
                if depth[row, column] > best and (row, column) not in clicked:
                    best, found = depth[row, column], Click(column, row, positive)
    return found


def _blocks(rng, shape, values):
    """Coarse random masks: thick regions and many ties."""
    coarse = rng.choice(values, size=(shape[0] // 3 + 1, shape[1] // 3 + 1))
    return np.kron(coarse, np.ones((3, 3), int))[: shape[0], : shape[1]]


@pytest.mark.parametrize("seed", range(20))
def test_against_the_slow_rule(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(4, 15, 2))
    mask = _blocks(rng, shape, [1, 1, 0, -1]).astype(np.int8)
    mask[shape[0] // 2, shape[1] // 2] = 1
    nothing = np.zeros(shape, bool)
    assert first_click(mask) == slow_next(mask, nothing, [])
    prediction = _blocks(rng, shape, [0, 1]).astype(bool)
    clicks, pixels = [first_click(mask)], [(int(first_click(mask).y), int(first_click(mask).x))]
    for _ in range(5):
        click = next_click(mask, prediction, clicks)
        assert click == slow_next(mask, prediction, pixels)
        if click is None:
            break
        clicks.append(click)
        pixels.append((int(click.y), int(click.x)))


@pytest.mark.parametrize("seed", range(5))
def test_distances_are_exact(seed):
    rng = np.random.default_rng(seed)
    region = rng.random((30, 40)) < 0.97
    expected = np.sqrt(_slow_squared_depth(region))
    np.testing.assert_array_equal(edge_distance(region), expected)


def test_equal_distances_are_equal_wherever_they_are():
    """OpenCV's own float32 figures are not: see `edge_distance`."""
    rng = np.random.default_rng(2)
    distance = edge_distance(rng.random((300, 400)) < 0.999)
    assert np.array_equal(np.unique(distance), np.sqrt(np.unique(np.rint(distance**2))))


def test_long_distances_are_exact():
    region = np.ones((1401, 1901), bool)
    region[700, 0] = False
    distance = edge_distance(region)
    assert distance[700, 600] == 600
    assert distance[699, 600] == np.sqrt(600**2 + 1)
    assert distance[700, 1000] == 701  # the ring above


def _mask(*rows):
    return np.array([[{"#": 1, ".": 0, "?": -1}[c] for c in row] for row in rows], np.int8)


def test_first_click_in_the_middle():
    assert first_click(_mask(".....", ".###.", ".###.", ".###.", ".....")) == Click(2, 2)


def test_the_images_border_counts_as_edge():
    """Without the border the object's corner would be the farthest from the background."""
    assert first_click(_mask("####.", "####.", "####.", "####.", ".....")) == Click(1, 1)
    assert first_click(_mask("###", "###", "###")) == Click(1, 1)


def test_ties_go_to_the_first_in_row_order():
    assert first_click(_mask("####", "####", "####", "####")) == Click(1, 1)
    assert first_click(_mask("..#", "#..")) == Click(2, 0)


def test_ignored_pixels_are_outside_the_object():
    assert first_click(_mask("?????", "?###?", "?####", "?###?", "?????")) == Click(2, 2)
    assert first_click(_mask("#????")) == Click(0, 0)


def test_equal_errors_go_to_the_false_positive():
    mask = _mask("###....")
    prediction = _mask("....###") == 1
    assert next_click(mask, prediction, []) == Click(4, 0, positive=False)
    assert next_click(mask, prediction, [Click(4, 0, False), Click(5, 0, False), Click(6, 0, False)]
                      ) == Click(0, 0)


def test_the_deeper_error_wins():
    mask = _mask("###.....", "###.....", "###.....", "........")
    prediction = np.zeros(mask.shape, bool)
    prediction[3] = True
    assert next_click(mask, prediction, []) == Click(1, 1, positive=True)
    mask = 1 - mask
    assert next_click(mask, mask == 0, []) == Click(1, 1, positive=False)


def test_clicked_pixels_are_left_out():
    mask = _mask("###", "###", "###")
    nothing = np.zeros(mask.shape, bool)
    assert next_click(mask, nothing, [Click(1, 1)]) == Click(0, 0)
    assert next_click(mask, nothing, [Click(1, 1), Click(0, 0)]) == Click(1, 0)


def test_nothing_left_to_click():
    mask = _mask("#?")
    assert next_click(mask, np.array([[True, True]]), []) is None  # ignored pixels are no error
    assert next_click(mask, np.array([[False, False]]), [Click(0, 0)]) is None


def test_a_mask_without_object():
    with pytest.raises(UsageError, match="without an object"):
        first_click(_mask("..?"))
