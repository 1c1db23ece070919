"""Input graphs of the other interfaces as small float TFLite files: one input -> image, taps.

Made by TensorFlow's converter and joined to the int8 file by `build`. Those of a pair draw disks
with the same `Disks` layer as the file's own drawing, those of a network of gestures give rows of
`points`. Only operators that the delegate takes whole; what fails in their place: slices that drop
an axis, comparisons, a reciprocal instead of a division.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from export.convert.keras_pair import require_tensorflow_backend
from export.tflite import model as tflite
from oace_tf.clicks import DISK_ON, DISK_RADIUS
from oace_tf.gestures import Label

_TINY = 1e-6  # an empty tap channel must not divide by zero; one grey level is 1
_SLOPE = 1e6
_CORE = 0.9  # MediaPipe's dots: 1.0 inside, 0.93 at the lower right corner, edges below 0.35
_TIP = 2  # pixels from the middle of the diamond to its tips
_MIN_BLOCK = 4  # pixels
_CELL = 16  # pixels: dots that are nearer than this may become one row, in their middle
_OBJECT_SHARE = 2 / 3  # of the rows; the rest is for background taps


def tap_channel(size: int, side: int, click_channels: int) -> bytes:
    """Return the entrance that finds one tap in a grey picture: grey -> disks.

    The tap is the centroid of the picture, as in MEDIAPIPE's legacy task, which resizes its dot
    together with the photograph: a grey blob of 8 to 30 pixels. An empty picture is no tap.

    Args:
      size: side S of the file's square, pixels.
      side: side s of what the network sees of it, pixels.
      click_channels: 1 or 2 maps; the second, of background taps, stays empty.
    Returns:
      File with the input grey (1, S, S, 1) float32, whole numbers 0 to 255, and the output disks
      (1, s, s, click_channels) float32.
    """
    require_tensorflow_backend()
    import keras

    from oace_tf.networks.fused import Disks

    disks = Disks(side, click_channels, size)

    def front(grey: Any) -> dict[str, Any]:
        return {"disks": disks(keras.ops.concatenate(_centroid(grey, size), axis=-1))}

    return _converted(front, {"grey": (1, size, size, 1)})


def tap_row(size: int, count: int) -> bytes:
    """Return the entrance that finds one tap, as `tap_channel` does: grey -> points.

    Args:
      size: side S of the file's square, pixels.
      count: N, rows of `points`.
    Returns:
      File with the input grey (1, S, S, 1) float32, whole numbers 0 to 255, and the output points
      (1, N, 3) float32: the tap in the first row, unused rows otherwise.
    """
    require_tensorflow_backend()
    import keras

    first = np.zeros((1, count, 1), np.float32)
    first[0, 0] = 1.0
    others = np.zeros((1, count, 3), np.float32)
    others[0, 1:, 2] = Label.UNUSED

    def front(grey: Any) -> dict[str, Any]:
        row = keras.ops.concatenate(_centroid(grey, size), axis=-1)  # (1, 1, 3)
        return {"points": row * first + others}

    return _converted(front, {"grey": (1, size, size, 1)})


def _centroid(grey: Any, size: int) -> tuple[Any, Any, Any]:
    """Return x, y and label of the tap in a grey picture, (1, 1, 1) each; label -1 without one."""
    from keras import ops

    index = np.arange(size, dtype=np.float32)
    by_column = ops.sum(grey, axis=1)  # (1, S, 1)
    by_row = ops.sum(grey, axis=2)  # (1, S, 1)
    total = ops.sum(by_column, axis=1, keepdims=True)  # (1, 1, 1)
    safe = ops.maximum(total, _TINY)
    x, y = (ops.sum(line * index.reshape(1, -1, 1), axis=1, keepdims=True) / safe
            for line in (by_column, by_row))
    label = 1.0 - 2.0 * ops.relu(1.0 - _SLOPE * total)  # 1, or -1 where nothing is drawn
    return x, y, label


def dots(size: int, side: int, click_channels: int) -> bytes:
    """Return the entrance that makes disks of dots: heat_map -> disks.

    MediaPipe's new task draws a tap as a diamond of 13 pixels at 1.0 (|dx| + |dy| <= 2, cut off at
    the border) with edges below 0.35 around it, at whole pixels. A pixel is a tap where the four
    tips of a diamond around it are on, as far as they lie in the frame; a drawn line gives its
    middle. Both steps, from dots to taps and from taps to disks, are convolutions over blocks of
    pixels: 16 and more channels, and where the network sees a smaller square, its blocks are
    smaller too, so that the disks lie at fractions of its pixels as they should.

    Args:
      size: side S of the file's square, pixels.
      side: side s of what the network sees of it, pixels.
      click_channels: 1: only the first map is read; 2: the second as well.
    Returns:
      File with the input heat_map (1, S, S, 3) float32 in [0, 1]: positive strokes, negative ones,
      boxes (not read), and the output disks (1, s, s, click_channels) float32.
    """
    block, cell = _blocks(size, side)
    tips = _block_kernel(block, block, 1.0, _TIP, lambda dy, dx: (
        (np.abs(dy) + np.abs(dx) == _TIP) & ((dy == 0) | (dx == 0))))
    disk = _block_kernel(block, cell, side / size, DISK_RADIUS, lambda dy, dx: (
        dy * dy + dx * dx <= DISK_RADIUS**2))

    def front(heat_map: Any) -> dict[str, Any]:
        import tensorflow as tf

        def disks(strokes: Any) -> Any:
            off = tf.nn.relu(_CORE - strokes) * 1e3  # (1, S, S, 1): 0, or above 1
            off = tf.nn.space_to_depth(off, block)  # (1, S/P, S/P, P P)
            taps = tf.nn.relu(1.0 - tf.nn.conv2d(off, tips, 1, "SAME"))  # 1 or 0
            count = tf.nn.conv2d(taps, disk, 1, "SAME")  # (1, s/Q, s/Q, Q Q)
            on = (1.0 - tf.nn.relu(1.0 - count)) * float(DISK_ON)
            return tf.nn.depth_to_space(on, cell)  # (1, s, s, 1)

        maps = [disks(heat_map[..., k : k + 1]) for k in range(click_channels)]
        return {"disks": maps[0] if len(maps) == 1 else tf.concat(maps, -1)}

    return _converted(front, {"heat_map": (1, size, size, 3)})


def dot_rows(size: int, count: int) -> bytes:
    """Return the entrance that makes rows of dots: heat_map -> points.

    Taps are found as in `dots`. The frame is then cut into cells of 16 pixels; those of a cell
    become one row, in their middle, so that a drawn line gives a row about every 16 pixels. Which
    row a cell takes is the number of cells before it that hold taps, from left to right and from
    top to bottom; two thirds of the rows are for positive strokes, the last third for negative
    ones. Cells beyond that are left out.

    Args:
      size: side S of the file's square, pixels, a multiple of 16.
      count: N, rows of `points`.
    Returns:
      File with the input heat_map (1, S, S, 3) float32 in [0, 1]: positive strokes, negative ones,
      boxes (not read), and the output points (1, N, 3) float32.
    """
    tips = _block_kernel(_MIN_BLOCK, _MIN_BLOCK, 1.0, _TIP, lambda dy, dx: (
        (np.abs(dy) + np.abs(dx) == _TIP) & ((dy == 0) | (dx == 0))))
    cells = size // _CELL
    before = np.triu(np.ones((cells, cells), np.float32), 1)[None, None]  # of (in, out)
    corner = np.arange(cells, dtype=np.float32) * _CELL
    objects = round(count * _OBJECT_SHARE)

    def front(heat_map: Any) -> dict[str, Any]:
        import tensorflow as tf

        def rows(strokes: Any, number: int, label: int) -> Any:
            off = tf.nn.space_to_depth(tf.nn.relu(_CORE - strokes) * 1e3, _MIN_BLOCK)
            taps = tf.nn.relu(1.0 - tf.nn.conv2d(off, tips, 1, "SAME"))  # 1 or 0
            sums = tf.nn.conv2d(taps, _cell_kernel(), _CELL // _MIN_BLOCK, "VALID")
            count = sums[..., :1]  # (1, C, C, 1)
            on = 1.0 - tf.nn.relu(1.0 - count)
            shares = 1.0 / tf.maximum(count, 1.0)
            x = sums[..., 1:2] * shares + corner.reshape(1, 1, -1, 1)
            y = sums[..., 2:3] * shares + corner.reshape(1, -1, 1, 1)
            lines = tf.reshape(on, (1, cells, 1, cells))  # the cells of a line as channels
            of_line = tf.reshape(tf.reduce_sum(lines, -1, keepdims=True), (1, 1, 1, cells))
            rank = tf.nn.conv2d(lines, before, 1, "SAME") + tf.reshape(
                tf.nn.conv2d(of_line, before, 1, "SAME"), (1, cells, 1, 1))
            on, x, y, rank = (tf.reshape(v, (1, 1, -1)) for v in (on, x, y, rank))
            apart = rank - np.arange(number, dtype=np.float32).reshape(1, -1, 1)
            hit = tf.nn.relu(1.0 - apart * apart) * on  # (1, number, C C): 1 in one cell or none
            coordinates = [tf.reduce_sum(hit * v, -1, keepdims=True) for v in (x, y)]
            used = tf.reduce_sum(hit, -1, keepdims=True)
            labels = used * float(label - Label.UNUSED) + float(Label.UNUSED)
            return tf.concat([*coordinates, labels], -1)

        return {"points": tf.concat([rows(heat_map[..., :1], objects, Label.OBJECT),
                                     rows(heat_map[..., 1:2], count - objects,
                                          Label.BACKGROUND)], 1)}

    return _converted(front, {"heat_map": (1, size, size, 3)})


def _cell_kernel() -> np.ndarray:
    """Return the convolution over the blocks of a cell: taps -> their count, sums of x and of y.

    Returns:
      (n, n, P P, 3) float32, n blocks to a cell; x and y are counted from the cell's corner.
    """
    n = _CELL // _MIN_BLOCK
    y, x = np.indices((_CELL, _CELL), np.float32)
    sums = np.stack([np.ones_like(x), x, y], -1)  # (16, 16, 3)
    parts = sums.reshape(n, _MIN_BLOCK, n, _MIN_BLOCK, 3).transpose(0, 2, 1, 3, 4)
    return parts.reshape(n, n, _MIN_BLOCK**2, 3)


def _blocks(size: int, side: int) -> tuple[int, int]:
    """Return the sides P and Q of blocks that cover the same part of both squares."""
    common = math.gcd(size, side)
    block, cell = size // common, side // common
    while block < _MIN_BLOCK and common % 2 == 0:
        block, cell, common = 2 * block, 2 * cell, common // 2
    return block, cell


def _block_kernel(
    block: int, cell: int, scale: float, radius: float,
    on: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return the convolution over blocks that puts a figure around every pixel that is set.

    Args:
      block, seen: sides P of the blocks that are read, Q of those that are written.
      scale: pixels written per pixel read.
      radius: of the figure, pixels written.
      on: (dy, dx) in pixels from a set one to a written one -> whether it belongs to the figure.
    Returns:
      (n, n, P P, Q Q) float32 of 0 and 1.
    """
    reach = math.ceil((radius + 1) / cell)  # blocks on each side
    n = 2 * reach + 1
    read = (np.arange(n * block) - reach * block + 0.5) * scale - 0.5  # in pixels written
    gap = np.arange(cell)[None, :] - read[:, None]  # (n P, Q), the same for rows and columns
    figure = on(gap[:, None, :, None], gap[None, :, None, :])  # (n P, n P, Q, Q)
    parts = figure.reshape(n, block, n, block, cell, cell).transpose(0, 2, 1, 3, 4, 5)
    return parts.reshape(n, n, block * block, cell * cell).astype(np.float32)


def encoder(size: int) -> bytes:
    """Return the bundle's first file: photograph (1, S, S, 3) in [0, 1] -> as the network sees it.

    The output picture is float32 (byte - 128) / 128.
    """
    def front(photograph: Any) -> dict[str, Any]:
        return {"picture": photograph * (255 / 128) - 1.0}

    return _converted(front, {"photograph": (1, size, size, 3)})


def split_floats(size: int) -> bytes:
    """Return what takes (1, S, S, 4) in [0, 1] apart: -> image in [-1, 127/128], grey 0 to 255."""
    def front(image_and_tap: Any) -> dict[str, Any]:
        return {"image": image_and_tap[..., :3] * (255 / 128) - 1.0,
                "grey": image_and_tap[..., 3:4] * 255.0}

    return _converted(front, {"image_and_tap": (1, size, size, 4)})


def split_units(size: int) -> bytes:
    """Return what takes (1, S, S, 4) in [-1, 127/128] apart: -> image, tap; grey 0 to 255."""
    def front(rgba: Any) -> dict[str, Any]:
        tap = rgba[..., 3:4]
        return {"image": rgba[..., :3], "tap": tap, "grey": (tap + 1.0) * 128.0}

    return _converted(front, {"rgba": (1, size, size, 4)})


def both_masks(size: int) -> bytes:
    """Return the ending: mask (1, S, S, 1) -> masks (1, S, S, 2), background and object.

    The two add up to 511/512, half a step of the mask below one: at exactly one half, which is
    object, the larger of the two must be the object's.
    """
    def rear(mask: Any) -> dict[str, Any]:
        import tensorflow as tf

        return {"masks": tf.concat([511 / 512 - mask, mask], axis=-1)}

    return _converted(rear, {"mask": (1, size, size, 1)})


def _converted(
    function: Callable[..., dict[str, Any]], inputs: dict[str, tuple[int, ...]]
) -> bytes:
    """Return the file of a function of float32 tensors, its signature's names those given."""
    require_tensorflow_backend()
    import tensorflow as tf

    logging.getLogger("absl").setLevel(logging.ERROR)  # see keras_pair.py
    specs = [tf.TensorSpec(shape, tf.float32, name=name) for name, shape in inputs.items()]
    outputs: list[str] = []

    def call(*tensors: Any) -> list[Any]:
        results = function(*tensors)
        outputs[:] = list(results)
        return list(results.values())

    concrete = tf.function(call, autograph=False).get_concrete_function(*specs)
    content = tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    model = tflite.parse(content)
    graph = tflite.graph(model)
    for tensor in graph.tensors:
        tensor.name = ""  # Keras numbers its layers: the names would change from call to call
    tflite.add_signature(model, dict(zip(inputs, map(int, graph.inputs))),
                         dict(zip(outputs, map(int, graph.outputs))))
    return tflite.serialise(model)
