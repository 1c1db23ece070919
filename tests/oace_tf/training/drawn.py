"""Small data sets in COCO format, drawn: a photograph of noise with bright boxes and discs."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf.images import write_image

HEIGHT, WIDTH = 72, 96


def drawn_masks(rng: np.random.Generator, height: int = HEIGHT,
                width: int = WIDTH) -> list[np.ndarray]:
    """A box on the left and a disc on the right, (H, W) uint8 0/1 each."""
    rows, columns = np.mgrid[:height, :width]
    box = np.zeros((height, width), np.uint8)
    top, left = rng.integers(2, height // 4), rng.integers(2, width // 8)
    box[top:top + height // 2, left:left + width // 3] = 1
    radius = height // 5
    y = rng.integers(radius + 1, height - radius - 1)
    x = rng.integers(width // 2 + radius, width - radius - 1)
    disc = ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2).astype(np.uint8)
    return [box, disc]


def drawn_photograph(masks: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: dark noise, each object in a bright colour of its own."""
    image = rng.integers(0, 90, (*masks[0].shape, 3)).astype(np.uint8)
    for mask in masks:
        image[mask > 0] = rng.integers(150, 250, 3)
    return image


def _runs(mask: np.ndarray) -> dict[str, Any]:
    flat = np.concatenate([[0], mask.T.ravel(), [2]])
    edges = np.flatnonzero(np.diff(flat) != 0)
    counts = np.diff(np.concatenate([[0], edges])).tolist()
    return {"size": list(mask.shape), "counts": counts}


def write_dataset(folder: Path, images: int = 4, seed: int = 0,
                  unreadable: tuple[int, ...] = ()) -> Path:
    """Write `instances.json` and `images/` and return the folder.

    Args:
      unreadable: numbers of the images whose file is cut short.
    """
    rng = np.random.default_rng(seed)
    content: dict[str, Any] = {"images": [], "annotations": [],
                               "categories": [{"id": 1, "name": "thing"}]}
    for number in range(images):
        masks = drawn_masks(rng)
        path = folder / "images" / f"{number}.png"
        write_image(path, drawn_photograph(masks, rng))
        if number in unreadable:
            path.write_bytes(path.read_bytes()[:40])
        content["images"].append({"id": number, "file_name": path.name, "height": HEIGHT,
                                  "width": WIDTH})
        for mask in masks:
            content["annotations"].append(
                {"id": len(content["annotations"]) + 1, "image_id": number, "category_id": 1,
                 "iscrowd": 0, "area": int(mask.sum()), "segmentation": _runs(mask)})
    (folder / "instances.json").write_text(json.dumps(content))
    return folder
