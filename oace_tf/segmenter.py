"""Segmenter: image + gesture -> mask of the meant object, at the photograph's own size."""
from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack

import numpy as np

from oace_tf import pictures
from oace_tf.clicks import Click
from oace_tf.errors import MissedTapWarning, UsageError
from oace_tf.geometry import Frame, Window
from oace_tf.gestures import Gesture, pack_rows
from oace_tf.inputs import (
    GestureWords,
    Image,
    Pairs,
    Tap,
    clicks_of,
    gesture_of,
    photograph_of,
)
from oace_tf.looks import Look, around_small, previous_in_frame, window_of
from oace_tf.pieces import missed
from oace_tf.pieces import tidy as tidied
from oace_tf.polygons import POINTS, Polygon, polygons_of
from oace_tf.regions import BACKGROUND, label_map, taps_by_label
from oace_tf.runtime.edge_refinement import Refinement, refine
from oace_tf.runtime.model import TfliteModel, open_model
from oace_tf.runtime.split_model import SplitModel, open_split

DEFAULT_MODEL = Path(__file__).resolve().parent / "weights" / "oace_int8.tflite"
THRESHOLD = 0.5
TAPS = frozenset(("tap", "background"))  # all that a file knows that names no gestures


class TapSegmenter:
    """Segments the objects that are tapped on, or meant by another gesture.

        mask = TapSegmenter().segment("photo.jpg", [(240, 310)])
        mask = TapSegmenter().segment("photo.jpg", taps=[(240, 310)], background=[(20, 20)])

    Making one loads the file, and its first answer packs the weights: make one and keep it. It may
    be used from several threads: it keeps nothing of a call, and runs of the network wait for each
    other. To answer in parallel, give each thread one of its own. It can be pickled, for processes:
    the other side opens the file again. `with` closes it at the end, which frees its memory.

    Every method that answers takes an image, then a gesture by place or by keywords:

      image: a path, bytes, an open file, a PIL image or an array; see `inputs.photograph_of`.
      gesture: taps in pixels of the upright photograph (centres are whole numbers), as `Click`, as
        (x, y), which is a tap on the object, or as (x, y, label), label 0 being the background. Or
        a `Gesture`.
      taps, background, box, extreme, drag, scribble: the same by keywords; see
        `inputs.GestureWords`. Boxes, extreme points and drags need a file that was trained on
        them; a scribble is a row of taps, which every file knows.
      previous: for a file that takes one, the mask of the gesture without its last tap: the mask in
        the frame that `answer` gave, or a mask of the photograph's size, as `segment` or
        `probability` gave it. With None, RITM is asked click by click from the start, as a user
        would, and other files start from nothing.

    All of them raise UsageError: the photograph cannot be read or is no such array; a tap is
    outside it; nothing says which object is meant; more rows than the file takes; a gesture, or a
    previous mask, that the file does not know; the segmenter is closed.

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
      second_look: whether `segment` asks a file of gestures again, where taps alone gave a small
        object, and shows it the part around that object; see `looks.around_small`.
    Raises:
      UsageError: the file is missing, damaged or of another interface; see `open_model`.
    """

    def __init__(self, model_path: str | os.PathLike[str] | None = None, threads: int = 1,
                 sha256: str | None = None, refine: bool | Refinement = False,
                 tidy: bool = True, decoder: str | os.PathLike[str] | None = None,
                 second_look: bool = True) -> None:
        self._arguments = (model_path, threads, sha256, refine, tidy, decoder, second_look)
        self._model: TfliteModel | SplitModel | None
        if decoder is None:
            self._model = open_model(model_file(model_path), threads, sha256)
        else:
            self._model = open_split(model_file(model_path), decoder, threads)
        self.refinement = Refinement() if refine is True else refine or None
        self.tidy = tidy
        self.second_look = second_look

    @property
    def model(self) -> TfliteModel | SplitModel:
        """The opened file.

        Raises:
          UsageError: the segmenter is closed.
        """
        if self._model is None:
            raise UsageError("this TapSegmenter is closed; make another one")
        return self._model

    @model.setter
    def model(self, model: TfliteModel | SplitModel) -> None:
        self._model = model

    @property
    def gestures(self) -> frozenset[str]:
        """What the file knows: `tap`, `background`, and it may be `box`, `extreme`, `drag`."""
        if self.model.gestures:
            return self.model.gestures
        return TAPS if self.model.click_channels == 2 else TAPS - {"background"}

    def close(self) -> None:
        """Let go of the file and its memory; nothing can be asked any more."""
        self._model = None

    def __enter__(self) -> TapSegmenter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._model is None:
            return "<TapSegmenter, closed>"
        model = self._model
        return (f"<TapSegmenter {model.path}: {model.size} px, {model.max_points} rows of "
                f"{', '.join(sorted(self.gestures))}>")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments

    def photograph(self, image: Image) -> Photograph:
        """Return a photograph to be asked about several times: it is read and resized once.

        Where the segmenter has an encoder and a decoder, it is encoded once as well, so that every
        later tap costs the decoder alone.
        """
        picture = photograph_of(image)
        return Photograph(self, picture.image, picture.alpha, picture.colours)

    def segment(self, image: Image, gesture: Sequence[Tap] | Gesture | None = None, *,
                taps: Sequence[Tap] | Click = (), background: Sequence[Tap] | Click = (),
                box: Sequence[float] | np.ndarray | None = None, extreme: Pairs = (),
                drag: Pairs = (), scribble: Pairs = (),
                previous: np.ndarray | None = None) -> np.ndarray:
        """Return the mask of the object: (H, W) bool, where `probability` is >= 0.5.

        With `tidy`, without pieces that hold no object tap and without small holes.

        Warns:
          MissedTapWarning: an object tap lies outside the mask, a background tap inside it, or the
            mask is empty: the file did not follow the gesture.
        """
        return self.photograph(image).segment(
            gesture, previous, taps=taps, background=background, box=box, extreme=extreme,
            drag=drag, scribble=scribble)

    def probability(self, image: Image, gesture: Sequence[Tap] | Gesture | None = None,
                    previous: np.ndarray | None = None,
                    **words: Unpack[GestureWords]) -> np.ndarray:
        """Return the probability that a pixel belongs to the object, (H, W) float32 in [0, 1]."""
        return self.photograph(image).probability(gesture, previous, **words)

    def answer(self, image: Image, gesture: Sequence[Tap] | Gesture | None = None,
               previous: np.ndarray | None = None,
               **words: Unpack[GestureWords]) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability, as `probability`, and the mask in the frame as the file gives it.

        With a box or extreme points the file sees the photograph's part around them, and the mask
        in the frame is of that part.

        Returns:
          (H, W) float32 in [0, 1]; (S, S) uint8 (256 p) of an int8 file, else float32.
        """
        return self.photograph(image).answer(gesture, previous, **words)

    def alternatives(self, image: Image, gesture: Sequence[Tap] | Gesture | None = None,
                     previous: np.ndarray | None = None,
                     **words: Unpack[GestureWords]) -> tuple[np.ndarray, np.ndarray]:
        """Return several answers to one gesture: a part, the object, a larger whole.

        Returns:
          masks, (K, H, W) float32: the probability of each; scores, (K,) float32: the IoU that the
          file predicts for each. In the file's own order.
        Raises:
          UsageError: as the others; a file that gives one answer alone.
        """
        return self.photograph(image).alternatives(gesture, previous, **words)

    def cutout(self, image: Image, gesture: Sequence[Tap] | Gesture | None = None,
               previous: np.ndarray | None = None, **words: Unpack[GestureWords]) -> np.ndarray:
        """Return the object alone, (H, W, 4) uint8 RGBA, transparent where the mask is not.

        What is transparent in the photograph stays so, and keeps its colours.

        Warns:
          MissedTapWarning: as `segment`.
        """
        return self.photograph(image).cutout(gesture, previous, **words)

    def polygon(self, image: Image, gesture: Sequence[Tap] | Gesture | None = None,
                previous: np.ndarray | None = None, *, points: int = POINTS,
                tolerance: float | None = None,
                **words: Unpack[GestureWords]) -> tuple[Polygon, ...]:
        """Return the object's outline, by pieces, the largest first; `annotations` writes them.

        Args:
          points, tolerance: how many control points, or how exact; see `polygons.polygons_of`.
        Warns:
          MissedTapWarning: as `segment`.
        """
        return self.photograph(image).polygon(gesture, previous, points=points,
                                              tolerance=tolerance, **words)

    def regions(self, image: Image,
                strokes: Mapping[str, Pairs]) -> tuple[np.ndarray, dict[int, str]]:
        """Return several objects of one photograph: a picture of labels, and their names.

            labels, legend = segmenter.regions("photo.jpg", {
                "person": [(200, 120), (210, 260)], "wall": [(20, 30), (90, 40)]})

        Each label is asked about alone: its strokes are on the object, those of all other labels on
        its background. Each pixel gets the most probable label, or the background, where none is
        at least 0.5.

        Args:
          strokes: label -> a stroke, which is a list of (x, y), or a list of strokes; a single
            point is a tap. The label `background` is on no object.
        Returns:
          (H, W) uint8, or uint16 where there are more than 255 labels; {0: "background", 1: ...},
          in the order of `strokes`.
        Warns:
          MissedTapWarning: a label got no pixel.
        """
        return self.photograph(image).regions(strokes)

    def _at_full_size(self, mask: np.ndarray, seen: np.ndarray, pixels: np.ndarray,
                      frame: Frame) -> np.ndarray:
        if self.refinement is not None:
            return refine(mask, seen, pixels, self.refinement)
        return frame.mask_back(mask)

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

    Its methods are those of `TapSegmenter`, without the image. It keeps what the file sees of it:
    of the whole, and of the part around the last box. For one thread at a time.

    Attributes:
      pixels: (H, W, 3) uint8 RGB, upright; transparent parts stand on white.
      alpha: (H, W) uint8, its own transparency, or None.
    """

    def __init__(self, segmenter: TapSegmenter, pixels: np.ndarray,
                 alpha: np.ndarray | None = None, colours: np.ndarray | None = None) -> None:
        self.pixels, self.alpha = pixels, alpha
        self._colours = pixels if colours is None else colours
        self._segmenter = segmenter
        self._looks: dict[Window | None, Look] = {}

    def __repr__(self) -> str:
        height, width = self.size_hw
        return f"<Photograph of {width}x{height} pixels for {self._segmenter!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._segmenter, self.pixels, self.alpha, self._colours)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def gesture(self, gesture: Sequence[Tap] | Gesture | None = None,
                **words: Unpack[GestureWords]) -> list[Click] | Gesture:
        """Return a gesture, given as the other methods take it, in pixels of this photograph.

        A scribble is a row of taps by then; taps alone are a list.
        """
        return gesture_of(gesture, words, self.size_hw, self._segmenter.model.max_points)

    def segment(self, gesture: Sequence[Tap] | Gesture | None = None,
                previous: np.ndarray | None = None, **words: Unpack[GestureWords]) -> np.ndarray:
        """Return the mask of the object, (H, W) bool; as `TapSegmenter.segment`."""
        asked = self.gesture(gesture, **words)
        probability, _ = self._answer(asked, previous)
        mask, taps = probability >= THRESHOLD, taps_of(asked)
        if previous is None and self._segmenter.second_look and self._segmenter.model.gestures:
            window = around_small(tidied(mask, taps), _as_gesture(asked))
            if window is not None:
                mask = (probability + self._seen_in(window, _as_gesture(asked))) / 2 >= THRESHOLD
        if self._segmenter.tidy:
            mask = tidied(mask, taps)
        remark = missed(mask, taps)
        if remark:
            _warn(remark)
        return mask

    def probability(self, gesture: Sequence[Tap] | Gesture | None = None,
                    previous: np.ndarray | None = None,
                    **words: Unpack[GestureWords]) -> np.ndarray:
        """Return (H, W) float32 in [0, 1]; as `TapSegmenter.probability`."""
        return self._answer(self.gesture(gesture, **words), previous)[0]

    def answer(self, gesture: Sequence[Tap] | Gesture | None = None,
               previous: np.ndarray | None = None,
               **words: Unpack[GestureWords]) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability and the mask in the frame; as `TapSegmenter.answer`."""
        return self._answer(self.gesture(gesture, **words), previous)

    def cutout(self, gesture: Sequence[Tap] | Gesture | None = None,
               previous: np.ndarray | None = None, **words: Unpack[GestureWords]) -> np.ndarray:
        """Return the object alone, (H, W, 4) uint8 RGBA; as `TapSegmenter.cutout`."""
        return pictures.cutout(self._colours, self.segment(gesture, previous, **words), self.alpha)

    def polygon(self, gesture: Sequence[Tap] | Gesture | None = None,
                previous: np.ndarray | None = None, *, points: int = POINTS,
                tolerance: float | None = None,
                **words: Unpack[GestureWords]) -> tuple[Polygon, ...]:
        """Return the object's outline, by pieces; as `TapSegmenter.polygon`."""
        return polygons_of(self.segment(gesture, previous, **words), points, tolerance)

    def regions(self, strokes: Mapping[str, Pairs]) -> tuple[np.ndarray, dict[int, str]]:
        """Return (H, W) labels and their names; as `TapSegmenter.regions`."""
        segmenter = self._segmenter
        taps = taps_by_label(strokes, self.size_hw, segmenter.model.max_points)
        labels = label_map((self.probability(asked) for asked in taps.values()),
                           list(taps.values()), THRESHOLD, segmenter.tidy)
        numbers = set(np.unique(labels).tolist())
        empty = [name for number, name in enumerate(taps, 1) if number not in numbers]
        if empty:
            _warn(f"nothing was found for {', '.join(map(str, empty))}")
        return labels, {0: BACKGROUND, **dict(enumerate(taps, 1))}

    def alternatives(self, gesture: Sequence[Tap] | Gesture | None = None,
                     previous: np.ndarray | None = None,
                     **words: Unpack[GestureWords]) -> tuple[np.ndarray, np.ndarray]:
        """Return (K, H, W) float32 and their scores, (K,); as `TapSegmenter.alternatives`."""
        model = self._segmenter.model
        if not model.has_alternatives:
            raise UsageError(f"{model.path} gives one answer alone; take a file of the "
                             "interface points-multi")
        asked = _as_gesture(self.gesture(gesture, **words))
        points, look, before, window = self._asked(asked, previous)
        masks, scores = model.run_all(look.seen, points, before)
        return np.stack([self._whole(mask, look, window) for mask in masks]), scores

    def look(self, window: Window | None) -> Look:
        """Return what the file sees of the photograph, or of a part of it."""
        model = self._segmenter.model
        if window not in self._looks:
            part = self.pixels if window is None else np.ascontiguousarray(window.crop(self.pixels))
            # The whole photograph, where it was looked at, and the newest part.
            self._looks = {key: look for key, look in self._looks.items() if key is None}
            self._looks[window] = Look(model, part)
        return self._looks[window]

    def _answer(self, gesture: list[Click] | Gesture, previous: np.ndarray | None,
                ) -> tuple[np.ndarray, np.ndarray]:
        model = self._segmenter.model
        if model.gestures:
            points, look, before, window = self._asked(_as_gesture(gesture), previous)
            mask = look.run(points, before)
            return self._whole(mask, look, window), mask
        taps = self._segmenter._taps(self._taps_alone(gesture))
        look = self.look(None)
        points = self._segmenter._packed(look.frame, taps)
        before = None
        if previous is not None:
            before = self._previous(previous, Gesture(taps=tuple(taps)), None)
        elif model.takes_previous:
            for count in range(_first_positive(taps) + 1, len(taps)):
                before = look.run(self._segmenter._packed(look.frame, taps[:count]), before)
        mask = look.run(points, before)
        return self._whole(mask, look, None), mask

    def _seen_in(self, window: Window, gesture: Gesture) -> np.ndarray:
        """Return the probability (H, W) that a look at a part gives; 0 outside the part."""
        look = self.look(window)
        rows = look.frame.rows(window.rows(gesture.rows()))
        points = pack_rows(rows, self._segmenter.model.max_points)
        return self._whole(look.run(points, None), look, window)

    def _whole(self, mask: np.ndarray, look: Look, window: Window | None) -> np.ndarray:
        """Return a mask of the frame as probabilities of the whole photograph."""
        probability = self._segmenter._at_full_size(mask, look.seen, look.pixels, look.frame)
        return probability if window is None else window.paste(probability, *self.size_hw)

    def _asked(self, gesture: Gesture, previous: np.ndarray | None,
               ) -> tuple[np.ndarray, Look, np.ndarray | None, Window | None]:
        """Return points, what the file sees of the photograph, previous mask and window."""
        model = self._segmenter.model
        unknown = gesture.kinds - self._segmenter.gestures
        if unknown:
            raise UsageError(f"{model.path} was not trained on {', '.join(sorted(unknown))}; "
                             f"it knows {', '.join(sorted(self._segmenter.gestures))}")
        height, width = self.size_hw
        whole = Frame(height, width, model.size)
        for tap in taps_of(gesture):
            whole.click(tap)  # refuses taps outside the photograph
        rows, window = gesture.rows(), window_of(gesture, height, width)
        if window is not None:
            rows = window.rows(rows)
        before = None if previous is None else self._previous(previous, gesture, window)
        if len(rows) > model.max_points:
            raise UsageError(f"the gesture has {len(rows)} rows, {model.path} takes "
                             f"{model.max_points}; leave taps out")
        look = self.look(window)
        return pack_rows(look.frame.rows(rows), model.max_points), look, before, window

    def _previous(self, previous: np.ndarray, gesture: Gesture,
                  window: Window | None) -> np.ndarray:
        model = self._segmenter.model
        if not model.takes_previous:
            raise UsageError(f"{model.path} takes no previous mask; leave `previous` out")
        dtype = np.uint8 if model.quantized else np.float32
        return previous_in_frame(previous, gesture, window, self.size_hw, model.size, dtype)

    def _taps_alone(self, gesture: list[Click] | Gesture) -> Sequence[Click]:
        """Return the taps of a gesture; UsageError where it holds anything else."""
        if not isinstance(gesture, Gesture):
            return gesture
        others = gesture.kinds - TAPS
        if others:
            raise UsageError(f"{self._segmenter.model.path} knows taps alone, no "
                             f"{', '.join(sorted(others))}; give taps or a scribble, or a file "
                             "that was trained on more")
        return gesture.taps


def taps_of(gesture: Sequence[Tap] | Gesture) -> tuple[Click, ...]:
    """Return the taps of a gesture; a drag begins with one on the object."""
    whole = _as_gesture(gesture)
    return (*((Click(*whole.drag[0]),) if whole.drag else ()), *whole.taps)


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


def _warn(remark: str) -> None:
    """Warn of what the file did not follow, at the line that called the library."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        level, frame = level + 1, frame.f_back
    warnings.warn(remark, MissedTapWarning, stacklevel=level)
