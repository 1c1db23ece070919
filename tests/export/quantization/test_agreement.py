"""Float against int8 in worker processes: what is compared, and that damage is seen."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.convert.keras_pair import float_tflite
from export.quantization import agreement
from export.tflite import model as tflite
from oace_tf.clicks import Click
from oace_tf.evaluation import drift
from oace_tf.images import write_image
from oace_tf.networks.fused import build_fused
from tests.export.conftest import SIZE, Made, plain_pair

PICTURES = [agreement.Picture(None, seed=(0, index)) for index in range(8)]
BUDGET = drift.Budget(max_drop_points=0.5, min_agreement=0.93)


@pytest.fixture
def paths(made: Made, tmp_path: Path) -> tuple[Path, Path]:
    """Return the float and the int8 file of the tiny pair."""
    files = tmp_path / "float.tflite", tmp_path / "int8.tflite"
    files[0].write_bytes(made.float_bytes)
    files[1].write_bytes(made.int8_bytes)
    return files


def failures(float_path: Path, int8_path: Path) -> list[str]:
    """Return what the gate says of the agreement of two files."""
    found = drift.agreement([iou for iou, _ in agreement.agreements(
        float_path, int8_path, PICTURES, workers=1)])
    return drift.gate({"agreement": found}, BUDGET, labelled=False)


def test_damaged_weights_fail_the_gate(made: Made, paths: tuple[Path, Path]) -> None:
    float_path, int8_path = paths
    assert failures(float_path, int8_path) == []  # measured: 0.988
    model = tflite.parse(made.int8_bytes)
    with_data = [buffer for buffer in model.buffers if buffer.data is not None]
    for buffer in sorted(with_data, key=lambda b: -len(b.data))[:16]:
        buffer.data = np.asarray(buffer.data) ^ np.uint8(0x40)
    int8_path.write_bytes(tflite.serialise(model))
    assert "the masks agree by" in failures(float_path, int8_path)[0]


def test_a_file_agrees_with_itself(paths: tuple[Path, Path]) -> None:
    found = list(agreement.agreements(paths[0], paths[0], PICTURES[:3], workers=1))
    assert found == [(1.0, False)] * 3


def test_empty_masks_are_told(tmp_path: Path) -> None:
    pair = plain_pair(SIZE, 1)
    pair.msfnet.get_layer("logits").bias.assign([-100.0])
    path = tmp_path / "empty.tflite"
    path.write_bytes(float_tflite(build_fused(pair, 2, SIZE)))
    found = list(agreement.agreements(path, path, PICTURES[:2], workers=1))
    assert found == [(1.0, True)] * 2


def test_background_taps_are_left_out_for_one_channel(paths: tuple[Path, Path]) -> None:
    """A file without metadata counts as one of one click channel; this must not raise."""
    picture, clicks = agreement.synthetic(np.random.default_rng(0))
    path = paths[0].with_name("photo.png")
    write_image(path, picture)
    taps = (*clicks, Click(3, 3, False))
    found = list(agreement.agreements(*paths, [agreement.Picture(path, taps)], workers=1))
    assert 0 < found[0][0] <= 1


def test_drawn_pictures() -> None:
    one, other = (agreement.synthetic(np.random.default_rng((0, k))) for k in (0, 1))
    assert one[0].shape == (360, 480, 3) and one[0].dtype == np.uint8
    assert (one[0] != other[0]).any()
    np.testing.assert_array_equal(one[0], agreement.synthetic(np.random.default_rng((0, 0)))[0])
    click = one[1][0]
    assert click.positive and 0 <= click.x < 480 and 0 <= click.y < 360
