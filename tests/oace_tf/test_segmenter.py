"""TapSegmenter: the way from the photograph and back, on the tiny file."""
from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

import oace_tf
from oace_tf import pieces, segmenter
from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.geometry import Frame, Window
from oace_tf.gestures import Gesture
from oace_tf.images import write_image
from oace_tf.runtime.model import open_model
from oace_tf.segmenter import TapSegmenter

COFFEE = Path(__file__).resolve().parents[2] / "docs" / "samples" / "coffee.jpg"


def _photograph(height: int, width: int) -> np.ndarray:
    """Return red on the left half, blue on the right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 240
    image[:, width // 2:, 2] = 240
    return image


@pytest.mark.parametrize("size_hw", [(64, 96), (97, 51), (32, 32), (20, 70)])
@pytest.mark.parametrize("which", ["tiny_int8", "tiny_float32"])
def test_mask_lies_around_the_tap(size_hw: tuple[int, int], which: str,
                                  request: pytest.FixtureRequest) -> None:
    height, width = size_hw
    tap = Click(0.25 * width, 0.5 * height)
    image = _photograph(height, width)
    found = TapSegmenter(request.getfixturevalue(which))
    mask = found.segment(image, [tap])
    assert mask.shape == size_hw and mask.dtype == bool
    # the disk of radius 5 in the 32-frame is an ellipse here; one frame pixel of tolerance
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot((columns - tap.x) * 32 / width, (rows - tap.y) * 32 / height)
    assert mask[(distance < 4) & (columns < width // 2 - 0.05 * width)].all()
    assert not mask[distance > 6].any()
    probability = found.probability(image, [tap])
    assert probability.dtype == np.float32 and 0 <= probability.min() <= probability.max() <= 1
    np.testing.assert_array_equal(mask, probability >= 0.5)


def test_channels_are_rgb(tiny_int8: Path, tmp_path: Path) -> None:
    image = _photograph(64, 64)
    write_image(tmp_path / "photo.png", image)
    found = TapSegmenter(tiny_int8)
    for given in (image, tmp_path / "photo.png", str(tmp_path / "photo.png")):
        assert found.segment(given, [(16, 30)]).any()
        assert not found.segment(given, [(48, 30)]).any()


def test_pairs_and_clicks_are_the_same(tiny_int8: Path) -> None:
    found, image = TapSegmenter(tiny_int8), _photograph(64, 64)
    np.testing.assert_array_equal(found.probability(image, [(16, 30)]),
                                  found.probability(image, [Click(16, 30)]))


def test_background_tap_takes_away(tiny_int8: Path) -> None:
    found, image = TapSegmenter(tiny_int8), _photograph(64, 64)
    alone = found.segment(image, [Click(14, 30)])
    less = found.segment(image, [Click(14, 30), Click(20, 30, positive=False)])
    assert less.sum() < alone.sum() and not (less & ~alone).any() and not less[30, 20]


def test_the_image_is_left_alone(tiny_int8: Path) -> None:
    image = _photograph(40, 60)
    before = image.copy()
    TapSegmenter(tiny_int8).segment(image, [(3, 3)])
    np.testing.assert_array_equal(image, before)


def test_one_click_channel_refuses_background_taps(tiny_one_channel: Path) -> None:
    found, image = TapSegmenter(tiny_one_channel), _photograph(32, 32)
    assert found.segment(image, [Click(8, 8)]).any()
    with pytest.raises(UsageError, match="one click channel"):
        found.segment(image, [Click(8, 8), Click(20, 8, positive=False)])


@pytest.mark.parametrize(("clicks", "word"), [
    ([], "at least one tap"), ([Click(3, 3, positive=False)], "at least one tap"),
    ([(96, 3)], "outside"), ([(3, -1)], "outside"), ([(1, 1)] * 5, "at most 4"),
    ([(float("nan"), 3)], "finite")])
def test_wrong_taps(tiny_int8: Path, clicks: list, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        TapSegmenter(tiny_int8).segment(_photograph(64, 96), clicks)


@pytest.mark.parametrize("image", [
    np.zeros((8, 8, 2), np.uint8), np.zeros((8, 8, 3), np.int32), np.full((8, 8, 3), 9.0),
    np.zeros((0, 8, 3), np.uint8)])
def test_wrong_images(tiny_int8: Path, image: np.ndarray) -> None:
    with pytest.raises(UsageError, match="image"):
        TapSegmenter(tiny_int8).segment(image, [(1, 1)])


def test_unreadable_photograph(tiny_int8: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none.jpg"):
        TapSegmenter(tiny_int8).segment(tmp_path / "none.jpg", [(1, 1)])


def test_package_without_a_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(segmenter, "DEFAULT_MODEL", tmp_path / "oace_int8.tflite")
    with pytest.raises(UsageError, match="export/quantize.py"):
        TapSegmenter()


def test_default_model_is_taken(monkeypatch: pytest.MonkeyPatch, tiny_int8: Path) -> None:
    monkeypatch.setattr(segmenter, "DEFAULT_MODEL", tiny_int8)
    assert oace_tf.TapSegmenter().model.path == str(tiny_int8)
    with pytest.raises(UsageError, match="SHA-256"):
        TapSegmenter(sha256="0" * 64)


def test_the_packaged_model() -> None:
    """The file that ships is whole and of the contract, and answers on a simple scene."""
    if not segmenter.DEFAULT_MODEL.is_file():
        pytest.skip(f"{segmenter.DEFAULT_MODEL} is not built yet")
    found = TapSegmenter()
    model = found.model
    assert model.sealed and model.quantized
    assert (model.size, model.max_points, model.click_channels) == (512, 20, 2)
    image = np.full((300, 400, 3), 200, np.uint8)
    cv2.circle(image, (200, 150), 80, (180, 30, 20), -1)
    mask = found.segment(image, [(200, 150)])
    assert mask.shape == (300, 400)
    small = Frame(300, 400).image(image)
    points = np.full((20, 3), -1, np.float32)
    points[0] = 256, 256, 1
    np.testing.assert_array_equal(model.run(small, points), model.run(small, points))


def test_several_threads_on_one_segmenter() -> None:
    """Photographs of several sizes, taps of both kinds: the answers as one after another."""
    found, rng = TapSegmenter(), np.random.default_rng(11)
    jobs = []
    for number in range(4):
        image = rng.integers(0, 256, (200 + 30 * number, 320 - 20 * number, 3), np.uint8)
        image[60:140, 60:160] //= 4
        jobs.append((image, [Click(100, 90 + number), Click(20, 20, positive=number % 2 == 0)]))
    expected = [found.probability(*job) for job in jobs]
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = list(pool.map(lambda job: found.probability(*job), 2 * jobs))
    assert len({answer.shape for answer in answers}) == 4
    for answer, wanted in zip(answers, 2 * expected):
        np.testing.assert_array_equal(answer, wanted)


ALONE = """
import sys

class OnlyThese:  # whatever else is installed here might as well not be
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("oace_tf", "numpy", "cv2",
                                                              "ai_edge_litert"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, OnlyThese())
from oace_tf import TapSegmenter
mask = TapSegmenter().segment(sys.argv[1], [(290, 120)])
print(mask.shape, mask.dtype, mask.any())
"""


def test_numpy_opencv_and_litert_are_enough() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE, str(COFFEE)], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "(400, 600) bool True"


def test_segment_is_tidy_unless_told_otherwise(tiny_int8: Path) -> None:
    image = _photograph(64, 64)
    image[:, 18:20] = (0, 0, 240)  # cuts the disk under the tap in two
    taps = [Click(14, 30)]
    whole = TapSegmenter(tiny_int8, tidy=False).segment(image, taps)
    tidy = TapSegmenter(tiny_int8).segment(image, taps)
    found = TapSegmenter(tiny_int8)
    np.testing.assert_array_equal(whole, found.probability(image, taps) >= 0.5)
    np.testing.assert_array_equal(tidy, pieces.tidy(whole, taps))
    assert (whole != tidy).any()


def test_taps_of_gestures() -> None:
    tap, other = Click(3, 4), Click(5, 6, False)
    assert segmenter.taps_of([(3, 4), other]) == (tap, other)
    assert segmenter.taps_of(Gesture(box=(0, 0, 3, 3))) == ()
    assert segmenter.taps_of(Gesture(drag=((3, 4), (9, 9)), taps=(other,))) == (tap, other)


def test_a_box_is_seen_with_a_margin(tiny_multi: Path) -> None:
    found, image = TapSegmenter(tiny_multi), _photograph(64, 64)
    box = Gesture(box=(4, 20, 24, 40), taps=(Click(14, 30),))
    window = segmenter.window_of(box, 64, 64)
    assert window is not None and (window.left, window.top, window.right) == (2, 18, 27)
    mask = found.segment(image, box)
    assert mask.any() and not mask[:, 27:].any() and mask[30, 14]
    assert mask.sum() < found.segment(image, [(14, 30)]).sum()  # five pixels of a finer frame
    assert segmenter.window_of(Gesture(taps=(Click(1, 1),)), 64, 64) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_mask_before_moves_to_another_window(dtype: type) -> None:
    before, now = Window(10, 10, 42, 42), Window(10, 10, 74, 42)
    mask: np.ndarray = np.zeros((32, 32), dtype)
    mask[:, 16:] = 1 if dtype == np.float32 else 255
    moved = segmenter._moved(mask, before, now, (100, 120))
    assert moved.dtype == dtype and moved.shape == (32, 32)
    full = float(mask.max())
    np.testing.assert_allclose(moved[4, :8], 0, atol=full / 100)
    np.testing.assert_allclose(moved[4, 9:15], full, rtol=0.01)
    np.testing.assert_allclose(moved[4, 17:], 0)
    assert segmenter._moved(mask, now, now, (100, 120)) is mask


def test_alternatives(tiny_multi: Path, tiny_int8: Path) -> None:
    found, image = TapSegmenter(tiny_multi), _photograph(64, 64)
    masks, scores = found.alternatives(image, [(16, 30)])
    assert masks.shape == (3, 64, 64) and masks.dtype == np.float32 and scores.dtype == np.float32
    np.testing.assert_allclose(scores, [0.9, 0.5, 0.1], rtol=1e-6)
    np.testing.assert_array_equal(masks[0], found.probability(image, [(16, 30)]))
    assert (masks[1] >= 0.5)[:, :31].all() and not masks[2].any()
    masks, _ = found.alternatives(image, Gesture(box=(10, 20, 24, 40)))
    box = masks[1] >= 0.5
    assert box[20:41, 10:25].all() and not box[:16].any() and not box[:, 30:].any()
    with pytest.raises(UsageError, match="points-multi"):
        TapSegmenter(tiny_int8).alternatives(image, [(16, 30)])
    with pytest.raises(ValueError, match="one mask"):
        open_model(tiny_int8).run_all(np.zeros((32, 32, 3), np.uint8),
                                      np.zeros((4, 3), np.float32))
