"""Engine of the page: photograph + marks -> mask, several answers, OACE picture, cutout."""
from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from oace_tf.clicks import Click, pack_points
from oace_tf.demo.answers import Look, Said, ask, ask_taps, second_look, whole_window
from oace_tf.demo.cutouts import CutoutOptions, cutout
from oace_tf.demo.marks import Mark, gesture_of
from oace_tf.demo.photos import Photo
from oace_tf.errors import UsageError
from oace_tf.evaluation.metrics import mask_agreement
from oace_tf.geometry import BYTE_SCALE, Frame, Window
from oace_tf.gestures import XY
from oace_tf.looks import SMALL_SHARE
from oace_tf.pieces import tidy
from oace_tf.regions import BACKGROUND, label_map, taps_by_label
from oace_tf.runtime.edge_refinement import refine as refined
from oace_tf.runtime.model import TfliteModel, open_model
from oace_tf.runtime.oace_reader import OaceReader, oace_picture
from oace_tf.runtime.split_model import SplitModel, open_split
from oace_tf.segmenter import THRESHOLD, taps_of

OACE_SIDE = 512  # px, the longer side of its picture; the prior makes it smaller still
SMALL_SIDE = 512  # px, the longer side of masks under the pointer
THUMBNAIL_SIDE = 256  # px, the longer side of the several answers
SURELY = 2  # times as large in the preview: such an object is not small in the photograph either
FLOAT_HINT = "not built here: python export/quantize.py --int8 makes it"


View = tuple[np.ndarray, Look]  # a mask as the file gives it, and what it saw


@dataclass(frozen=True, slots=True)
class Answer:
    """A mask for the screen, (h, w) bool, how long the file took, and its several answers.

    Attributes:
      mask: at the size of the preview.
      milliseconds: of the file.
      alternatives: (h, w) bool each, small; none where the file gives one answer.
      scores: the IoU that the file expects of each.
      taken: which of them `mask` is, or None.
    """

    mask: np.ndarray
    milliseconds: float
    alternatives: tuple[np.ndarray, ...] = ()
    scores: tuple[float, ...] = ()
    taken: int | None = None


@dataclass(frozen=True, slots=True)
class Details:
    """What is shown after the mask: OACE and float file, each with a reason where it is missing.

    Attributes:
      oace: (h, w, 3) uint8 RGB, neither side above 512 px, or None.
      oace_note: why there is no OACE, or nothing.
      float_ms: milliseconds of the float file, or None.
      agreement: IoU of its mask with the int8 file's, at the size of the preview.
      float_note: why there is no float answer, or nothing.
    """

    oace: np.ndarray | None
    oace_note: str
    float_ms: float | None
    agreement: float | None
    float_note: str


@dataclass(frozen=True, slots=True)
class Regions:
    """Several objects of one photograph.

    Attributes:
      labels: (h, w) uint8, 0 where no object is.
      legend: what the numbers mean, 0 included.
      milliseconds: of the file, all objects together.
    """

    labels: np.ndarray
    legend: dict[int, str]
    milliseconds: float


class Engine:
    """The files at work. Calls from several threads wait for each other, so that times are true.

    Args:
      int8: the file that answers, or an encoder.
      float32: its float twin, or None where there is none.
      threads: threads of each interpreter.
      decoder: the decoder's file, where `int8` is that of an encoder.
    Raises:
      UsageError: a file cannot be opened; see `runtime.model.open_model`.
    """

    def __init__(self, int8: Path, float32: Path | None, threads: int = 1,
                 decoder: Path | None = None) -> None:
        self.model: TfliteModel | SplitModel
        self.model = (open_model(int8, threads) if decoder is None
                      else open_split(int8, decoder, threads))
        self.float_model = None if float32 is None else open_model(float32, threads)
        if self.float_model is not None and self.float_model.size != self.model.size:
            raise UsageError(f"{float32} takes {self.float_model.size} px, {int8} takes "
                             f"{self.model.size}; they are not of one pair")
        self._threads = threads
        self._oace: OaceReader | None = None
        self._oace_note = ""
        self._lock = threading.Lock()
        self._warm_up()

    @property
    def is_split(self) -> bool:
        """Whether an encoder and a decoder answer, so that masks follow the pointer."""
        return isinstance(self.model, SplitModel)

    def answer(self, photo: Photo, marks: Sequence[Mark], refine: bool = False) -> Answer:
        """Return the mask of the marked object at the size of the preview.

        Args:
          photo: made for this engine's frame.
          marks: in pixels of the photograph.
          refine: whether the mask's edges follow those of the photograph.
        Raises:
          UsageError: the marks do not fit; see `answers.ask`.
        """
        said, views = self._views(photo, marks)
        raw = views[0][0]
        small = _size_within(photo.preview, THUMBNAIL_SIDE)
        masks = tuple(_mask([(one, said.look)], photo, small, marks) for one in said.masks)
        mask = _mask(views, photo, photo.preview, marks, refine)
        same = [k for k, one in enumerate(said.masks) if np.array_equal(one, raw)]
        return Answer(mask, said.milliseconds, masks, tuple(float(one) for one in said.scores),
                      marks[-1].choice if marks[-1].choice is not None else
                      same[0] if same else None)

    def glance(self, photo: Photo, marks: Sequence[Mark]) -> Answer:
        """Return a small mask of what one more tap, the last mark, would give."""
        said = self._ask(photo, marks)
        small = _size_within(photo.preview, SMALL_SIDE)
        return Answer(_mask([(said.mask, said.look)], photo, small, marks), said.milliseconds)

    def details(self, photo: Photo, marks: Sequence[Mark]) -> Details:
        """Return the OACE picture and what the float file says; arguments as `answer`."""
        said = self._ask(photo, marks)
        oace, oace_note = self._oace_picture(photo, said)
        if self.float_model is None:
            return Details(oace, oace_note, None, None, FLOAT_HINT)
        previous = None
        if self.float_model.takes_previous and said.previous is not None:
            previous = said.previous.astype(np.float32) / np.float32(BYTE_SCALE)
        with self._lock:
            start = time.perf_counter()
            raw = self.float_model.run(said.look.seen, said.points, previous)
            milliseconds = 1000 * (time.perf_counter() - start)
        masks = (_mask([(one, said.look)], photo, photo.preview, marks)
                 for one in (raw, said.mask))
        return Details(oace, oace_note, milliseconds, mask_agreement(*masks), "")

    def cutout(self, photo: Photo, marks: Sequence[Mark],
               options: CutoutOptions = CutoutOptions()) -> bytes:
        """Return the cutout at the photograph's own size as the bytes of a PNG file."""
        _, views = self._views(photo, marks)
        mask = _mask(views, photo, photo.image, marks, options.refine)
        return encode(".png", cutout(photo.image, mask, photo.alpha, options))

    def regions(self, photo: Photo, strokes: Mapping[str, list[list[XY]]], refine: bool = False,
                whole: bool = False) -> Regions:
        """Return several objects as one picture of labels, as `TapSegmenter.regions` gives them.

        Args:
          photo: made for this engine's frame.
          strokes: label -> strokes in pixels of the photograph; see `regions.taps_by_label`.
          refine: whether edges follow those of the photograph.
          whole: whether the picture is as large as the photograph; else as its preview.
        Raises:
          UsageError: no object, more strokes than the file takes, or one beside the photograph.
        """
        taps = taps_by_label(strokes, photo.image.shape[:2], self.model.max_points)
        with self._lock:
            said = [ask_taps(self.model, photo.image, photo.memory, own) for own in taps.values()]
        picture = photo.image if whole else photo.preview
        labels = label_map((_probability(one.mask, one.look, photo, picture, refine)
                            for one in said),
                           [_moved(own, photo, picture) for own in taps.values()], THRESHOLD, True)
        return Regions(labels, {0: BACKGROUND, **dict(enumerate(taps, 1))},
                       sum(one.milliseconds for one in said))

    def _ask(self, photo: Photo, marks: Sequence[Mark]) -> Said:
        with self._lock:
            return ask(self.model, photo.image, photo.memory, marks)

    def _views(self, photo: Photo, marks: Sequence[Mark]) -> tuple[Said, list[View]]:
        """Return what the file said, and the masks whose mean counts: one, of small objects two."""
        said, choice = self._ask(photo, marks), marks[-1].choice
        first = (said.chosen(choice), said.look)
        if choice is not None or said.previous is not None or not self.model.gestures:
            return said, [first]
        mask = _mask([first], photo, photo.preview, marks)
        if not 0 < mask.mean() < SURELY * SMALL_SHARE:
            return said, [first]
        if mask.shape != photo.image.shape[:2]:
            mask = _mask([first], photo, photo.image, marks)
        with self._lock:
            second = second_look(self.model, photo.image, photo.memory, marks, mask)
        return said, [first] if second is None else [first, (second.mask, second.look)]

    def _oace_picture(self, photo: Photo, said: Said) -> tuple[np.ndarray | None, str]:
        with self._lock:
            if self._oace is None and not self._oace_note:
                try:
                    self._oace = OaceReader(self.model.path, self._threads)
                except UsageError as error:
                    self._oace_note = str(error)
            if self._oace is None:
                return None, self._oace_note
            oace = self._oace.read(said.look.seen, said.points)
        window = said.look.window
        scale = min(1.0, OACE_SIDE / max(photo.image.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in (
            window.bottom - window.top, window.right - window.left))
        return oace_picture(oace, (height, width)), ""

    def _warm_up(self) -> None:
        """Run each file once: the first call packs the weights and tells nothing of speed."""
        size = self.model.size
        points = pack_points([Click(size / 2, size / 2)], self.model.max_points)
        for model in (self.model, self.float_model):
            if model is not None:
                model.run(np.zeros((size, size, 3), np.uint8), points)


def _size_within(picture: np.ndarray, side: int) -> tuple[int, int]:
    """Return height and width of a picture whose longer side is at most `side` px."""
    scale = min(1.0, side / max(picture.shape[:2]))
    return max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))


def _mask(views: Sequence[View], photo: Photo, picture: np.ndarray | tuple[int, int],
          marks: Sequence[Mark], refine: bool = False) -> np.ndarray:
    """Return the mask as `TapSegmenter.segment` gives it, at the size of a picture.

    Args:
      views: masks as the file gives them, with what it saw of the photograph; their mean counts.
      photo: the photograph.
      picture: the photograph at some size, (h, w, 3) uint8, or that size alone.
      marks: in pixels of the photograph.
      refine: whether edges follow those of the picture, if it is one.
    """
    probabilities = [_probability(raw, look, photo, picture, refine) for raw, look in views]
    mean = sum(probabilities[1:], probabilities[0]) / len(views)
    return tidy(mean >= THRESHOLD, _moved(taps_of(gesture_of(marks)), photo, picture))


def _moved(taps: Sequence[Click], photo: Photo,
           picture: np.ndarray | tuple[int, int]) -> list[Click]:
    """Return taps of the photograph in pixels of a picture of it."""
    height, width = picture if isinstance(picture, tuple) else picture.shape[:2]
    across, down = width / photo.image.shape[1], height / photo.image.shape[0]
    return [Click((tap.x + 0.5) * across - 0.5, (tap.y + 0.5) * down - 0.5, tap.positive)
            for tap in taps]


def _probability(raw: np.ndarray, look: Look, photo: Photo,
                 picture: np.ndarray | tuple[int, int], refine: bool) -> np.ndarray:
    """Return a mask as probabilities at the size of a picture, (h, w) float32."""
    height, width = picture if isinstance(picture, tuple) else picture.shape[:2]
    across, down = width / photo.image.shape[1], height / photo.image.shape[0]
    shown = window = look.window
    if (height, width) != photo.image.shape[:2]:  # whole pixels of the picture, one at least
        left = min(round(window.left * across), width - 1)
        top = min(round(window.top * down), height - 1)
        shown = Window(left, top, max(left + 1, round(window.right * across)),
                       max(top + 1, round(window.bottom * down)))
    if refine and not isinstance(picture, tuple):
        probability = refined(raw, look.seen, np.ascontiguousarray(shown.crop(picture)))
    else:
        frame = Frame(shown.bottom - shown.top, shown.right - shown.left, raw.shape[0])
        probability = frame.mask_back(raw)
    if shown == whole_window(height, width):
        return probability
    return shown.paste(probability, height, width)


def encode(suffix: str, image: np.ndarray) -> bytes:
    """Return an image as the bytes of a file.

    Args:
      suffix: ".png" or ".jpg".
      image: uint8: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA.
    """
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4
                             else cv2.COLOR_RGB2BGR)
    # OpenCV's own setting of PNG is faster, and smaller, than its level 1
    options = [cv2.IMWRITE_JPEG_QUALITY, 90] if suffix == ".jpg" else []
    done, data = cv2.imencode(suffix, image, options)
    if not done:
        raise UsageError(f"an image of {image.shape[1]}x{image.shape[0]} pixels does not fit into "
                         f"{suffix}")
    return data.tobytes()
