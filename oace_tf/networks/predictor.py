"""Predictor of a pair: plain functions of arrays, at one size of the frame."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oace_tf.clicks import Click, disk_maps
from oace_tf.geometry import Frame, normalise
from oace_tf.networks.fused import build_fused
from oace_tf.networks.pair import Pair


class Forward:
    """Runs a pair on one photograph at a time; it sees the weights that the pair has then.

    Args:
      pair: networks of any size, or built for frames of `size`.
      size: side of the networks' frame, px; photographs are brought to the file's first, which
        may be larger.
      max_points: taps at most.
    """

    def __init__(self, pair: Pair, size: int, max_points: int = 1) -> None:
        self._pair, self._size = pair, pair.config.file_side(size)
        self._max_points = max_points
        self._fused = build_fused(pair, max_points, self._size)

    def oace(self, image_u8: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return the OACE of a frame of the networks, (S, S, 3) float32.

        Args:
          image_u8: (S, S, 3) uint8.
          points: (N, 3) float32 x, y, label in pixels of the frame.
        Raises:
          ValueError: the pair has no prior.
        """
        disks = disk_maps(points, image_u8.shape[:2], self._pair.config.click_channels)
        return self._pair.embedding(normalise(image_u8), disks)

    def mask(self, image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
        """Return the (H, W) float32 probability of a photograph and its clicks.

        Args:
          image: (H, W, 3) uint8 RGB.
          clicks: in pixels of the photograph.
        """
        height, width = image.shape[:2]
        frame = Frame(height, width, self._size)
        points = frame.points(clicks, self._max_points)
        mask = self._fused.predict_on_batch([normalise(frame.image(image))[None], points[None]])
        return frame.mask_back(np.asarray(mask)[0, ..., 0])
