"""TapSegmenter: the way from the photograph and back, on the tiny file."""
from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import oace_tf
from oace_tf import pieces, segmenter
from oace_tf.clicks import Click
from oace_tf.errors import MissedTapWarning, UsageError
from oace_tf.geometry import Frame
from oace_tf.gestures import Gesture
from oace_tf.images import write_image
from oace_tf.runtime.model import open_model
from oace_tf.segmenter import TAPS, TapSegmenter

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
        with pytest.warns(MissedTapWarning, match="the mask is empty"):
            assert not found.segment(given, [(48, 30)]).any()


def test_pairs_and_clicks_are_the_same(tiny_int8: Path) -> None:
    found, image = TapSegmenter(tiny_int8), _photograph(64, 64)
    np.testing.assert_array_equal(found.probability(image, [(16, 30)]),
                                  found.probability(image, [Click(16, 30)]))


def test_background_tap_takes_away(tiny_int8: Path) -> None:
    found, image = TapSegmenter(tiny_int8), _photograph(64, 64)
    alone = found.segment(image, [Click(14, 30)])
    with pytest.warns(MissedTapWarning, match="the tap 14,30 lies outside its own mask"):
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
    assert (model.size, model.max_points, model.click_channels) == (512, 48, 2)
    image = np.full((300, 400, 3), 200, np.uint8)
    cv2.circle(image, (200, 150), 80, (180, 30, 20), -1)
    mask = found.segment(image, [(200, 150)])
    assert mask.shape == (300, 400)
    small = Frame(300, 400).image(image)
    points = np.full((model.max_points, 3), -1, np.float32)
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
    assert window is not None and (window.left, window.top, window.right) == (0, 14, 31)
    mask = found.segment(image, box)
    assert mask.any() and not mask[:, 31:].any() and mask[30, 14]
    assert mask.sum() < found.segment(image, [(14, 30)]).sum()  # five pixels of a finer frame
    assert segmenter.window_of(Gesture(taps=(Click(1, 1),)), 64, 64) is None


def test_alternatives(tiny_multi: Path, tiny_int8: Path) -> None:
    found, image = TapSegmenter(tiny_multi), _photograph(64, 64)
    masks, scores = found.alternatives(image, [(16, 30)])
    assert masks.shape == (3, 64, 64) and masks.dtype == np.float32 and scores.dtype == np.float32
    np.testing.assert_allclose(scores, [0.9, 0.5, 0.1], rtol=1e-6)
    np.testing.assert_array_equal(masks[0], found.probability(image, [(16, 30)]))
    assert (masks[1] >= 0.5)[:, :31].all() and not masks[2].any()
    masks, _ = found.alternatives(image, Gesture(box=(10, 20, 24, 40)))
    box = masks[1] >= 0.5
    assert box[20:41, 10:25].all() and not box[:14].any() and not box[:, 31:].any()
    with pytest.raises(UsageError, match="points-multi"):
        TapSegmenter(tiny_int8).alternatives(image, [(16, 30)])
    with pytest.raises(ValueError, match="one mask"):
        open_model(tiny_int8).run_all(np.zeros((32, 32, 3), np.uint8),
                                      np.zeros((4, 3), np.float32))


# --- gestures by keywords


def test_keywords_are_the_gesture(tiny_multi: Path) -> None:
    found, image = TapSegmenter(tiny_multi), _photograph(64, 64)
    photograph = found.photograph(image)
    for words, gesture in (
            ({"taps": [(14, 30)]}, [(14, 30)]),
            ({"taps": (14, 30, 1)}, None),
            ({"taps": Click(14, 30)}, [(14, 30)]),
            ({"taps": [(14, 30)], "background": [(28, 8)]}, [(14, 30), (28, 8, 0)]),
            ({"box": (4, 20, 24, 40), "taps": [(14, 30)]},
             Gesture(box=(4, 20, 24, 40), taps=(Click(14, 30),))),
            ({"extreme": [(4, 30), (24, 30), (14, 20), (14, 40)]},
             Gesture(extreme=((4, 30), (24, 30), (14, 20), (14, 40)))),
            ({"drag": np.array([[14, 30], [14, 38]])}, Gesture(drag=((14, 30), (14, 38))))):
        if gesture is None:
            with pytest.raises(UsageError, match="numbers of a single one"):
                found.segment(image, **words)
            continue
        expected = found.probability(image, gesture)
        np.testing.assert_array_equal(found.probability(image, **words), expected)
        np.testing.assert_array_equal(photograph.answer(**words)[0], expected)
        if expected.any():  # this file draws nothing for a box
            np.testing.assert_array_equal(found.segment(image, **words),
                                          found.segment(image, gesture))
        masks, _ = found.alternatives(image, **words)
        np.testing.assert_array_equal(masks[0], expected)


def test_a_scribble_is_a_row_of_taps(tiny_int8: Path) -> None:
    """A file of four rows: the stroke gets what the tap on the background leaves."""
    found, image = TapSegmenter(tiny_int8), _photograph(64, 96)
    stroke = [(10, 10), (10, 50)]
    np.testing.assert_array_equal(
        found.probability(image, scribble=stroke, background=[(40, 3)]),
        found.probability(image, [(10, 10), (10, 30), (10, 50), (40, 3, 0)]))
    np.testing.assert_array_equal(found.probability(image, scribble=[stroke, [(40, 9)]]),
                                  found.probability(image, [(10, 10), (10, 30), (10, 50), (40, 9)]))


def test_what_a_file_does_not_know_is_one_line(tiny_int8: Path) -> None:
    found, image = TapSegmenter(tiny_int8), _photograph(64, 64)
    assert found.gestures == {"tap", "background"}
    four = [(4, 30), (24, 30), (14, 20), (14, 40)]
    for words, said in (({"box": (4, 20, 24, 40)}, "knows taps alone, no box"),
                        ({"extreme": four}, "knows taps alone, no extreme"),
                        ({"drag": ((9, 9), (9, 20))}, "knows taps alone, no drag"),
                        ({"taps": [(9, 9)], "previous": np.zeros((64, 64), bool)},
                         "takes no previous mask"),
                        ({"background": [(9, 9)]}, "at least one tap must be on the object")):
        with pytest.raises(UsageError, match=said) as error:
            found.segment(image, **words)
        assert "\n" not in str(error.value)
    with pytest.raises(TypeError, match="unknown keyword 'tap'"):
        found.probability(image, tap=[(9, 9)])  # type: ignore[call-arg]


def test_gestures_beside_the_photograph_are_refused(tiny_multi: Path) -> None:
    found, image = TapSegmenter(tiny_multi), _photograph(64, 64)
    for words in ({"drag": [(-9, 9), (20, 9)]}, {"scribble": [(9, 9), (70, 9)]},
                  {"box": (100, 100, 120, 130)}, {"box": (4, 4, 30, 30), "taps": [(99, 9)]}):
        with pytest.raises(UsageError, match="outside the photograph"):
            found.segment(image, **words)
    found.probability(image, drag=[(9, 9), (-9, 9)])  # a finger may end beside it


# --- the mask before


class _Accumulating:
    """A stand-in for a file with `previous`: object is what it was, and what is tapped."""

    path, size, max_points, click_channels = "stand-in.tflite", 16, 4, 2
    quantized, takes_previous, has_alternatives = True, True, False
    gestures = frozenset(("tap", "background", "box"))

    def run(self, image: np.ndarray, points: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
        self.previous = previous
        mask = np.zeros((16, 16), np.uint8) if previous is None else previous.copy()
        for x, y, label in points[points[:, 2] >= 0]:
            row, column = (int(np.clip(round(float(v)), 0, 15)) for v in (y, x))
            mask[row, column] = 255 * int(label > 0)
        return mask


@pytest.fixture
def accumulating(tiny_int8: Path) -> TapSegmenter:
    found = TapSegmenter(tiny_int8, tidy=False)
    found.model = _Accumulating()  # type: ignore[assignment]
    return found


def test_previous_as_it_came_or_at_the_photographs_size(accumulating: TapSegmenter) -> None:
    image, model = _photograph(64, 64), accumulating.model
    accumulating.second_look = False  # `mask` is to be that of `frame`
    probability, frame = accumulating.answer(image, taps=[(10, 10)])
    mask = accumulating.segment(image, taps=[(10, 10)])
    both = [(10, 10), (50, 50)]
    expected = accumulating.probability(image, both, frame)
    assert expected[10, 10] > 0.5 and expected[50, 50] > 0.5
    for previous in (probability, mask, np.where(mask, np.uint8(255), np.uint8(0))):
        accumulating.probability(image, both, previous)
        given = model.previous  # type: ignore[union-attr]
        assert given.dtype == np.uint8 and given.shape == (16, 16)
        np.testing.assert_array_equal(given >= 128, frame >= 128)
    photograph = accumulating.photograph(image)
    np.testing.assert_array_equal(photograph.segment(both, mask), photograph.segment(
        taps=both, previous=mask))
    accumulating.segment(image, box=(4, 4, 23, 23), taps=[(10, 10)], previous=mask)
    part = model.previous  # type: ignore[union-attr]
    assert part[5, 5] > 128 and part[12, 12] == 0  # the part around the box alone


@pytest.mark.parametrize(("previous", "said"), [
    (np.zeros((16, 16), np.float32), r"must be \(16, 16\) uint8"),
    (np.zeros((64, 63), bool), "the photograph's size"),
    (np.eye(64, dtype=np.uint8), "bytes of 0 and 1; give it as bool, or with 255"),
    (np.full((64, 64), 2.0), "probabilities"), (np.zeros((64, 64), np.int64), "int64")])
def test_other_previous_masks_are_refused(accumulating: TapSegmenter, previous: np.ndarray,
                                          said: str) -> None:
    with pytest.raises(UsageError, match=said):
        accumulating.segment(_photograph(64, 64), [(9, 9)], previous=previous)


# --- what a mask does not follow


def test_a_missed_tap_is_said_where_the_library_is_called(tiny_int8: Path) -> None:
    found, image = TapSegmenter(tiny_int8, tidy=False), _photograph(64, 64)
    with pytest.warns(MissedTapWarning, match="^1 of 2 taps on the object lie outside the mask, "
                      "the first at 48,30$") as caught:
        found.segment(image, [(16, 30), (48, 30)])
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(MissedTapWarning, match="empty") as caught:
        found.photograph(image).cutout([(48, 30)])
    assert [warning.filename for warning in caught] == [__file__]


# --- the object in a program


def test_with_closes(tiny_int8: Path) -> None:
    with TapSegmenter(tiny_int8) as found:
        assert found.segment(_photograph(64, 64), [(16, 30)]).any()
        photograph = found.photograph(_photograph(64, 64))
        assert "tiny_int8.tflite: 32 px, 4 rows of background, tap>" in repr(found)
        assert repr(photograph).startswith("<Photograph of 64x64 pixels for <TapSegmenter")
    assert repr(found) == "<TapSegmenter, closed>"
    for ask in (lambda: found.segment(_photograph(64, 64), [(16, 30)]),
                lambda: photograph.segment([(16, 30)])):
        with pytest.raises(UsageError, match="closed"):
            ask()


def test_pickle_opens_the_file_again(tiny_int8: Path) -> None:
    found = TapSegmenter(tiny_int8, refine=True, tidy=False)
    rgba = np.dstack([_photograph(64, 64), np.full((64, 64), 200, np.uint8)])
    photograph = found.photograph(rgba)
    expected = photograph.cutout([(16, 30)])
    for clone in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert clone.refinement == found.refinement and not clone.tidy
        np.testing.assert_array_equal(clone.cutout(rgba, [(16, 30)]), expected)
    again = pickle.loads(pickle.dumps(photograph))
    np.testing.assert_array_equal(again.cutout([(16, 30)]), expected)


def test_cutout_keeps_the_arrays_transparency(tiny_int8: Path) -> None:
    found, image = TapSegmenter(tiny_int8), _photograph(64, 64)
    alpha = np.full((64, 64), 255, np.uint8)
    plain = found.cutout(image, [(16, 30)])
    np.testing.assert_array_equal(found.cutout(np.dstack([image, alpha]), [(16, 30)]), plain)
    np.testing.assert_array_equal(plain[..., 3] > 0, found.segment(image, [(16, 30)]))
    alpha[:30] = 90
    rgba = np.dstack([image, alpha])
    cut = found.cutout(rgba, taps=[(16, 36)])
    mask = found.segment(rgba, taps=[(16, 36)])
    np.testing.assert_array_equal(cut[..., 3], np.where(mask, alpha, 0))
    assert (cut[..., 0][mask] == 240).all()  # its own colours, without the white
    np.testing.assert_array_equal(found.cutout(rgba / 255.0, [(16, 36)]), cut)


@pytest.mark.parametrize("second_look", [True, False])
def test_a_small_object_is_looked_at_twice(monkeypatch: pytest.MonkeyPatch,
                                           second_look: bool) -> None:
    """The file answers with a square in the middle of what it sees, and says how it was asked."""
    asked: list[tuple[np.ndarray, np.ndarray]] = []

    def run(image: np.ndarray, points: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
        asked.append((image, points[:2].copy()))
        mask = np.zeros((512, 512), np.uint8)
        side = 20 if len(asked) == 1 else 120
        mask[256 - side:256 + side, 256 - side:256 + side] = 255
        return mask

    model = SimpleNamespace(size=512, max_points=8, click_channels=2, quantized=True, run=run,
                            gestures=frozenset(TAPS), takes_previous=True, path="fake",
                            has_alternatives=False)
    monkeypatch.setattr(segmenter, "open_model", lambda *_: model)
    found = TapSegmenter("fake", second_look=second_look)
    image = np.random.default_rng(1).integers(0, 256, (512, 512, 3), np.uint8)
    mask = found.segment(image, taps=[(250, 260)], background=[(400, 40)])
    if not second_look:
        assert len(asked) == 1 and mask.sum() == 40 * 40
        return
    # First 40 px wide; then 240 of 512 of a part of 62 px (a quarter more on each side): 29 px.
    assert len(asked) == 2 and 28**2 <= mask.sum() <= 30**2
    (_, first), (part, second) = asked
    np.testing.assert_array_equal(first, [[250, 260, 1], [400, 40, 0]])
    assert second[0, 2] == 1 and 180 < second[0, 0] < 230 and second[1, 0] > 512
    assert not np.array_equal(part, image)
    asked.clear()
    found.segment(image, taps=[(250, 260)], previous=mask)  # a correction is not
    assert len(asked) == 1
