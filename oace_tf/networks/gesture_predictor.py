"""One trunk as plain functions of arrays, at one size of the frame: for scores and validation."""
from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from oace_tf.clicks import Click
from oace_tf.geometry import NETWORK_SIZE, Frame, normalise
from oace_tf.gestures import Gesture, pack_rows
from oace_tf.networks.gesture_maps import GestureMaps
from oace_tf.networks.gesture_networks import MAX_POINTS, GestureNetworks, build_fused_gestures


class GesturePredictor:
    """Runs the networks on one photograph at a time; it sees the weights that they have then.

    Args:
      networks: built for frames of `config.network_side(size)`, batch 1.
      size: side of the file's square, px.
    """

    def __init__(self, networks: GestureNetworks, size: int = NETWORK_SIZE) -> None:
        self.size, self._side = size, networks.config.network_side(size)
        self._networks, self._maps = networks, GestureMaps(self._side)
        self._fused = build_fused_gestures(networks, MAX_POINTS, size)

    def answer(self, image: np.ndarray, gesture: Gesture | Sequence[Click],
               previous: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability (H, W) and the mask in the frame, (S, S), both float32.

        Args:
          image: (H, W, 3) uint8.
          gesture: in pixels of the photograph, which is shown as a whole.
          previous: the mask in the frame for the gesture before; None for the first.
        """
        if not isinstance(gesture, Gesture):
            gesture = Gesture(taps=tuple(gesture))
        frame = Frame(image.shape[0], image.shape[1], self.size)
        points = pack_rows(frame.rows(gesture.rows()), MAX_POINTS)
        before = np.zeros((self.size, self.size), np.float32) if previous is None else previous
        mask = np.asarray(self._fused.predict_on_batch(
            [normalise(frame.image(image))[None], points[None], before[None, ..., None]]))
        return frame.mask_back(mask[0, ..., 0]), mask[0, ..., 0]

    def mask(self, image: np.ndarray, gesture: Gesture | Sequence[Click]) -> np.ndarray:
        """Return the probability (H, W) float32 of a first gesture; arguments as `answer`."""
        return self.answer(image, gesture, None)[0]

    def oace(self, image_u8: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return the OACE (s, s, 3) float32 in [-1, 1], bilinear from 1/8 of the side.

        Args:
          image_u8: (s, s, 3) uint8, in the networks' own square.
          points: (N, 3) float32 in its pixels.
        """
        features = self._networks.encode(normalise(image_u8)[None])
        given = {**features, **self._maps(pack_rows(points, MAX_POINTS)[None])}
        prior = self._networks.prior
        oace = prior({name: given[name] for name in prior.input})["oace"]
        side = (self._side, self._side)
        return np.asarray(keras.ops.image.resize(oace, side, interpolation="bilinear"))[0]
