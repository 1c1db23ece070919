"""Engine of the page: photograph + taps -> mask, OACE picture, cutout, milliseconds."""
from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from oace_tf import pictures
from oace_tf.clicks import Click, pack_points
from oace_tf.demo.photos import Photo
from oace_tf.errors import UsageError
from oace_tf.evaluation.metrics import mask_agreement
from oace_tf.geometry import Frame
from oace_tf.pieces import tidy
from oace_tf.runtime.model import TfliteModel, open_model
from oace_tf.runtime.oace_reader import OaceReader, oace_picture
from oace_tf.segmenter import THRESHOLD

OACE_SIDE = 512  # px, the longer side of its picture; the prior makes it smaller still
FLOAT_HINT = "not built here: python export/quantize.py --int8 makes it"


@dataclass(frozen=True, slots=True)
class Answer:
    """A mask for the screen, (h, w) bool, and how long the file took, in milliseconds."""

    mask: np.ndarray
    milliseconds: float


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


class Engine:
    """The files at work. Calls from several threads wait for each other, so that times are true.

    Args:
      int8: the file that answers.
      float32: its float twin, or None where there is none.
      threads: threads of each interpreter.
    Raises:
      UsageError: a file cannot be opened; see `runtime.model.open_model`.
    """

    def __init__(self, int8: Path, float32: Path | None, threads: int = 1) -> None:
        self.model = open_model(int8, threads)
        self.float_model = None if float32 is None else open_model(float32, threads)
        if self.float_model is not None and self.float_model.size != self.model.size:
            raise UsageError(f"{float32} takes {self.float_model.size} px, {int8} takes "
                             f"{self.model.size}; they are not of one pair")
        self._threads = threads
        self._oace: OaceReader | None = None
        self._oace_note = ""
        self._lock = threading.Lock()
        self._warm_up()

    def answer(self, photo: Photo, taps: Sequence[Click]) -> Answer:
        """Return the mask of the tapped object at the size of the preview.

        Args:
          photo: made for this engine's frame.
          taps: in pixels of the photograph.
        Raises:
          UsageError: the taps do not fit; see `Frame.points`.
        """
        raw, milliseconds = self._run(self.model, photo, taps)
        return Answer(_mask(raw, photo, photo.preview_frame, taps), milliseconds)

    def details(self, photo: Photo, taps: Sequence[Click]) -> Details:
        """Return the OACE picture and what the float file says; arguments as `answer`."""
        oace, oace_note = self._oace_picture(photo, taps)
        if self.float_model is None:
            return Details(oace, oace_note, None, None, FLOAT_HINT)
        raw, milliseconds = self._run(self.float_model, photo, taps)
        masks = (_mask(raw, photo, photo.preview_frame, taps), self.answer(photo, taps).mask)
        return Details(oace, oace_note, milliseconds, mask_agreement(*masks), "")

    def cutout(self, photo: Photo, taps: Sequence[Click]) -> bytes:
        """Return the cutout at the photograph's own size as the bytes of a PNG file."""
        raw, _ = self._run(self.model, photo, taps)
        rgba = pictures.cutout(photo.image, _mask(raw, photo, photo.frame, taps))
        if photo.alpha is not None:
            rgba[..., 3] = np.minimum(rgba[..., 3], photo.alpha)
        return encode(".png", rgba)

    def points(self, photo: Photo, taps: Sequence[Click]) -> np.ndarray:
        """Return the taps as the file's `points`, (N, 3) float32."""
        if self.model.click_channels == 1 and not all(tap.positive for tap in taps):
            raise UsageError("this file has one click channel and takes no background taps")
        return photo.frame.points(taps, self.model.max_points)

    def _run(self, model: TfliteModel, photo: Photo,
             taps: Sequence[Click]) -> tuple[np.ndarray, float]:
        """Return the raw mask and the milliseconds of the one call."""
        points = self.points(photo, taps)
        with self._lock:
            start = time.perf_counter()
            raw = model.run(photo.small, points)
            return raw, 1000 * (time.perf_counter() - start)

    def _oace_picture(self, photo: Photo, taps: Sequence[Click]) -> tuple[np.ndarray | None, str]:
        points = self.points(photo, taps)
        with self._lock:
            if self._oace is None and not self._oace_note:
                try:
                    self._oace = OaceReader(self.model.path, self._threads)
                except UsageError as error:
                    self._oace_note = str(error)
            if self._oace is None:
                return None, self._oace_note
            oace = self._oace.read(photo.small, points)
        scale = min(1.0, OACE_SIDE / max(photo.preview.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in photo.preview.shape[:2])
        return oace_picture(oace, (height, width)), ""

    def _warm_up(self) -> None:
        """Run each file once: the first call packs the weights and tells nothing of speed."""
        size = self.model.size
        points = pack_points([Click(size / 2, size / 2)], self.model.max_points)
        for model in (self.model, self.float_model):
            if model is not None:
                model.run(np.zeros((size, size, 3), np.uint8), points)


def _mask(raw: np.ndarray, photo: Photo, frame: Frame, taps: Sequence[Click]) -> np.ndarray:
    """Return the mask as `TapSegmenter.segment` gives it, at the size of a frame's picture."""
    across, down = frame.width / photo.frame.width, frame.height / photo.frame.height
    shown = [Click((tap.x + 0.5) * across - 0.5, (tap.y + 0.5) * down - 0.5, tap.positive)
             for tap in taps]
    return tidy(frame.mask_back(raw) >= THRESHOLD, shown)


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
