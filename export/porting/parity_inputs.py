"""Parity inputs: the same photograph, clicks and previous mask for ONNX graph and Keras.

A graph's inputs are told apart by their shapes (channels first): three channels are a photograph,
four a photograph and the previous mask, two the click maps, one the previous mask, a second input
of three channels the previous mask and the click maps, and rank three RITM's list of points. An
input that a convolution or a concatenation reads at once is standardised as the checkpoint knows
it; one that arithmetic reads is a photograph in [0, 1].
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from export.convert.onnx_graph import input_shapes, takes_unit
from export.porting.checkpoint import Checkpoint
from oace_tf.clicks import NEGATIVE, POSITIVE, UNUSED, disk_maps
from oace_tf.errors import UsageError
from oace_tf.geometry import Frame, normalise
from oace_tf.images import read_image
from oace_tf.networks.ported.registry import PARTS, RITM, Ported
from oace_tf.runtime.tflite_reader import PREVIOUS

SIDE = 128  # of the inputs, where the graph does not fix it
RANDOM = 2  # inputs of seeded noise
SAMPLES = Path(__file__).resolve().parents[2] / "docs" / "samples"
TAPS = 2  # of each label


@dataclass(frozen=True, slots=True)
class Feed:
    """One input of both: by the graph's names (channels first), by Keras's (channels last)."""

    title: str  # "random 0", or the photograph's name
    graph: Mapping[str, np.ndarray]
    keras: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Scene:
    """What the inputs are made of."""

    title: str
    image: np.ndarray  # (S, S, 3) uint8 RGB
    previous: np.ndarray  # (S, S, 1) float32 in [0, 1]
    points: np.ndarray  # (2 TAPS, 3) float32: x, y, label
    rng: np.random.Generator


def graph_side(checkpoint: Checkpoint) -> int:
    """Return the side of the square that the graph takes; `SIDE` where it takes any.

    Raises:
      UsageError: it takes something that is no square, or no image at all.
    """
    images = [shape for shape in input_shapes(checkpoint.graph).values() if len(shape) == 4]
    if not images:
        raise UsageError(f"{checkpoint.path}: its graph has no input of an image; "
                         "export the model as a whole")
    height, width = images[0][2:]
    height, width = height or width or SIDE, width or height or SIDE
    if height != width:
        raise UsageError(f"{checkpoint.path}: its graph takes {width} x {height}, expected a "
                         "square; export it with one")
    return height


def scenes(side: int, seed: int, count: int = RANDOM,
           photographs: Sequence[Path] | None = None) -> list[Scene]:
    """Return seeded noise, then photographs, with taps and a previous mask each."""
    drawn_scenes = []
    pictures: list[tuple[str, np.ndarray | None]] = [(f"random {k}", None) for k in range(count)]
    for path in sorted(SAMPLES.glob("*.jpg")) if photographs is None else photographs:
        image = read_image(path)
        frame = Frame(image.shape[0], image.shape[1], side)
        pictures.append((path.name, frame.image(image)))
    for index, (title, picture) in enumerate(pictures):
        rng = np.random.default_rng((seed, index))
        image = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
        places = rng.integers(0, side, (2 * TAPS, 2)).astype(np.float32)
        labels = np.repeat([POSITIVE, NEGATIVE], TAPS).astype(np.float32)[:, None]
        points = np.concatenate([places, labels], axis=1)
        noise = rng.random((side, side, 1)).astype(np.float32)
        # A photograph is seen as at its first click: nothing yet, and object taps alone.
        if picture is not None:
            image, noise = picture, np.zeros_like(noise)
            points[TAPS:, 2] = UNUSED
        drawn_scenes.append(Scene(title, image, noise, points, rng))
    return drawn_scenes


def make_feeds(ported: Ported, model: keras.Model, checkpoint: Checkpoint,
               made: Sequence[Scene]) -> list[Feed]:
    """Return the inputs of graph and model for each scene.

    Raises:
      UsageError: the graph has an input that is none of the known ones.
    """
    shapes = input_shapes(checkpoint.graph)
    batches = {shape[0] for shape in shapes.values() if shape and shape[0] not in (None, 1)}
    if batches:
        raise UsageError(f"{checkpoint.path}: its graph takes {sorted(batches)[0]} images at once; "
                         "export it for one")
    feeds = []
    for scene in made:
        if ported.network in PARTS:
            values = _part_inputs(model, scene)
            feeds.append(Feed(scene.title, _by_order(values, shapes, checkpoint), values))
        elif ported.network in RITM:
            feeds.append(Feed(scene.title, _clicked(ported, scene, shapes, checkpoint), {
                "image": normalise(scene.image)[None], PREVIOUS: scene.previous[None],
                "disks": _disks(scene)[None]}))
        else:
            image = standardised(ported, scene.image)
            if takes_unit(checkpoint.graph, next(iter(shapes))):
                raw = scene.image.astype(np.float32) / 255
                feeds.append(Feed(scene.title, _by_order({"image": raw[None]}, shapes, checkpoint),
                                  {"image": image[None]}))
            else:
                values = {"image": image[None]}
                feeds.append(Feed(scene.title, _by_order(values, shapes, checkpoint), values))
    return feeds


def standardised(ported: Ported, image: np.ndarray) -> np.ndarray:
    """Return a photograph (S, S, 3) uint8 as the published network sees it, float32."""
    mean, spread = (np.array(values) for values in ported.statistics)
    return ((image / 255 - mean) / spread).astype(np.float32)


def _disks(scene: Scene) -> np.ndarray:
    """(S, S, 2) float32 in {0, 1}: object taps, background taps."""
    return (disk_maps(scene.points, scene.image.shape[:2], 2) > 0).astype(np.float32)


def _part_inputs(model: keras.Model, scene: Scene) -> dict[str, np.ndarray]:
    """Inputs of a prior or MSFNet; the OACE is noise."""
    disks = _disks(scene) * np.float32(127 / 128)
    oace = scene.rng.uniform(-1, 1, (*scene.image.shape[:2], 3)).astype(np.float32)
    values = {"image": normalise(scene.image)[None], "oace": oace[None], "disks": disks[None]}
    return {tensor.name: values[tensor.name][..., :tensor.shape[-1]] for tensor in model.inputs}


def _by_order(values: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int | None, ...]],
              checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Name our values as the graph does: by name where it knows them, else by order."""
    if len(values) != len(shapes):
        raise UsageError(f"{checkpoint.path}: its graph takes {', '.join(shapes)}, expected "
                         f"{', '.join(values)}; export the network alone")
    if set(shapes) == set(values):
        return {name: _nchw(values[name]) for name in shapes}
    return {name: _nchw(value) for name, value in zip(shapes, values.values())}


def _clicked(ported: Ported, scene: Scene, shapes: Mapping[str, tuple[int | None, ...]],
             checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    unit = (scene.image / 255).astype(np.float32)
    clicks, previous = _disks(scene), scene.previous
    feed: dict[str, np.ndarray] = {}
    seen_image = False
    for name, shape in shapes.items():
        channels = shape[1] if len(shape) == 4 else None
        if len(shape) == 3:
            feed[name] = _points(scene)[None]
            continue
        if channels == 3 and not seen_image:
            seen_image = True
            raw = takes_unit(checkpoint.graph, name)
            value = unit if raw else standardised(ported, scene.image)
        elif channels == 4:
            seen_image, value = True, np.concatenate([unit, previous], axis=-1)
        elif channels == 3:
            value = np.concatenate([previous, clicks], axis=-1)
        elif channels in (1, 2):
            value = previous if channels == 1 else clicks
        else:
            raise UsageError(f"{checkpoint.path}: its input {name} has shape {shape}, which is "
                             "neither photograph, clicks nor previous mask; see docs/port.md")
        feed[name] = _nchw(value[None])
    return feed


def _points(scene: Scene) -> np.ndarray:
    """RITM's list (2 TAPS, 3): row, column, number; the object's first, (-1, -1, -1) unused."""
    rows = [(y, x, k) if label != UNUSED else (-1.0, -1.0, -1.0)
            for k, (x, y, label) in enumerate(scene.points)]
    return np.array(rows, np.float32)


def _nchw(value: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(value.transpose(0, 3, 1, 2)) if value.ndim == 4 else value
