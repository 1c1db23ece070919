"""Later rounds: taps on errors, previous masks, gestures that start anew."""
from __future__ import annotations

import numpy as np

from oace_tf.gestures import Label, pack_rows
from oace_tf.training.gesture_scenes import GestureSceneSettings
from oace_tf.training.later_taps import empty_previous, next_round

SETTINGS = GestureSceneSettings(gestures=2, rows=16)


def _batch() -> dict[str, np.ndarray]:
    cover = np.zeros((1, 2, 16, 16), np.uint8)
    cover[0, :, 4:12, 4:12] = 255
    points = np.stack([pack_rows(np.array([[14, 14, 1]], np.float32), 16)] * 2)[None]
    return {"image": np.zeros((1, 32, 32, 3), np.uint8), "cover": cover, "points": points,
            "ignored": np.zeros((1, 16, 16), np.uint8), "outline": np.ones((1, 2), np.float32),
            "twin": np.ones((1, 2), np.float32)}


def test_what_was_missed_gets_an_object_tap_and_what_was_added_a_background_tap():
    batch = _batch()
    probability = np.zeros((2, 16, 16), np.float32)
    probability[0, 4:12, 4:8] = 1.0  # the right half was missed
    probability[1, 0:16, 0:12] = 1.0  # and here the left side was added
    after, previous = next_round(batch, probability, 0.0, 0.0, SETTINGS, np.random.default_rng(0))
    missed, added = after["points"][0, :, 1]
    assert missed[2] == Label.OBJECT and 15.5 <= missed[0] < 24
    assert added[2] == Label.BACKGROUND and (added[0] < 8.5 or added[1] < 8.5 or added[1] > 23)
    assert np.array_equal(after["points"][0, :, 0], batch["points"][0, :, 0])
    assert (batch["points"][0, :, 1:, 2] == Label.UNUSED).all()  # the batch stays as it was
    assert previous.shape == empty_previous(batch).shape
    assert not after["twin"].any()  # two taps on one object no longer
    assert np.array_equal(previous[0, :, :, 0], probability[0].reshape(8, 2, 8, 2).mean((1, 3)))


def test_a_right_answer_and_a_renewed_gesture_start_anew():
    batch = _batch()
    right = np.repeat((batch["cover"][0] > 0).astype(np.float32), 1, axis=0)
    for renewed in (0.0, 1.0):
        probability = right if renewed == 0.0 else np.zeros_like(right)
        after, previous = next_round(batch, probability, renewed, 0.0, SETTINGS,
                                     np.random.default_rng(1))
        assert not previous.any()
        for cover, points in zip(batch["cover"][0], after["points"][0]):
            taps = points[points[:, 2] == Label.OBJECT]
            for x, y, _ in taps:
                assert cover[int(y) // 2, int(x) // 2] > 0


def test_a_gesture_without_a_free_row_starts_anew():
    batch = _batch()
    batch["points"][..., 2] = Label.OBJECT
    after, previous = next_round(batch, np.zeros((2, 16, 16), np.float32), 0.0, 0.0, SETTINGS,
                                 np.random.default_rng(2))
    assert (after["points"][..., 2] == Label.UNUSED).any() and not previous.any()


def test_an_answer_that_is_looked_at_again_gets_no_tap():
    batch = _batch()
    probability = np.random.default_rng(3).random((2, 16, 16), np.float32)
    after, previous = next_round(batch, probability, 0.0, 1.0, SETTINGS, np.random.default_rng(3))
    assert np.array_equal(after["points"], batch["points"])
    assert np.allclose(previous[..., 0], probability.reshape(2, 8, 2, 8, 2).mean((2, 4)))
    assert not after["twin"].any()
