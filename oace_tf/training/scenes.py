"""Scene of training: photograph, mask of the tapped object, tap disks, patch centres.

Numpy and OpenCV only, so that worker processes need no Keras. Every draw comes from the generator
that is passed in.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from oace_tf.clicker import IGNORED, edge_distance
from oace_tf.clicks import Click, disk_maps, pack_points
from oace_tf.samples.coco import CocoImage, decode_mask, read_coco_image
from oace_tf.training.settings import SceneSettings

MAX_TAPS = 8
_UNCHANGED = np.array([[1.0, 0.0]] * 3, np.float32)
PATCH = 3  # side of the contrastive patches, px; supplement 1


@dataclass(frozen=True, slots=True)
class Layered:
    """A photograph with the masks of its objects: (H, W, 3) uint8 and (H, W) uint8 0/1 each.

    `ignored` (H, W) uint8 0/1 is where nobody said what is there (crowds), or None.
    """

    image: np.ndarray
    masks: tuple[np.ndarray, ...]
    ignored: np.ndarray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What one training example consists of, in a frame of S by S."""

    image: np.ndarray  # (S, S, 3) uint8
    mask: np.ndarray  # (S, S) int8: 1 object, 0 background, -1 ignored
    curve: np.ndarray  # (3, 2) float32, gain and offset of each colour channel still to be applied
    disks: np.ndarray  # (S, S, click channels) uint8 0/1
    object_xy: np.ndarray  # (n, 2) int32, centres of 3x3 patches on the object
    background_xy: np.ndarray  # (m, 2) int32, centres beside it


def read_layered(image: CocoImage) -> Layered:
    """Read a photograph and the masks of its objects; crowds are ignored (raises UsageError)."""
    masks: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for annotation in image.annotations:
        masks[annotation.iscrowd].append(decode_mask(annotation, image.height, image.width))
    objects, crowds = masks
    ignored = np.maximum.reduce(crowds) if crowds else None
    return Layered(read_coco_image(image), tuple(mask for mask in objects if mask.any()), ignored)


def make_scene(base: Layered, index: int, others: Sequence[tuple[Layered, int]], size: int,
               click_channels: int, settings: SceneSettings,
               rng: np.random.Generator) -> Scene | None:
    """Compose a scene around object `index` of `base`.

    Args:
      base: the photograph underneath.
      index: which of its objects the crop must hold, or cut.
      others: objects to paste, each a photograph and the index of the object.
      size: S, side of the frame.
      click_channels: 1 or 2.
      settings: probabilities and counts.
      rng: every draw comes from it.
    Returns:
      The scene, or None where no visible object is large enough.
    """
    scenes = make_twins(base, index, others, size, click_channels, settings, rng, count=1)
    return scenes[0] if scenes else None


def make_twins(base: Layered, index: int, others: Sequence[tuple[Layered, int]], size: int,
               click_channels: int, settings: SceneSettings, rng: np.random.Generator,
               count: int = 2) -> list[Scene]:
    """Compose one scene and tap its object `count` times; arguments as `make_scene`.

    Returns:
      Scenes that share photograph and mask, with taps and patches drawn anew for each; an empty
      list where no visible object is large enough.
    """
    image, masks = _framed(base, index, size, settings, rng)
    ignored = masks.pop() if base.ignored is not None else np.zeros((size, size), np.uint8)
    for other, other_index in others:
        image, (ignored, *masks) = paste(image, [ignored, *masks], other, other_index,
                                         (settings.paste_smallest, settings.paste_largest), rng)
    # Pasted objects stand last; the tap is on any of them or on the object of the crop.
    choices = [0, *range(len(masks) - len(others), len(masks))] if others else [0]
    choices = [c for c in choices if masks[c].mean() >= settings.min_object and masks[c].any()]
    if not choices:
        return []
    mask = masks[int(rng.choice(choices))].astype(np.int8)
    mask[(ignored > 0) & (mask == 0)] = IGNORED
    if not (mask == 0).any():
        return []
    if rng.random() < settings.flip:
        image, mask = image[:, ::-1], mask[:, ::-1]
    curve = random_curve(settings, rng)
    image, mask = np.ascontiguousarray(image), np.ascontiguousarray(mask)
    if settings.photometric == "worker":
        image, curve = relit(image, curve), _UNCHANGED
    return [_tapped(image, mask, curve, click_channels, settings, rng) for _ in range(count)]


def _tapped(image: np.ndarray, mask: np.ndarray, curve: np.ndarray, click_channels: int,
            settings: SceneSettings, rng: np.random.Generator) -> Scene:
    taps = simulate_taps(mask, settings, rng, background=click_channels > 1)
    points = pack_points(taps, MAX_TAPS)
    disks = disk_maps(points, mask.shape, click_channels) > 0
    return Scene(image=image, mask=mask, curve=curve, disks=disks.astype(np.uint8),
                 object_xy=patch_centres(mask == 1, settings.object_patches, rng),
                 background_xy=patch_centres(mask == 0, settings.background_patches, rng))


def simulate_taps(mask: np.ndarray, settings: SceneSettings, rng: np.random.Generator,
                  background: bool) -> list[Click]:
    """Return the taps on a mask: one on the object, at times more, at times one beside it.

    Args:
      mask: (H, W) of 1 (object), 0 (background) and -1 (ignored), the first two present.
      settings: the shares of the kinds of taps.
      rng: the generator.
      background: whether background taps may be drawn.
    Source: paper 3.4 (uniform inside the mask); the other kinds are switches.
    """
    depth = edge_distance(mask > 0)
    kind = rng.random()
    if kind < settings.deepest_tap:
        taps = [_at(int(np.argmax(depth)), mask)]
    elif kind < settings.deepest_tap + settings.border_tap:
        taps = [_uniform((mask > 0) & (depth <= max(1.5, 0.1 * float(depth.max()))), rng)]
    else:
        taps = [_uniform(mask > 0, rng)]
    if rng.random() < settings.more_taps:
        taps += [_uniform(mask > 0, rng) for _ in range(int(rng.integers(1, 3)))]
    if background and rng.random() < settings.background_tap:
        near = cv2.dilate((mask > 0).astype(np.uint8), np.ones((3, 3), np.uint8),
                          iterations=max(2, len(mask) // 16))
        ring = (near > 0) & (mask == 0)
        where = ring if ring.any() and rng.random() < 0.5 else mask == 0
        tap = _uniform(where, rng)
        taps.append(Click(tap.x, tap.y, False))
    return taps


def patch_centres(region: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return (count, 2) int32 x, y drawn uniformly from a region, off the frame's outermost pixels.

    A 3x3 patch then lies inside the frame. Where the region holds only outermost pixels, the
    centres are moved one pixel inwards, beside it.
    """
    height, width = region.shape
    margin = PATCH // 2
    inside = np.zeros(region.shape, bool)
    inside[margin:-margin, margin:-margin] = region[margin:-margin, margin:-margin] > 0
    flat = np.flatnonzero(inside if inside.any() else region)
    picked = flat[rng.integers(0, len(flat), count)]
    xs = np.clip(picked % width, margin, width - 1 - margin)
    ys = np.clip(picked // width, margin, height - 1 - margin)
    return np.stack([xs, ys], axis=1).astype(np.int32)


def _uniform(region: np.ndarray, rng: np.random.Generator) -> Click:
    flat = np.flatnonzero(region)
    return _at(int(flat[rng.integers(0, len(flat))]), region)


def _at(flat_index: int, array: np.ndarray) -> Click:
    return Click(float(flat_index % array.shape[1]), float(flat_index // array.shape[1]))


def _framed(base: Layered, index: int, size: int, settings: SceneSettings,
            rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """Crop (or not), stretch to the frame.

    The object `index` comes first in the masks, what is ignored last, if there is any.
    """
    height, width = base.image.shape[:2]
    x0, y0, x1, y1 = 0, 0, width, height
    kind = rng.random()
    if kind < settings.cut:
        x0, y0, x1, y1 = window_on(base.masks[index], rng)
    elif kind < settings.cut + settings.crop:
        left, top, w, h = cv2.boundingRect(base.masks[index])
        # Each side moves a random share of its way from the frame's edge to the object's.
        keep = rng.random(4) * rng.random()
        x0, y0 = int(left * keep[0]), int(top * keep[1])
        x1 = width - int((width - left - w) * keep[2])
        y1 = height - int((height - top - h) * keep[3])
    cut = (slice(y0, y1), slice(x0, x1))
    shrink = size < min(y1 - y0, x1 - x0)
    image = cv2.resize(base.image[cut], (size, size),
                       interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    order = [index, *(i for i in range(len(base.masks)) if i != index)]
    layers = [*(base.masks[i] for i in order), *([] if base.ignored is None else [base.ignored])]
    masks = [resized_mask(layer[cut], (size, size)) for layer in layers]
    return image, masks


def window_on(mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of a random window that holds at least one pixel of a mask."""
    flat = np.flatnonzero(mask)
    point = int(flat[rng.integers(0, len(flat))])
    sides = []
    share = float(rng.uniform(0.3, 0.9))
    for length, at in zip(mask.shape, divmod(point, mask.shape[1])):
        side = max(2, int(length * min(1.0, share * float(rng.uniform(0.85, 1.18)))))
        low, high = max(0, at - side + 1), min(at, length - side)
        sides.append((int(rng.integers(low, high + 1)), side))
    (y0, h), (x0, w) = sides
    return x0, y0, x0 + w, y0 + h


def resized_mask(mask: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Return a mask (H, W) uint8 0/1 in another size (width, height)."""
    shrink = size_wh[0] < mask.shape[1] and size_wh[1] < mask.shape[0]
    soft = cv2.resize(mask * np.uint8(255), size_wh,
                      interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    return (soft >= 128).astype(np.uint8)


def paste(image: np.ndarray, masks: list[np.ndarray], other: Layered, index: int,
          sides: tuple[float, float],
          rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """Paste an object over the scene; what it hides is taken out of the other masks.

    Args:
      image: (S, S, 3) uint8.
      masks: (S, S) uint8 0/1 each.
      other: the photograph that the object is taken from.
      index: which of its objects.
      sides: least and largest longer side of the pasted object, shares of the frame.
      rng: every draw comes from it.
    Returns:
      The new photograph, and the masks with that of the pasted object last.
    """
    size = len(image)
    left, top, w, h = cv2.boundingRect(other.masks[index])
    cut = (slice(top, top + h), slice(left, left + w))
    side = size * float(rng.uniform(*sides))
    scale = min(side / max(w, h), 2.0)
    aspect = float(rng.uniform(0.85, 1.18))
    w2 = int(np.clip(w * scale * aspect, 4, size))
    h2 = int(np.clip(h * scale / aspect, 4, size))
    interpolation = cv2.INTER_AREA if w2 < w and h2 < h else cv2.INTER_LINEAR
    piece = cv2.resize(other.image[cut], (w2, h2), interpolation=interpolation)
    alpha = cv2.resize(other.masks[index][cut] * np.float32(1), (w2, h2),
                       interpolation=interpolation)
    if rng.random() < 0.5:
        piece, alpha = piece[:, ::-1], alpha[:, ::-1]
    piece = np.clip(piece * rng.uniform(0.8, 1.2, 3) + rng.uniform(-20, 20), 0, 255)
    x = int(rng.integers(-w2 // 4, size - 3 * w2 // 4 + 1))
    y = int(rng.integers(-h2 // 4, size - 3 * h2 // 4 + 1))
    ys, xs = slice(max(y, 0), min(y + h2, size)), slice(max(x, 0), min(x + w2, size))
    inner = (slice(ys.start - y, ys.stop - y), slice(xs.start - x, xs.stop - x))
    soft = alpha[inner][..., None]
    image = image.copy()
    image[ys, xs] = (image[ys, xs] * (1 - soft) + piece[inner] * soft + 0.5).astype(np.uint8)
    pasted = np.zeros((size, size), np.uint8)
    pasted[ys, xs] = alpha[inner] >= 0.5
    return image, [*(mask * (1 - pasted) for mask in masks), pasted]


def relit(image: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Return a photograph with each colour channel c as gain x c + offset, cut to bytes.

    Args:
      image: (H, W, 3) uint8.
      curve: (3, 2) float32, gain and offset.
    """
    table = np.arange(256, dtype=np.float32)[:, None] * curve[:, 0] + curve[:, 1]
    return cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None])  # a curve a channel


def random_curve(settings: SceneSettings, rng: np.random.Generator) -> np.ndarray:
    """Draw brightness and contrast (paper 3.4), and a gain of each colour channel by itself."""
    contrast = 1.0 + settings.contrast * float(rng.uniform(-1, 1))
    shift = 255.0 * settings.brightness * float(rng.uniform(-1, 1))
    gains = np.ones(3)
    if settings.colour > 0:
        gains = 1.0 + settings.colour * rng.uniform(-1, 1, 3)
    offset = 128.0 - 128.0 * contrast + shift
    return np.stack([contrast * gains, offset * gains], axis=1).astype(np.float32)
