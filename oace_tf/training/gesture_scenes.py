"""Scenes for one trunk: a photograph, pasted objects included, and K gestures with their masks.

"The same photograph, another tap, another mask" is what teaches a network to follow the tap.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from oace_tf.errors import UsageError
from oace_tf.gestures import pack_rows
from oace_tf.training.gesture_simulation import GestureShares, simulate_gesture
from oace_tf.training.scenes import Layered, paste, relit, resized_mask, window_on

_CLOSE_MARGIN = (0.0, 0.45)  # of the object's longer side, around a close-up
_LATER_ROWS = 8  # left free for later taps


@dataclass(frozen=True, slots=True, kw_only=True)
class GestureSceneSettings:
    """How scenes with several gestures are made."""

    gestures: int = 6  # K, on each photograph
    rows: int = 32  # N, of each gesture; eight of them are left for later taps
    crop: float = 0.42  # probability of a random crop that holds one object
    cut: float = 0.1  # probability of a random window that may cut it
    close: float = 0.2  # probability of a close-up, as a box is cropped before the network
    flip: float = 0.5
    brightness: float = 0.15
    contrast: float = 0.3
    colour: float = 0.07
    grey: float = 0.03  # probability of a photograph without colour
    size_power: float = 0.3  # objects are drawn in proportion to area to this power
    paste: float = 0.5  # probability that other training objects are pasted in
    paste_most: int = 3
    paste_smallest: float = 0.1  # longer side of a pasted object, share of the frame
    paste_largest: float = 0.65
    min_object: float = 0.0025  # smaller objects (share of the frame) are not tapped
    twins: float = 0.0  # share of the pairs of gestures that are two taps on one object
    middle: float = 0.3  # share of the taps that are in the middle of the object
    shares: GestureShares = field(default_factory=GestureShares)

    def __post_init__(self) -> None:
        for name, low, high in (("gestures", 1, 64), ("rows", 2 * _LATER_ROWS, 256),
                                ("paste_most", 1, 8)):
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"training settings: scenes.{name} is {getattr(self, name)}, "
                                 f"expected {low} to {high}")
        if not 0.0 < self.min_object < 0.95:
            raise UsageError(f"training settings: scenes.min_object is {self.min_object}, "
                             "expected above 0 and below 0.95")
        if not 0.0 < self.paste_smallest <= self.paste_largest <= 1.0:
            raise UsageError("training settings: scenes.paste_smallest is "
                             f"{self.paste_smallest}, expected above 0 and at most paste_largest "
                             f"({self.paste_largest}), which is at most 1")
        for name in ("crop", "cut", "close", "flip", "grey", "paste", "twins", "middle"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(f"training settings: scenes.{name} is {getattr(self, name)}, "
                                 "expected 0 to 1")
        if self.twins > 0.0 and self.gestures % 2:
            raise UsageError(f"training settings: scenes.gestures is {self.gestures}, expected an "
                             "even number where scenes.twins is above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class GestureScene:
    """One photograph with K gestures; masks are at half the side, as the logits are."""

    image: np.ndarray  # (S, S, 3) uint8
    cover: np.ndarray  # (K, S/2, S/2) uint8: share of the cell that is object, 255 is all
    ignored: np.ndarray  # (S/2, S/2) uint8 0/1: crowds
    points: np.ndarray  # (K, N, 3) float32, px of the frame
    outline: np.ndarray  # (K,) float32: 1 where the mask's outline can be trusted
    twin: np.ndarray  # (K,) float32: 1 for both of two taps on one object, which stand together


@dataclass(frozen=True, slots=True)
class Tappable:
    """An object of the scene: its mask (S, S) uint8 0/1 and whether its outline is trusted."""

    mask: np.ndarray
    exact: bool


def make_gesture_scene(base: Layered, index: int, exact: bool,
                       others: Sequence[tuple[Layered, int, bool]], size: int,
                       settings: GestureSceneSettings,
                       rng: np.random.Generator) -> GestureScene | None:
    """Compose a scene around object `index` of `base`.

    Args:
      base: the photograph underneath.
      index: the object that crops hold.
      exact: whether outlines of `base` are trusted.
      others: objects to paste: photograph, index of the object, whether its outline is trusted.
      size: S, side of the frame, a multiple of 64.
      settings: probabilities and counts.
      rng: every draw comes from it.
    Returns:
      The scene, or None where no visible object is large enough.
    """
    x0, y0, x1, y1 = _window(base, index, settings, rng)
    window = (slice(y0, y1), slice(x0, x1))
    shrink = size < min(y1 - y0, x1 - x0)
    image = cv2.resize(base.image[window], (size, size),
                       interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    masks = [resized_mask(mask[window], (size, size)) for mask in base.masks]
    ignored = (np.zeros((size, size), np.uint8) if base.ignored is None
               else resized_mask(base.ignored[window], (size, size)))
    for other, number, _ in others:
        image, (ignored, *masks) = paste(image, [ignored, *masks], other, number,
                                         (settings.paste_smallest, settings.paste_largest), rng)
    trusted = [exact] * len(base.masks) + [item[2] for item in others]
    objects = [Tappable(mask, good) for mask, good in zip(masks, trusted)
               if settings.min_object <= mask.mean() < 0.95]
    if not objects:
        return None
    if rng.random() < settings.flip:
        image, ignored = image[:, ::-1], ignored[:, ::-1]
        objects = [Tappable(item.mask[:, ::-1], item.exact) for item in objects]
    image = _lit(np.ascontiguousarray(image), settings, rng)
    return _with_gestures(image, ignored, objects, settings, rng)


def new_gesture(mask: np.ndarray, settings: GestureSceneSettings,
                rng: np.random.Generator, kind: str | None = None) -> np.ndarray:
    """Return the (N, 3) float32 points of a first gesture on a mask (S, S) bool, not empty.

    Args:
      mask: of the object.
      settings: how often each gesture is made, and N.
      rng: every draw comes from it.
      kind: a field of `GestureShares`; None: drawn.
    """
    kind = kind or settings.shares.draw(rng)
    most = settings.rows - _LATER_ROWS
    rows = simulate_gesture(kind, mask, rng, most, settings.middle)
    if len(rows) == 0:  # a scribble through a hole
        rows = simulate_gesture("tap", mask, rng, most, settings.middle)
    return pack_rows(rows, settings.rows)


def _with_gestures(image: np.ndarray, ignored: np.ndarray, objects: list[Tappable],
                   settings: GestureSceneSettings, rng: np.random.Generator) -> GestureScene:
    sizes = np.array([item.mask.mean() for item in objects])**settings.size_power
    chosen = [objects[k] for k in rng.choice(len(objects), settings.gestures,
                                             p=sizes / sizes.sum())]
    twin = np.zeros(settings.gestures, np.float32)
    if settings.twins > 0.0:
        for first in np.flatnonzero(rng.random(settings.gestures // 2) < settings.twins) * 2:
            chosen[first + 1] = chosen[first]
            twin[first:first + 2] = 1.0
    half = (len(image) // 2, len(image) // 2)
    covers = [cv2.resize(np.ascontiguousarray(item.mask) * np.uint8(255), half,
                         interpolation=cv2.INTER_AREA) for item in chosen]
    points = [new_gesture(np.ascontiguousarray(item.mask) > 0, settings, rng,
                          "tap" if of_twin else None) for item, of_twin in zip(chosen, twin)]
    return GestureScene(
        image=image, cover=np.stack(covers), points=np.stack(points),
        ignored=np.ascontiguousarray(ignored[::2, ::2]), twin=twin,
        outline=np.array([item.exact for item in chosen], np.float32))


def _window(base: Layered, index: int, settings: GestureSceneSettings,
            rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of what the frame shows."""
    height, width = base.image.shape[:2]
    kind = rng.random()
    if kind < settings.cut:
        return window_on(base.masks[index], rng)
    left, top, w, h = cv2.boundingRect(base.masks[index])
    if kind < settings.cut + settings.close:
        margin = rng.uniform(*_CLOSE_MARGIN, 4) * max(w, h)
        return (max(0, int(left - margin[0])), max(0, int(top - margin[1])),
                min(width, int(left + w + margin[2] + 1)),
                min(height, int(top + h + margin[3] + 1)))
    if kind < settings.cut + settings.close + settings.crop:
        # Each side moves a random share of its way from the frame's edge to the object's.
        keep = rng.random(4) * rng.random()
        return (int(left * keep[0]), int(top * keep[1]), width - int((width - left - w) * keep[2]),
                height - int((height - top - h) * keep[3]))
    return 0, 0, width, height


def _lit(image: np.ndarray, settings: GestureSceneSettings,
         rng: np.random.Generator) -> np.ndarray:
    contrast = 1.0 + settings.contrast * float(rng.uniform(-1, 1))
    shift = 255.0 * settings.brightness * float(rng.uniform(-1, 1))
    gains = 1.0 + settings.colour * rng.uniform(-1, 1, 3)
    offset = 128.0 - 128.0 * contrast + shift
    curve = np.stack([contrast * gains, offset * gains], axis=1).astype(np.float32)
    image = relit(image, curve)
    if rng.random() < settings.grey:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = np.repeat(grey[..., None], 3, axis=2)
    return image
