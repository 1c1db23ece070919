"""Answers: each knows the one before, what was said is kept, and a box is shown with its margin."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.demo.answers import KEPT, Memory, ask, moved, second_look, whole_window
from oace_tf.demo.marks import Mark
from oace_tf.errors import UsageError
from oace_tf.geometry import Window
from oace_tf.gestures import Gesture
from oace_tf.looks import around_small
from oace_tf.runtime.model import open_model
from oace_tf.segmenter import TapSegmenter

KINDS = frozenset({"tap", "background", "box", "extreme", "drag"})
TAP, OFF = Mark("tap", ((22.0, 40.0),)), Mark("tap", ((60.0, 20.0),), on_object=False)
BOX = Mark("box", ((10.0, 20.0), (40.0, 50.0)))


class Recorded:
    """A file of gestures that keeps what it is asked and answers with a pattern of its own."""

    def __init__(self) -> None:
        self.asked: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = []
        self.size, self.max_points, self.click_channels = 64, 48, 2
        self.takes_previous, self.has_alternatives = True, False
        self.gestures, self.path, self.quantized = KINDS, "recorded", True

    def run(self, seen: np.ndarray, points: np.ndarray,
            previous: np.ndarray | None = None) -> np.ndarray:
        """Return noise that differs from question to question."""
        self.asked.append((seen, points, previous))
        return np.random.default_rng(len(self.asked)).integers(0, 256, (64, 64), np.uint8)


def test_masks_are_handed_back_as_the_library_does_it(kinds: Any) -> None:
    image = np.random.default_rng(1).integers(0, 256, (60, 90, 3), np.uint8)
    ours, library = Recorded(), Recorded()
    said = ask(ours, image, Memory(), [BOX, TAP, OFF])  # type: ignore[arg-type]
    segmenter = TapSegmenter.__new__(TapSegmenter)
    segmenter.model, segmenter.refinement = library, None  # type: ignore[assignment]
    before, box = None, (10.0, 20.0, 40.0, 50.0)
    taps = (Click(22, 40), Click(60, 20, False))
    for count in range(3):
        _, before = segmenter.answer(image, Gesture(box=box, taps=taps[:count]), before)
    np.testing.assert_array_equal(said.mask, before)
    assert len(ours.asked) == len(library.asked) == 3
    for one, other in zip(ours.asked, library.asked):
        for mine, theirs in zip(one, other):
            assert (mine is None) == (theirs is None)
            np.testing.assert_array_equal(mine, theirs)


def test_what_was_said_is_kept(kinds: Any) -> None:
    model, memory, image = Recorded(), Memory(), kinds.halves()
    ask(model, image, memory, [TAP, OFF])  # type: ignore[arg-type]
    assert len(model.asked) == 2
    ask(model, image, memory, [TAP])  # type: ignore[arg-type]
    ask(model, image, memory, [TAP, OFF])  # type: ignore[arg-type]
    assert len(model.asked) == 2
    for k in range(KEPT + 5):
        ask(model, image, memory, [Mark("tap", ((float(k), 1.0),))])  # type: ignore[arg-type]
    assert len(memory.said) == KEPT
    many = [Mark("tap", ((float(k), 2.0),)) for k in range(KEPT + 5)]
    for count in range(1, len(many) + 1):  # more than is kept: still one run a mark
        before = len(model.asked)
        ask(model, image, memory, many[:count])  # type: ignore[arg-type]
        assert len(model.asked) == before + 1
    ask(model, image, memory, [BOX])  # type: ignore[arg-type]
    ask(model, image, memory, [Mark("box", ((1.0, 1.0), (9.0, 9.0)))])  # type: ignore[arg-type]
    assert len(memory.looks) == 2  # the whole, and the newest part


def test_a_mask_moves_from_window_to_window() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255  # the left half of all
    whole, right = whole_window(60, 90), Window(45, 0, 90, 60)
    assert moved(mask, whole, whole, 60, 90) is mask
    there = moved(mask, whole, right, 60, 90)
    assert there.dtype == np.uint8 and there[:, 4:].max() == 0
    back = moved(mask, right, whole, 60, 90)  # the left half of the right half
    assert back[:, :30].max() == 0 and back[:, 34:46].min() == 255 and back[:, 50:].max() == 0


def test_a_small_object_gets_a_second_look(kinds: Any) -> None:
    model, memory, image = Recorded(), Memory(), np.tile(kinds.halves(), (5, 5, 1))
    small = np.zeros(image.shape[:2], bool)
    small[30:50, 15:30] = True
    second = second_look(model, image, memory, [TAP], small)  # type: ignore[arg-type]
    assert second is not None and second.previous is None
    assert second.look.window == around_small(small, Gesture(taps=(Click(22, 40),)))
    assert second_look(model, image, memory, [TAP], small) is second  # type: ignore[arg-type]
    assert second_look(model, image, memory, [BOX], small) is None  # type: ignore[arg-type]
    assert len(model.asked) == 1


def test_a_file_of_taps_is_asked_once(tiny_int8: Path, kinds: Any) -> None:
    memory = Memory()
    said = ask(open_model(tiny_int8), kinds.halves(), memory, [TAP, OFF])
    assert said.previous is None and len(memory.said) == 1 and said.milliseconds > 0
    assert said.chosen(None) is said.mask


def test_several_answers(tiny_multi: Path, kinds: Any) -> None:
    said = ask(open_model(tiny_multi), kinds.halves(), Memory(), [BOX])
    assert said.masks.shape == (3, 32, 32) and said.scores.shape == (3,)
    np.testing.assert_array_equal(said.chosen(1), said.masks[1])
    with pytest.raises(UsageError, match="there is no answer 3"):
        said.chosen(3)


@pytest.mark.parametrize(("marks", "words"), [
    ([BOX], "not trained on box"), ([OFF], "nothing says"),
    ([Mark("tap", ((90.0, 3.0),))], "outside"), ([TAP] * 5, "at most 4")])
def test_refusals(tiny_int8: Path, kinds: Any, marks: list[Mark], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ask(open_model(tiny_int8), kinds.halves(), Memory(), marks)


def test_one_click_channel(kinds: Any) -> None:
    model = SimpleNamespace(**{**vars(Recorded()), "click_channels": 1, "gestures": frozenset()})
    with pytest.raises(UsageError, match="one click channel"):
        ask(model, kinds.halves(), Memory(), [TAP, OFF])  # type: ignore[arg-type]
