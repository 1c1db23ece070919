"""Agreement and drop object by object, with predictors whose answers are known."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from export.quantization import on_objects
from tests.drawn_photograph import drawn_photograph


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with three drawn objects in each set."""
    for name in on_objects.SETS:
        for kind in ("img", "gt"):
            (tmp_path / name / kind).mkdir(parents=True)
        for number in range(3):
            picture, clicks = drawn_photograph(np.random.default_rng(number))
            mask = np.zeros(picture.shape[:2], np.uint8)
            cv2.circle(mask, (int(clicks[0].x), int(clicks[0].y)), 30, 255, -1)
            stem = f"{number}_{number}" if name == "coco_mval" else f"{number}"
            cv2.imwrite(str(tmp_path / name / "img" / f"{stem}.jpg"), picture)
            cv2.imwrite(str(tmp_path / name / "gt" / f"{stem}.png"), mask)
    return tmp_path


def test_objects_are_spread_over_each_set(data: Path) -> None:
    some, every = ([(file.dataset, file.id) for file in on_objects.objects(data, count)]
                   for count in (2, 9))
    assert len(some) == 4 and len(every) == 6
    assert some == [every[k] for k in (0, 2, 3, 5)]


def test_agreement_and_drop(data: Path) -> None:
    """A predictor that answers the truth drops nothing; one that answers nothing loses all."""
    files = on_objects.objects(data, 2)
    truth = [file.read().mask == 1 for file in files]
    answers = iter(truth)
    agreements, drops = on_objects.per_object(
        lambda image, clicks: next(answers).astype(np.float32), files, truth)
    assert len(agreements) == 4 and (agreements == 1).all() and (drops == 0).all()
    agreements, drops = on_objects.per_object(
        lambda image, clicks: np.zeros(image.shape[:2], np.float32), files, truth)
    assert (agreements == 0).all() and (drops == 100).all()
