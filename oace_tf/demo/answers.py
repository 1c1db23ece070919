"""Answers: what a file says of marks, one after the other, each knowing the one before.

A file that takes its last answer (`previous`) is asked mark by mark, as the person saw it. What was
said of a photograph is kept beside it, so that one more tap costs one run, and an undo none.
"""
from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from oace_tf.clicks import Click
from oace_tf.demo.marks import Mark, gesture_of, steps, unchosen
from oace_tf.errors import UsageError
from oace_tf.geometry import BYTE_SCALE, Frame, Window
from oace_tf.gestures import Gesture, pack_rows
from oace_tf.looks import around_small, window_of
from oace_tf.runtime.model import TfliteModel
from oace_tf.runtime.split_model import SplitModel
from oace_tf.segmenter import TAPS

KEPT = 32  # answers a photograph, a quarter of a megabyte each; four times that with alternatives


@dataclass(frozen=True, slots=True)
class Look:
    """What a file sees of a photograph.

    Attributes:
      window: the part that it sees.
      seen: (S, S, 3) uint8 RGB, that part in the frame.
      features: of an encoder, made once; empty elsewhere.
    """

    window: Window
    seen: np.ndarray
    features: dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Said:
    """One answer.

    Attributes:
      look: what the file saw.
      points: (N, 3) float32, what it was asked.
      previous: its answer before, in the frame, or None.
      mask: (S, S), as the file gives it.
      masks: (K, S, S), its several answers; K is 0 for a file with one.
      scores: (K,) float32, the IoU that it expects of each.
      milliseconds: of the one run.
    """

    look: Look
    points: np.ndarray
    previous: np.ndarray | None
    mask: np.ndarray
    masks: np.ndarray
    scores: np.ndarray
    milliseconds: float

    def chosen(self, choice: int | None) -> np.ndarray:
        """Return the mask that was taken, (S, S).

        Raises:
          UsageError: the file gave no such answer.
        """
        if choice is None:
            return self.mask
        if not 0 <= choice < len(self.masks):
            raise UsageError(f"there is no answer {choice}; the file gave {len(self.masks)}")
        return np.asarray(self.masks[choice])


@dataclass(slots=True)
class Memory:
    """What is kept of one photograph: what the file saw of it and said, also at a second look."""

    looks: dict[Window, Look] = field(default_factory=dict)
    said: OrderedDict[tuple[Mark, ...], Said] = field(default_factory=OrderedDict)
    second: OrderedDict[tuple[Mark, ...], Said | None] = field(default_factory=OrderedDict)


def ask(model: TfliteModel | SplitModel, image: np.ndarray, memory: Memory,
        marks: Sequence[Mark]) -> Said:
    """Return what a file says of marks. Not for several threads at once.

    Args:
      model: the file.
      image: (H, W, 3) uint8 RGB, the photograph.
      memory: of this photograph and this file.
      marks: in pixels of the photograph.
    Raises:
      UsageError: nothing says which object is meant; a mark that the file was not trained on; a
        tap beside the photograph; more rows than the file takes.
    """
    check(model, gesture_of(marks), image.shape[0], image.shape[1])
    before: Said | None = None
    before_mask: np.ndarray | None = None
    parts = steps(marks) if model.takes_previous else [tuple(marks)]
    kept = [k for k, part in enumerate(parts) if unchosen(part) in memory.said]
    for part in parts[kept[-1] if kept else 0:]:  # on from the latest answer that is kept
        key = unchosen(part)
        said = memory.said.get(key)
        if said is None:
            said = _run(model, image, memory, gesture_of(part), before, before_mask)
            memory.said[key] = said
            while len(memory.said) > KEPT:
                memory.said.popitem(last=False)
        memory.said.move_to_end(key)
        before, before_mask = said, said.chosen(part[-1].choice)
    assert before is not None  # `gesture_of` refuses marks that mean nothing
    return before


def ask_taps(model: TfliteModel | SplitModel, image: np.ndarray, memory: Memory,
             taps: Sequence[Click]) -> Said:
    """Return what a file says of taps, as `TapSegmenter.probability` asks it; nothing is kept.

    A file of gestures is asked once, one of taps that takes its last answer (RITM) tap by tap.

    Args:
      model, image, memory: as in `ask`.
      taps: in pixels of the photograph.
    Raises:
      UsageError: as `ask`.
    """
    gesture = Gesture(taps=tuple(taps))
    check(model, gesture, image.shape[0], image.shape[1])
    if model.gestures or not model.takes_previous:
        return _run(model, image, memory, gesture, None, None)
    said: Said | None = None
    first = next(place for place, tap in enumerate(taps) if tap.positive)
    for count in range(first + 1, len(taps) + 1):
        said = _run(model, image, memory, Gesture(taps=tuple(taps[:count])), said,
                    None if said is None else said.mask)
    assert said is not None  # `Gesture` refuses taps without one on the object
    return said


def second_look(model: TfliteModel | SplitModel, image: np.ndarray, memory: Memory,
                marks: Sequence[Mark], mask: np.ndarray) -> Said | None:
    """Return what a file says of the part around a small object, as `TapSegmenter.segment` asks.

    Args:
      model, image, memory, marks: as in `ask`.
      mask: (H, W) bool, the first answer, tidied.
    Returns:
      the second answer, whose mean with the first counts; None where the object is not small.
    """
    key = unchosen(marks)
    if key not in memory.second:
        gesture = gesture_of(marks)
        window = around_small(mask, gesture)
        memory.second[key] = None if window is None else _run(model, image, memory, gesture, None,
                                                              None, window)
        while len(memory.second) > KEPT:
            memory.second.popitem(last=False)
    return memory.second[key]


def check(model: TfliteModel | SplitModel, gesture: Gesture, height: int, width: int) -> None:
    """Refuse what the file does not take (UsageError as `ask`)."""
    known = model.gestures or TAPS
    if gesture.kinds - known:
        raise UsageError(f"this file was not trained on {', '.join(sorted(gesture.kinds - known))};"
                         f" it knows {', '.join(sorted(known))}")
    if model.click_channels == 1 and "background" in gesture.kinds:
        raise UsageError("this file has one click channel and takes no background taps")
    frame = Frame(height, width, model.size)
    for tap in gesture.taps:
        frame.click(tap)  # refuses taps outside the photograph
    if len(gesture.rows()) > model.max_points:
        raise UsageError(f"these marks have {len(gesture.rows())} points, the file takes at most "
                         f"{model.max_points}; leave some out")


def look_at(model: TfliteModel | SplitModel, image: np.ndarray, memory: Memory,
            window: Window) -> Look:
    """Return what the file sees of a window; the whole photograph and the newest part are kept."""
    if window not in memory.looks:
        whole = whole_window(*image.shape[:2])
        part = np.ascontiguousarray(window.crop(image))
        seen = Frame(part.shape[0], part.shape[1], model.size).image(part)
        features = model.encode(seen) if isinstance(model, SplitModel) else {}
        memory.looks = {key: look for key, look in memory.looks.items() if key == whole}
        memory.looks[window] = Look(window, seen, features)
    return memory.looks[window]


def whole_window(height: int, width: int) -> Window:
    """Return the window that is all of a photograph."""
    return Window(0, 0, width, height)


def _run(model: TfliteModel | SplitModel, image: np.ndarray, memory: Memory, gesture: Gesture,
         before: Said | None, before_mask: np.ndarray | None,
         window: Window | None = None) -> Said:
    height, width = image.shape[:2]
    window = window or window_of(gesture, height, width) or whole_window(height, width)
    look = look_at(model, image, memory, window)
    frame = Frame(window.bottom - window.top, window.right - window.left, model.size)
    points = pack_rows(frame.rows(window.rows(gesture.rows())), model.max_points)
    previous = None
    if before is not None and before_mask is not None:
        previous = moved(before_mask, before.look.window, window, height, width)
    nothing = np.zeros((0, model.size, model.size), np.uint8), np.zeros(0, np.float32)
    start = time.perf_counter()
    if isinstance(model, SplitModel):
        mask, (masks, scores) = model.decode(look.features, points, previous), nothing
    elif model.has_alternatives:
        masks, scores = model.run_all(look.seen, points, previous)
        mask = model.run(look.seen, points, previous)
    else:
        mask, (masks, scores) = model.run(look.seen, points, previous), nothing
    milliseconds = 1000 * (time.perf_counter() - start)
    return Said(look, points, previous, mask, masks, scores, milliseconds)


def moved(mask: np.ndarray, before: Window, now: Window, height: int, width: int) -> np.ndarray:
    """Return a mask in the frame of one window in the frame of another, in its own dtype."""
    if before == now:
        return mask
    frame = Frame(before.bottom - before.top, before.right - before.left, mask.shape[0])
    part = now.crop(before.paste(frame.mask_back(mask), height, width))
    seen = cv2.resize(part, mask.shape, interpolation=cv2.INTER_LINEAR)
    if mask.dtype == np.uint8:
        return np.minimum(np.rint(seen * np.float32(BYTE_SCALE)), 255).astype(np.uint8)
    return seen
