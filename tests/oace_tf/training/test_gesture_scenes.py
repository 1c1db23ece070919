"""Scenes with several gestures: masks fit their gestures, every draw is seeded."""
from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.gestures import Label
from oace_tf.training.gesture_scenes import (
    GestureSceneSettings,
    make_gesture_scene,
)
from oace_tf.training.gesture_simulation import GestureShares
from oace_tf.training.scenes import Layered

TAPS = GestureShares(tap=1, taps=0, box=0, box_tap=0, extreme=0, drag=0, scribble=0)
SETTINGS = GestureSceneSettings(gestures=5, shares=TAPS)


def _base() -> Layered:
    image = np.full((80, 120, 3), 60, np.uint8)
    left, right = np.zeros((80, 120), np.uint8), np.zeros((80, 120), np.uint8)
    left[10:60, 10:50] = 1
    right[20:70, 70:110] = 1
    image[left > 0], image[right > 0] = (220, 60, 60), (60, 60, 220)
    return Layered(image, (left, right))


def test_each_tap_lies_on_its_own_mask():
    for seed in range(30):
        scene = make_gesture_scene(_base(), seed % 2, True, [(_base(), 0, False)], 64, SETTINGS,
                                   np.random.default_rng(seed))
        assert scene is not None
        assert scene.image.shape == (64, 64, 3) and scene.cover.shape == (5, 32, 32)
        for cover, points in zip(scene.cover, scene.points):
            used = points[points[:, 2] == Label.OBJECT]
            assert len(used) == 1
            # A cell of 2 x 2 px with a tapped pixel is at least a quarter object.
            assert cover[int(used[0, 1]) // 2, int(used[0, 0]) // 2] >= 60


def test_several_objects_are_tapped_in_one_photograph():
    whole = dataclasses.replace(SETTINGS, crop=0, cut=0, close=0, paste=0)
    scene = make_gesture_scene(_base(), 0, True, [], 64, whole, np.random.default_rng(2))
    assert scene is not None
    assert len({cover.tobytes() for cover in scene.cover}) == 2


def test_pasted_objects_are_trusted_as_their_source_is():
    everything = dataclasses.replace(SETTINGS, gestures=40, crop=0, cut=0, close=0)
    scene = make_gesture_scene(_base(), 0, True, [(_base(), 1, False)], 64, everything,
                               np.random.default_rng(4))
    assert scene is not None and set(scene.outline) == {0.0, 1.0}


def test_a_photograph_without_a_large_object_gives_none():
    tiny = Layered(np.zeros((80, 80, 3), np.uint8), (np.eye(80, dtype=np.uint8)[:1].repeat(80, 0)
                                                     * np.eye(80, dtype=np.uint8),))
    whole = dataclasses.replace(SETTINGS, crop=0, cut=0, close=0)
    assert make_gesture_scene(tiny, 0, True, [], 64, whole, np.random.default_rng(0)) is None


def test_twins_are_two_taps_on_one_object_side_by_side():
    mixed = GestureShares(tap=0, taps=0, box=1, box_tap=0, extreme=0, drag=0, scribble=0)
    half = GestureSceneSettings(gestures=6, shares=mixed, twins=0.5)
    counts = []
    for seed in range(40):
        scene = make_gesture_scene(_base(), 0, True, [(_base(), 1, False)], 64, half,
                                   np.random.default_rng(seed))
        assert scene is not None
        counts.append(scene.twin.sum() / 2)
        for first in range(0, 6, 2):
            assert scene.twin[first] == scene.twin[first + 1]
            labels = scene.points[first:first + 2, :, 2]
            if scene.twin[first]:
                assert np.array_equal(scene.cover[first], scene.cover[first + 1])
                assert (labels == Label.OBJECT).sum(axis=1).tolist() == [1, 1]
                assert not (labels == Label.CORNER).any()
            else:
                assert (labels == Label.CORNER).sum(axis=1).tolist() == [1, 1]
    assert 1.0 < np.mean(counts) < 2.0 and set(counts) > {1.0, 2.0}


def test_without_twins_no_draw_is_made_for_them():
    even = dataclasses.replace(SETTINGS, gestures=6)
    scene, drawn = (make_gesture_scene(_base(), 0, True, [], 64, settings, np.random.default_rng(5))
                    for settings in (even, dataclasses.replace(even, twins=1e-9)))
    assert scene is not None and drawn is not None
    assert not scene.twin.any() and not drawn.twin.any()
    assert np.array_equal(scene.cover, drawn.cover)  # chosen before
    assert not np.array_equal(scene.points, drawn.points)  # three draws lie between


def test_twins_need_an_even_number_of_gestures():
    with pytest.raises(UsageError, match="scenes.gestures is 5, expected an even number"):
        GestureSceneSettings(gestures=5, twins=0.3)
