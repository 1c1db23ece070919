"""Image + taps -> mask of the tapped object, at the photograph's own size."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oace_tf.clicks import Click, pack_points
from oace_tf.errors import UsageError
from oace_tf.geometry import Frame
from oace_tf.images import read_image
from oace_tf.runtime.edge_refinement import Refinement, refine
from oace_tf.runtime.model import open_model

DEFAULT_MODEL = Path(__file__).resolve().parent / "weights" / "oace_int8.tflite"
THRESHOLD = 0.5

Image = np.ndarray | str | os.PathLike[str]
Tap = Click | tuple[float, float]


class TapSegmenter:
    """Segments the objects that are tapped on.

        mask = TapSegmenter().segment("photo.jpg", [(240, 310)])

    Making one loads the file, and its first answer packs the weights: make one and keep it. It may
    be used from several threads: it keeps nothing of a call, and runs of the network wait for each
    other. To answer in parallel, give each thread one of its own.

    Args:
      model_path: a .tflite file of the interface `points`; None for the one in the package.
      threads: threads of the interpreter.
      sha256: the SHA-256 that the file must have; None not to ask for one.
      refine: whether the mask's edges are drawn along those of the photograph (docs/reference.md);
        settings to take others than its own.
    Raises:
      UsageError: the file is missing, damaged or of another interface; see `open_model`.
    """

    def __init__(self, model_path: str | os.PathLike[str] | None = None, threads: int = 1,
                 sha256: str | None = None, refine: bool | Refinement = False) -> None:
        self.model = open_model(model_file(model_path), threads, sha256)
        self.refinement = Refinement() if refine is True else refine or None

    def probability(self, image: Image, clicks: Sequence[Tap]) -> np.ndarray:
        """Return the probability that a pixel belongs to the tapped object.

        Args:
          image: (H, W, 3) uint8 RGB, or the path of a photograph, which is turned upright.
          clicks: taps in pixels of the upright photograph (centres are whole numbers), as
            `Click` or as (x, y), which is a tap on the object; at least one on the object.
        Returns:
          (H, W) float32 in [0, 1].
        Raises:
          UsageError: the photograph cannot be read or is no such array; a tap is outside it;
            no tap on the object, more taps than the model takes, or background taps for a model
            with one click channel.
        """
        return self.answer(image, clicks)[0]

    def answer(self, image: Image, clicks: Sequence[Tap],
               previous: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability, as `probability`, and the mask in the frame as the file gives it.

        Args:
          image, clicks: as in `probability`.
          previous: for a file that takes one, the mask that this gave for all clicks but the last.
            With None such a file is asked click by click from the start, as a user would.
        Raises:
          UsageError: as `probability`.
        """
        pixels = image if isinstance(image, np.ndarray) else read_image(image)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise UsageError("an image must be (H, W, 3) uint8 RGB, "
                             f"got {pixels.shape} {pixels.dtype}")
        frame = Frame(pixels.shape[0], pixels.shape[1], self.model.size)
        seen = frame.image(pixels)
        taps = self._taps(clicks)
        points = self._packed(frame, taps)
        if self.model.takes_previous and previous is None:
            for count in range(_first_positive(taps) + 1, len(taps)):
                previous = self.model.run(seen, self._packed(frame, taps[:count]), previous)
        mask = self.model.run(seen, points, previous)
        if self.refinement is not None:
            return refine(mask, seen, pixels, self.refinement), mask
        return frame.mask_back(mask), mask

    def segment(self, image: Image, clicks: Sequence[Tap]) -> np.ndarray:
        """Return the mask of the tapped object: (H, W) bool, where `probability` is >= 0.5.

        Raises:
          UsageError: as `probability`.
        """
        return self.probability(image, clicks) >= THRESHOLD

    def points(self, frame: Frame, clicks: Sequence[Tap]) -> np.ndarray:
        """Return taps of the photograph as the model's `points`, (N, 3) float32."""
        return self._packed(frame, self._taps(clicks))

    def _taps(self, clicks: Sequence[Tap]) -> list[Click]:
        """Return the taps as clicks, checked against what the model takes."""
        taps = [click if isinstance(click, Click) else Click(float(click[0]), float(click[1]))
                for click in clicks]
        if self.model.click_channels == 1 and not all(tap.positive for tap in taps):
            raise UsageError(f"{self.model.path} has one click channel and takes no background "
                             "taps; leave them out or take a model with two")
        return taps

    def _packed(self, frame: Frame, taps: Sequence[Click]) -> np.ndarray:
        """Return the taps as the model's `points`, (N, 3) float32."""
        return pack_points([frame.click(tap) for tap in taps], self.model.max_points)


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
