"""Fused model: photograph and taps in, mask out (image, points -> disks -> prior -> MSFNet).

Where the networks see a smaller square than the file's (`NetworkConfig.frame`), the photograph is
resized and the taps are moved to it first, and the logits are resized back before the sigmoid.

Shapes: image (B, S, S, 3) float32 in [-1, 1), points (B, N, 3) float32 (x, y in pixels of the
S-frame, label 1 object, 0 background, -1 unused) -> mask (B, S, S, 1) float32 probability.

The taps are drawn inside the model by operators that one TFLite delegate takes whole. Boolean
operators, slices that drop an axis and integer arithmetic would all leave it, so the rule
"on where (i - x)^2 + (j - y)^2 <= 25" is written with slices that keep the axis, a minimum over
the taps and two rectifiers, and still is exact in float32. `clicks.draw_disks` is the reference.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from oace_tf.clicks import DISK_ON, DISK_RADIUS, FAR, STEEP
from oace_tf.networks.layers import Resized

DISKS_LAYER = "disks"
MASK_LAYER = "mask"


def labels_of(click_channels: int) -> tuple[float, ...]:
    """Return the label each disk map draws: (1,) for one map, (1, 0) for two.

    Raises:
      ValueError: `click_channels` is neither 1 nor 2.
    """
    if click_channels not in (1, 2):
        raise ValueError(f"click_channels is {click_channels}; it must be 1 or 2")
    return (1.0, 0.0)[:click_channels]


@keras.saving.register_keras_serializable(package="oace_tf")
class Disks(keras.layers.Layer):
    """Draws one disk map per label: points (B, N, 3) float32 -> (B, S, S, labels) float32.

    A pixel is 127/128 where its centre is at most `DISK_RADIUS` pixels from a tap of the map's
    label, else 0. Taps may lie anywhere, also at fractions and outside the frame. Where `frame` is
    given, they are in pixels of a square of that side and are moved to that of side S: x' =
    (x + 0.5) S / frame - 0.5.
    Source: paper, section 3.1 (disks of radius 5).
    """

    on = float(DISK_ON)  # the value inside a disk

    def __init__(self, size: int, click_channels: int = 1, frame: int | None = None,
                 **kwargs: Any) -> None:
        # float32 whatever the global policy says: 25 and its neighbour must stay apart.
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.size = int(size)
        self.frame = self.size if frame is None else int(frame)
        self.click_channels = int(click_channels)
        self.labels = labels_of(self.click_channels)

    def call(self, points: Any) -> Any:
        """Return the maps of `points` (B, N, 3), in the order of `labels`."""
        batch, count = points.shape[0] or -1, points.shape[1]
        x, y, label = (
            keras.ops.reshape(points[:, :, k : k + 1], (batch, count, 1, 1)) for k in range(3)
        )
        if self.frame != self.size:
            ratio = self.size / self.frame
            x, y = x * ratio + (ratio - 1.0) / 2.0, y * ratio + (ratio - 1.0) / 2.0
        index = np.arange(self.size, dtype=np.float32)
        dx = keras.ops.convert_to_tensor(index.reshape(1, 1, 1, -1)) - x  # (B, N, 1, S)
        dy = keras.ops.convert_to_tensor(index.reshape(1, 1, -1, 1)) - y  # (B, N, S, 1)
        maps = [self._map(dx * dx, dy * dy, label - wanted) for wanted in self.labels]
        return maps[0] if len(maps) == 1 else keras.ops.concatenate(maps, axis=-1)

    def _map(self, dx2: Any, dy2: Any, label_gap: Any) -> Any:
        far = label_gap * label_gap * FAR  # (B, N, 1, 1): 0 for the wanted label
        distance2 = keras.ops.min(dx2 + (dy2 + far), axis=1)  # (B, S, S)
        distance2 = keras.ops.expand_dims(distance2, -1)  # (B, S, S, 1)
        beyond = keras.ops.relu(distance2 - DISK_RADIUS**2)
        return keras.ops.relu(1.0 - STEEP * beyond) * self.on

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Return (B, S, S, labels)."""
        return (input_shape[0], self.size, self.size, len(self.labels))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size, "click_channels": self.click_channels,
                "frame": self.frame}


def build_fused(
    pair: Any, max_points: int = 20, size: int = 512, batch: int | None = 1
) -> keras.Model:
    """Return the Keras model that draws the taps, runs prior and MSFNet, and gives the mask.

    Args:
      pair: `Pair` whose networks were built for frames of `pair.config.network_side(size)`;
        `pair.prior` may be None.
      max_points: N, the fixed number of rows of `points`; at least 1.
      size: side S of the file's square in pixels.
      batch: fixed batch; the shipped file has 1. None leaves it open.
    Returns:
      Model with inputs [image (B, S, S, 3), points (B, N, 3)] (also taken as a dict of these
      names) and output mask (B, S, S, 1) float32 in [0, 1].
    Raises:
      ValueError: `max_points` below 1, or MSFNet asks for an input that nothing here makes.
    """
    if max_points < 1:
        raise ValueError(f"max_points is {max_points}; it must be at least 1")
    image = keras.Input(batch_shape=(batch, size, size, 3), name="image")
    points = keras.Input(batch_shape=(batch, max_points, 3), name="points")
    side = pair.config.network_side(size)
    disks = Disks(side, pair.config.click_channels, size, name=DISKS_LAYER)(points)
    seen = image if side == size else Resized(side, name="fit")(image)
    made = {"image": seen, "disks": disks}
    if pair.shared is not None:
        made.update(pair.shared(seen))
    if pair.prior is not None:
        made["oace"] = pair.prior(_feed(pair.prior, made))  # (B, s, s, 3) in [-1, 1]
    logits = pair.msfnet(_feed(pair.msfnet, made))  # (B, s, s, 1)
    if side != size:
        logits = Resized(size, name="unfit")(logits)  # (B, S, S, 1)
    mask = keras.layers.Activation("sigmoid", dtype="float32", name=MASK_LAYER)(logits)
    return keras.Model([image, points], mask, name="fused")


def _feed(network: keras.Model, made: dict[str, Any]) -> dict[str, Any] | list[Any]:
    """Return the made tensors `network` takes, in the form and order of its inputs."""
    wanted = network.input
    names = list(wanted) if isinstance(wanted, dict) else [t.name for t in network.inputs]
    unknown = sorted(set(names) - set(made))
    if unknown:
        raise ValueError(f"{network.name} takes {unknown}; made here: {sorted(made)}")
    if isinstance(wanted, dict):
        return {name: made[name] for name in names}
    # A list: of a dict, Keras would work out the shapes in alphabetical order.
    return [made[name] for name in names]
