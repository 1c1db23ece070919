"""The tiny .tflite files that stand in for a trained one, and made-up sets small enough for them.

The files: see tests/golden/make_tiny_tflite.py.
"""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from oace_tf.images import write_image

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
SHAPE = (24, 32)  # of the made-up photographs


@pytest.fixture(scope="session")
def tiny_int8() -> Path:
    """Return the file with uint8 image and mask: 32x32 px, 4 points, two click channels."""
    return GOLDEN / "tiny_int8.tflite"


@pytest.fixture(scope="session")
def tiny_float32() -> Path:
    """Return the same with float32 image and mask."""
    return GOLDEN / "tiny_float32.tflite"


@pytest.fixture(scope="session")
def tiny_multi() -> Path:
    """Return the uint8 file that gives three answers more and names gestures."""
    return GOLDEN / "tiny_multi_int8.tflite"


@pytest.fixture(scope="session")
def tiny_one_channel(tiny_int8: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file whose metadata names one click channel."""
    from export.tflite.metadata import Description, add_metadata

    path = tmp_path_factory.mktemp("one_channel") / "one.tflite"
    path.write_bytes(add_metadata(tiny_int8.read_bytes(), Description(
        interface="points", click_channels=1, max_points=4, weights_sha256="0" * 64,
        licence="Apache-2.0", version="0", description="one click channel", network={})))
    return path


def picture(*boxes: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a dark photograph with red boxes (top, left, bottom, right), and their mask."""
    image = np.full((*SHAPE, 3), 40, np.uint8)
    mask = np.zeros(SHAPE, np.uint8)
    for top, left, bottom, right in boxes:
        image[top:bottom, left:right, 0] = 230
        mask[top:bottom, left:right] = 255
    return image, mask


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with GrabCut (3 photographs) and val/many (2 objects in each of 2)."""
    root = tmp_path / "data"
    boxes = [((4, 4, 14, 16),), ((8, 12, 20, 22),), ((2, 2, 12, 12), (14, 20, 22, 30))]
    for number, boxes_here in enumerate(boxes):
        image, mask = picture(*boxes_here)
        mask[0, 0] = 128
        write_image(root / "GrabCut" / "data_GT" / f"p{number}.png", image)
        write_image(root / "GrabCut" / "boundary_GT" / f"p{number}.png", mask)
    images, annotations = [], []
    for number in (1, 2):
        two = ((2, 2, 10 + number, 12), (12, 18, 22, 30))
        write_image(root / "val" / "many" / "images" / f"{number}.png", picture(*two)[0])
        images.append({"id": number, "file_name": f"{number}.png",
                       "height": SHAPE[0], "width": SHAPE[1]})
        for k, (top, left, bottom, right) in enumerate(two):
            annotations.append({
                "id": 10 * number + k, "image_id": number, "category_id": k + 1,
                "segmentation": [[left, top, right, top, right, bottom, left, bottom]]})
    categories = [{"id": 1, "name": "Cup", "frequency": "f"},
                  {"id": 2, "name": "yak", "frequency": "r"}]
    (root / "val" / "many" / "instances.json").write_text(json.dumps(
        {"images": images, "annotations": annotations, "categories": categories}))
    return root
