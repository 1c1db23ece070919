"""Segmenter: image + taps -> mask of the tapped object, at the photograph's own size."""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.geometry import BYTE_SCALE, Frame, Window, window_around
from oace_tf.gestures import Gesture, pack_rows
from oace_tf.inputs import Image, Tap, clicks_of, pixels_of
from oace_tf.pieces import tidy as tidied
from oace_tf.runtime.edge_refinement import Refinement, refine
from oace_tf.runtime.model import TfliteModel, open_model
from oace_tf.runtime.split_model import SplitModel, open_split

DEFAULT_MODEL = Path(__file__).resolve().parent / "weights" / "oace_int8.tflite"
THRESHOLD = 0.5
TAPS = frozenset(("tap", "background"))  # all that a file knows that names no gestures
BOX_MARGIN = 0.1  # of the box's longer side, shown around it


class TapSegmenter:
    """Segments the objects that are tapped on.

        mask = TapSegmenter().segment("photo.jpg", [(240, 310)])

    Making one loads the file, and its first answer packs the weights: make one and keep it. It may
    be used from several threads: it keeps nothing of a call, and runs of the network wait for each
    other. To answer in parallel, give each thread one of its own.

    Args:
      model_path: a .tflite file of the interface `points`, or an encoder; None for the one in the
        package.
      threads: threads of the interpreter.
      sha256: the SHA-256 that the file must have; None not to ask for one.
      refine: whether the mask's edges are drawn along those of the photograph (docs/reference.md);
        settings to take others than its own.
      tidy: whether `segment` drops pieces without a tap and fills small holes; see `pieces.tidy`.
      decoder: the decoder's file, where `model_path` is that of an encoder; `sha256` is then not
        asked for.
    Raises:
      UsageError: the file is missing, damaged or of another interface; see `open_model`.
    """

    def __init__(self, model_path: str | os.PathLike[str] | None = None, threads: int = 1,
                 sha256: str | None = None, refine: bool | Refinement = False,
                 tidy: bool = True, decoder: str | os.PathLike[str] | None = None) -> None:
        self.model: TfliteModel | SplitModel
        if decoder is None:
            self.model = open_model(model_file(model_path), threads, sha256)
        else:
            self.model = open_split(model_file(model_path), decoder, threads)
        self.refinement = Refinement() if refine is True else refine or None
        self.tidy = tidy

    def probability(self, image: Image, clicks: Sequence[Tap] | Gesture) -> np.ndarray:
        """Return the probability that a pixel belongs to the tapped object.

        Args:
          image: a path, bytes, an open file, a PIL image or an array; see `inputs.pixels_of`.
          clicks: taps in pixels of the upright photograph (centres are whole numbers), as
            `Click`, as (x, y), which is a tap on the object, or as (x, y, label), label 0 being the
            background; at least one on the object. Or a `Gesture`, for a file that was trained on
            more than taps.
        Returns:
          (H, W) float32 in [0, 1].
        Raises:
          UsageError: the photograph cannot be read or is no such array; a tap is outside it;
            no tap on the object, more taps than the model takes, or background taps for a model
            with one click channel.
        """
        return self.answer(image, clicks)[0]

    def answer(self, image: Image, gesture: Sequence[Tap] | Gesture,
               previous: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability, as `probability`, and the mask in the frame as the file gives it.

        With a box or extreme points the file sees the photograph's part around them, and the mask
        in the frame is of that part.

        Args:
          image: as in `probability`.
          gesture: taps as in `probability`, or a `Gesture` in pixels of the upright photograph.
          previous: for a file that takes one, the mask in the frame that this gave for the same
            gesture without its last tap. With None, RITM is asked click by click from the start,
            as a user would, and other files start from nothing.
        Raises:
          UsageError: as `probability`; a gesture that the file was not trained on.
        """
        return self._answer(self.photograph(image), gesture, previous)

    def photograph(self, image: Image) -> Photograph:
        """Return a photograph to be asked about several times: it is read and resized once.

        Where the segmenter has an encoder and a decoder, it is encoded once as well, so that every
        later tap costs the decoder alone.

        Args:
          image: as in `probability`.
        Raises:
          UsageError: the photograph cannot be read or is no such array.
        """
        return Photograph(self, pixels_of(image))

    def _answer(self, photograph: Photograph, gesture: Sequence[Tap] | Gesture,
                previous: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        if self.model.gestures:
            return self._of_gesture(photograph, _as_gesture(gesture), previous)
        if isinstance(gesture, Gesture):
            gesture = self._taps_alone(gesture)
        look = photograph.look(None)
        taps = self._taps(gesture)
        points = self._packed(look.frame, taps)
        if self.model.takes_previous and previous is None:
            for count in range(_first_positive(taps) + 1, len(taps)):
                previous = look.run(self._packed(look.frame, taps[:count]), previous)
        mask = look.run(points, previous)
        return self._at_full_size(mask, look.seen, look.pixels, look.frame), mask

    def _of_gesture(self, photograph: Photograph, gesture: Gesture,
                    previous: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        points, look, previous, window = self._asked(photograph, gesture, previous)
        mask = look.run(points, previous)
        probability = self._at_full_size(mask, look.seen, look.pixels, look.frame)
        if window is not None:
            probability = window.paste(probability, *photograph.pixels.shape[:2])
        return probability, mask

    def _asked(self, photograph: Photograph, gesture: Gesture, previous: np.ndarray | None,
               ) -> tuple[np.ndarray, Look, np.ndarray | None, Window | None]:
        """Return points, what the file sees of the photograph, previous mask and window."""
        unknown = gesture.kinds - (self.model.gestures or TAPS)
        if unknown:
            raise UsageError(f"{self.model.path} was not trained on {', '.join(sorted(unknown))}; "
                             f"it knows {', '.join(sorted(self.model.gestures or TAPS))}")
        height, width = photograph.pixels.shape[:2]
        whole = Frame(height, width, self.model.size)
        for tap in gesture.taps:
            whole.click(tap)  # refuses taps outside the photograph
        rows, window = gesture.rows(), window_of(gesture, height, width)
        if window is not None:
            rows = window.rows(rows)
            if previous is not None and gesture.taps:
                previous = _moved(previous, _without_last_tap(gesture, height, width), window,
                                  (height, width))
        if len(rows) > self.model.max_points:
            raise UsageError(f"the gesture has {len(rows)} rows, {self.model.path} takes "
                             f"{self.model.max_points}; leave taps out")
        look = photograph.look(window)
        return pack_rows(look.frame.rows(rows), self.model.max_points), look, previous, window

    def alternatives(self, image: Image, gesture: Sequence[Tap] | Gesture,
                     previous: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return several answers to one gesture: a part, the object, a larger whole.

        Args:
          image, gesture, previous: as in `answer`.
        Returns:
          masks, (K, H, W) float32: the probability of each; scores, (K,) float32: the IoU that the
          file predicts for each. In the file's own order.
        Raises:
          UsageError: as `answer`; a file that gives one answer alone.
        """
        if not self.model.has_alternatives:
            raise UsageError(f"{self.model.path} gives one answer alone; take a file of the "
                             "interface points-multi")
        photograph = self.photograph(image)
        points, look, previous, window = self._asked(photograph, _as_gesture(gesture), previous)
        masks, scores = self.model.run_all(look.seen, points, previous)
        whole = [self._at_full_size(mask, look.seen, look.pixels, look.frame) for mask in masks]
        if window is not None:
            whole = [window.paste(mask, *photograph.pixels.shape[:2]) for mask in whole]
        return np.stack(whole), scores

    def _at_full_size(self, mask: np.ndarray, seen: np.ndarray, pixels: np.ndarray,
                      frame: Frame) -> np.ndarray:
        if self.refinement is not None:
            return refine(mask, seen, pixels, self.refinement)
        return frame.mask_back(mask)

    def _taps_alone(self, gesture: Gesture) -> tuple[Click, ...]:
        """Return the taps of a gesture; UsageError where it holds anything else."""
        others = gesture.kinds - {"tap", "background"}
        if others:
            raise UsageError(f"{self.model.path} knows taps alone, no {', '.join(sorted(others))}")
        return gesture.taps

    def segment(self, image: Image, clicks: Sequence[Tap] | Gesture) -> np.ndarray:
        """Return the mask of the tapped object: (H, W) bool, where `probability` is >= 0.5.

        With `tidy`, without pieces that hold no object tap and without small holes.

        Raises:
          UsageError: as `probability`.
        """
        mask = self.probability(image, clicks) >= THRESHOLD
        return tidied(mask, taps_of(clicks)) if self.tidy else mask

    def points(self, frame: Frame, clicks: Sequence[Tap]) -> np.ndarray:
        """Return taps of the photograph as the model's `points`, (N, 3) float32."""
        return self._packed(frame, self._taps(clicks))

    def _taps(self, clicks: Sequence[Tap]) -> list[Click]:
        """Return the taps as clicks, checked against what the model takes."""
        taps = clicks_of(clicks)
        if self.model.click_channels == 1 and not all(tap.positive for tap in taps):
            raise UsageError(f"{self.model.path} has one click channel and takes no background "
                             "taps; leave them out or take a model with two")
        return taps

    def _packed(self, frame: Frame, taps: Sequence[Click]) -> np.ndarray:
        """Return the taps as the model's `points`, (N, 3) float32."""
        return frame.points(taps, self.model.max_points)


class Photograph:
    """A photograph that several gestures are asked about. Made by `TapSegmenter.photograph`.

    It keeps what the file sees of it: of the whole, and of the part around the last box. For one
    thread at a time.

    Attributes:
      pixels: (H, W, 3) uint8 RGB, upright.
    """

    def __init__(self, segmenter: TapSegmenter, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self._segmenter = segmenter
        self._looks: dict[Window | None, Look] = {}

    def answer(self, gesture: Sequence[Tap] | Gesture, previous: np.ndarray | None = None,
               ) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability and the mask in the frame; as `TapSegmenter.answer`."""
        return self._segmenter._answer(self, gesture, previous)

    def look(self, window: Window | None) -> Look:
        """Return what the file sees of the photograph, or of a part of it."""
        if window not in self._looks:
            part = self.pixels if window is None else np.ascontiguousarray(window.crop(self.pixels))
            # The whole photograph, where it was looked at, and the newest part.
            self._looks = {key: look for key, look in self._looks.items() if key is None}
            self._looks[window] = Look(self._segmenter.model, part)
        return self._looks[window]


class Look:
    """What a file sees of a photograph or a part of it.

    Attributes:
      pixels: (h, w, 3) uint8, the part.
      frame: of the part.
      seen: (S, S, 3) uint8, the part in the frame.
    """

    def __init__(self, model: TfliteModel | SplitModel, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.frame = Frame(pixels.shape[0], pixels.shape[1], model.size)
        self.seen = self.frame.image(pixels)
        self._model = model
        self._features: dict[str, np.ndarray] | None = None

    def run(self, points: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
        """Return the mask; as `TfliteModel.run`."""
        if not isinstance(self._model, SplitModel):
            return self._model.run(self.seen, points, previous)
        if self._features is None:
            self._features = self._model.encode(self.seen)
        return self._model.decode(self._features, points, previous)


def taps_of(gesture: Sequence[Tap] | Gesture) -> tuple[Click, ...]:
    """Return the taps of a gesture; a drag begins with one on the object."""
    whole = _as_gesture(gesture)
    return (*((Click(*whole.drag[0]),) if whole.drag else ()), *whole.taps)


def window_of(gesture: Gesture, height: int, width: int) -> Window | None:
    """Return the part of a photograph that a file sees of a gesture; None for all of it.

    With a box or extreme points it is what lies around them and the object taps.

    Raises:
      UsageError: the box or the points lie beside the photograph.
    """
    if gesture.bounds is None:
        return None
    inside = [[tap.x, tap.y] for tap in gesture.taps if tap.positive]
    points = np.concatenate([gesture.bounds, np.array(inside).reshape(-1, 2)])
    return window_around(points, height, width, BOX_MARGIN)


def _without_last_tap(gesture: Gesture, height: int, width: int) -> Window:
    window = window_of(replace(gesture, taps=gesture.taps[:-1]), height, width)
    assert window is not None
    return window


def _moved(mask: np.ndarray, before: Window, now: Window, size_hw: tuple[int, int]) -> np.ndarray:
    """Return a mask in the frame of one window in the frame of another, in its own dtype."""
    if before == now:
        return mask
    frame = Frame(before.bottom - before.top, before.right - before.left, mask.shape[0])
    part = now.crop(before.paste(frame.mask_back(mask), *size_hw))
    moved = cv2.resize(part, mask.shape, interpolation=cv2.INTER_LINEAR)
    if mask.dtype == np.uint8:
        return np.minimum(np.rint(moved * np.float32(BYTE_SCALE)), 255).astype(np.uint8)
    return moved


def _as_gesture(gesture: Sequence[Tap] | Gesture) -> Gesture:
    if isinstance(gesture, Gesture):
        return gesture
    return Gesture(taps=tuple(clicks_of(gesture)))


def model_file(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the path given, or that of the file in the package.

    Raises:
      UsageError: none is given and the package holds none.
    """
    if path is not None:
        return Path(path)
    if not DEFAULT_MODEL.is_file():
        raise UsageError(f"the package holds no model ({DEFAULT_MODEL} is missing); make one "
                         "with `python export/quantize.py --int8` and give its path")
    return DEFAULT_MODEL


def _first_positive(taps: Sequence[Click]) -> int:
    """Return the place of the first tap on the object."""
    return next(place for place, tap in enumerate(taps) if tap.positive)
