"""Batches of photographs with several gestures: seeded, what cannot be read is skipped."""
from __future__ import annotations

import numpy as np

from oace_tf.training.gesture_batches import BatchPlan, GestureBatches, gesture_batches
from oace_tf.training.gesture_scenes import GestureSceneSettings

SETTINGS = GestureSceneSettings(gestures=3)


def test_batches_depend_on_seed_and_number_alone(dataset):
    plan = BatchPlan(folders=(dataset,), sources=(), exact=(), scenes=SETTINGS, seed=3)
    maker = GestureBatches(plan)
    first, second = maker.batch(4, 64, 2), maker.batch(5, 64, 2)
    skipped: set[str] = set()
    again = list(gesture_batches(plan, [(5, 64, 2), (4, 64, 2)], 0, skipped))
    for name, array in second.items():
        assert np.array_equal(array, again[0][name]) and np.array_equal(first[name], again[1][name])
    assert not np.array_equal(first["image"], second["image"])
    for number in range(12):
        maker.batch(number, 64, 2)
    assert len(maker.skipped) == 1  # the unreadable photograph, named once
