"""Guided predictors: the mask of the clicks before comes along, and only that one."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oace_tf.clicks import Click
from oace_tf.evaluation.previous_mask import Guided
from oace_tf.gestures import Gesture

A, B, C = Click(1, 1), Click(2, 2), Click(3, 3, False)


class Recorder:
    """Answers with the number of its call, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float | None]] = []

    def __call__(self, image: np.ndarray, clicks: Sequence[Click],
                 previous: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append((len(clicks), None if previous is None else float(previous[0, 0])))
        mask = np.full((2, 2), float(len(self.asked)), np.float32)
        return mask / 100, mask


def test_each_click_sees_the_mask_before_it() -> None:
    recorder, image = Recorder(), np.zeros((4, 4, 3), np.uint8)
    predict = Guided(recorder)
    clicks = [A]
    predict(image, clicks)
    clicks.append(B)  # the protocol's list grows in place
    predict(image, clicks)
    clicks.append(C)
    assert predict(image, clicks)[0, 0] == np.float32(0.03)
    assert recorder.asked == [(1, None), (2, 1.0), (3, 2.0)]


def test_whatever_does_not_go_on_starts_anew() -> None:
    recorder, image = Recorder(), np.zeros((4, 4, 3), np.uint8)
    predict = Guided(recorder)
    predict(image, [A])
    predict(image, [A])  # the same again
    predict(image, [B])  # another object
    predict(image, [B, A])  # goes on from B
    predict(image, [A, C])  # and this from A
    predict(image, [A, B, C])  # nobody asked A, B
    predict(image.copy(), [A, C, B])  # another photograph
    predict(image, [A, B])  # two clicks at once
    assert recorder.asked == [(1, None), (1, None), (1, None), (2, 3.0), (2, 2.0), (3, None),
                              (3, None), (2, None)]


def test_a_gesture_goes_on_by_its_taps() -> None:
    recorder, image = Recorder(), np.zeros((4, 4, 3), np.uint8)

    def answer(image: np.ndarray, asked: Gesture, previous: np.ndarray | None,
               ) -> tuple[np.ndarray, np.ndarray]:
        return recorder(image, asked.taps, previous)

    predict = Guided(answer)
    box = (0.0, 0.0, 3.0, 3.0)
    predict(image, Gesture(box=box))
    predict(image, Gesture(box=box, taps=(A,)))
    predict(image, Gesture(box=box, taps=(A, C)))
    predict(image, Gesture(box=(0.0, 0.0, 2.0, 3.0), taps=(A, C)))  # another box
    predict(image, Gesture(taps=(A,)))
    predict(image, Gesture(taps=(A, B)))
    assert recorder.asked == [(0, None), (1, 1.0), (2, 2.0), (2, None), (1, None), (2, 5.0)]
