"""Masks by a real MediaPipe wheel, in whatever environment has one: numpy and mediapipe alone.

    python tests/mediapipe_check.py legacy FILE.tflite CASES.npz MASKS.npz
    python tests/mediapipe_check.py bundle FILE.task CASES.npz MASKS.npz

CASES holds image0, image1, ... (H, W, 3) uint8 RGB and taps0, ... (n, 3): x, y in pixels of the
photograph (centres are whole numbers) and 1 or 0. MASKS gets mask0, ... (H, W) float32; of the
legacy task also category0, ... (H, W) uint8; and `version`.
"""
from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import vision
from mediapipe.tasks.python.components.containers.keypoint import NormalizedKeypoint
from mediapipe.tasks.python.core.base_options import BaseOptions


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
    stroke, point, brush = (getattr(vision, f"InteractiveSegmenter{name}")
                            for name in ("Stroke", "StrokePoint", "BrushMode"))
    options = vision.InteractiveSegmenterOptions(base_options=BaseOptions(model_asset_path=model))
    with vision.InteractiveSegmenter.create_from_options(options) as task:
        for image, taps in cases(source):
            height, width = image.shape[:2]
            # the engine takes the whole part of x times the frame's width
            strokes = [stroke(brush_mode=brush.POSITIVE if label else brush.NEGATIVE,
                              points=[point(x=(x + 0.5) / width, y=(y + 0.5) / height)],
                              is_completed=True) for x, y, label in taps]
            task.set_image(picture(image))
            mask = task.segment(strokes)  # the image must live as long as its view is read
            yield {"mask": mask.numpy_view().copy().reshape(height, width)}


def main(kind: str, model: str, source: str, target: str) -> int:
    """Write the masks; 0."""
    made: dict[str, Any] = {"version": np.array(mp.__version__)}
    for number, arrays in enumerate({"legacy": legacy, "bundle": bundle}[kind](model, source)):
        made.update({f"{name}{number}": array for name, array in arrays.items()})
    np.savez(target, **made)
    return 0


if __name__ == "__main__":
    status = main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # 1.2.2 raises at the interpreter's own end
