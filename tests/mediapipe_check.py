"""Masks by a real MediaPipe wheel, in whatever environment has one: numpy and mediapipe alone.

    python tests/mediapipe_check.py legacy FILE.tflite CASES.npz MASKS.npz
    python tests/mediapipe_check.py bundle FILE.task CASES.npz MASKS.npz
    python tests/mediapipe_check.py times FILE.task [FILE.task ...]

CASES holds image0, image1, ... (H, W, 3) uint8 RGB and taps0, ... (n, 3): x, y in pixels of the
photograph (centres are whole numbers) and 1 or 0. MASKS gets mask0, ... (H, W) float32; of the
legacy task also category0, ... (H, W) uint8; and `version`. `times` prints how long `segment()`
takes with each bundle.
"""
from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.components.containers.keypoint import NormalizedKeypoint
from mediapipe.tasks.python.core.base_options import BaseOptions

ROUNDS = 15  # of `times`, after one that is not counted


def cases(path: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield image and taps of the file of cases."""
    with np.load(path) as content:
        for number in range(sum(name.startswith("image") for name in content)):
            yield np.ascontiguousarray(content[f"image{number}"]), content[f"taps{number}"]


def picture(image: np.ndarray) -> mp.Image:
    """Return the array as MediaPipe's image."""
    return mp.Image(image_format=mp.ImageFormat.SRGB, data=image)


def legacy(model: str, source: str) -> Iterator[dict[str, np.ndarray]]:
    """Yield mask and category of the first tap: one file, one `segment()` a tap."""
    suffix = "Legacy" if hasattr(vision, "InteractiveSegmenterLegacy") else ""
    kind = getattr(vision, f"InteractiveSegmenter{suffix}")
    region = getattr(vision, f"InteractiveSegmenter{suffix}RegionOfInterest")
    options = getattr(vision, f"InteractiveSegmenter{suffix}Options")(
        base_options=BaseOptions(model_asset_path=model), output_category_mask=True,
        output_confidence_masks=True)
    with kind.create_from_options(options) as task:
        for image, taps in cases(source):
            height, width = image.shape[:2]
            # without half a pixel: the task rounds x * width
            tap = NormalizedKeypoint(x=taps[0, 0] / width, y=taps[0, 1] / height)
            done = task.segment(picture(image), region(
                format=region.Format.KEYPOINT, keypoint=tap))
            background, found = (m.numpy_view().copy() for m in done.confidence_masks)
            yield {"mask": found.reshape(height, width),
                   "background": background.reshape(height, width),
                   "category": done.category_mask.numpy_view().copy().reshape(height, width)}


def bundle(model: str, source: str) -> Iterator[dict[str, np.ndarray]]:
    """Yield the mask of all taps: the encoder once a photograph, then the decoder."""
    with opened(model) as task:
        for image, taps in cases(source):
            height, width = image.shape[:2]
            task.set_image(picture(image))
            mask = task.segment(strokes(taps, width, height))  # lives as long as its view is read
            yield {"mask": mask.numpy_view().copy().reshape(height, width)}


def opened(model: str) -> Any:
    """Return the task of 1.x with a bundle."""
    return vision.InteractiveSegmenter.create_from_options(
        vision.InteractiveSegmenterOptions(base_options=BaseOptions(model_asset_path=model)))


def strokes(taps: np.ndarray, width: int, height: int) -> list[Any]:
    """Return the taps as strokes; the engine takes the whole part of x times the frame's width."""
    stroke, point, brush = (getattr(vision, f"InteractiveSegmenter{name}")
                            for name in ("Stroke", "StrokePoint", "BrushMode"))
    return [stroke(brush_mode=brush.POSITIVE if label else brush.NEGATIVE,
                   points=[point(x=(x + 0.5) / width, y=(y + 0.5) / height)],
                   is_completed=True) for x, y, label in taps]


def times(models: Sequence[str]) -> Iterator[str]:
    """Yield, for each bundle, the milliseconds of `segment()`: medians of interleaved rounds."""
    image = picture(np.random.default_rng(0).integers(0, 256, (512, 512, 3)).astype(np.uint8))
    tap = strokes(np.array([[200, 300, 1]]), 512, 512)
    clocks = (time.perf_counter, time.process_time)
    taken = np.zeros((ROUNDS + 1, len(models), len(clocks)))
    with ExitStack() as stack:
        tasks = [stack.enter_context(opened(model)) for model in models]
        for round_ in taken:
            for task, row in zip(tasks, round_, strict=True):
                task.set_image(image)
                begin = [clock() for clock in clocks]
                task.segment(tap)
                row[:] = [clock() - start for clock, start in zip(clocks, begin, strict=True)]
    for model, (wall, cpu) in zip(models, 1e3 * np.median(taken[1:], axis=0), strict=True):
        yield f"{model}: {wall:.0f} ms, {cpu:.0f} ms of CPU (MediaPipe {mp.__version__})"


def main(kind: str, *files: str) -> int:
    """Write the masks, or print the times; 0."""
    if kind == "times":
        print(*times(files), sep="\n")
        return 0
    model, source, target = files
    made: dict[str, Any] = {"version": np.array(mp.__version__)}
    for number, arrays in enumerate({"legacy": legacy, "bundle": bundle}[kind](model, source)):
        made.update({f"{name}{number}": array for name, array in arrays.items()})
    np.savez(target, **made)
    return 0


if __name__ == "__main__":
    status = main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # 1.2.2 raises at the interpreter's own end
