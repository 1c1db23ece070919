"""The same photograph and gesture give the same tensors and mask in JavaScript and in the package.

The cases and the oracle are those of the Kotlin twin (tests/android_app/test_golden.py). The site
itself is tested by `npm test` in web_app/, against the golden files that are checked here.
"""
from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from oace_tf.clicks import Click
from oace_tf.gestures import Gesture
from oace_tf.images import read_image
from oace_tf.pieces import tidy
from oace_tf.segmenter import THRESHOLD, TapSegmenter, taps_of
from tests.android_app import test_golden as kotlin
from web_app.golden import make

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "web_app" / "test" / "answer_cases.mjs"
KINDS = ("tap", "background", "box", "extreme", "drag")
pytestmark = kotlin.pytestmark
without_ipp = kotlin.without_ipp


def gesture_cases() -> Iterator[tuple[kotlin.GestureCase, np.ndarray]]:
    """Yield those of the Kotlin twin with a large mask, and some with a small one."""
    for case in kotlin.gesture_cases():
        yield case, kotlin.blobs(512)
    coffee = read_image(kotlin.SAMPLES / "coffee.jpg")
    large = np.tile(coffee, (2, 3, 1))[:777, :1283]
    y, x = np.mgrid[:512, :512]
    ball = np.clip(300 - 9 * np.hypot(x - 250, y - 160), 0, 255).astype(np.uint8)
    on, off = Click(290.3, 120.7), Click(150.25, 250.75, False)
    gestures = (Gesture(taps=(on,)), Gesture(taps=(on, off)),
                Gesture(drag=((290.0, 120.0), (301.0, 128.0))),
                Gesture(taps=(Click(600.0, 250.0),)))
    for number, gesture in enumerate(gestures):
        yield kotlin.GestureCase(f"small{number}", large if number == 3 else coffee, gesture), ball


@dataclass(frozen=True)
class RegionCase:
    """Strokes by label on a photograph, and the masks that the file gives of each label."""

    name: str
    photograph: np.ndarray
    strokes: dict[str, list[list[tuple[float, float]]]]
    rows: int = kotlin.ROWS

    @property
    def masks(self) -> list[np.ndarray]:
        """Masks that overlap, (512, 512) uint8, one for each label but the background."""
        return [np.roll(kotlin.blobs(512), (31 * k, 57 * k), (0, 1))
                for k in range(len(set(self.strokes) - {"background"}))]


def region_cases() -> Iterator[RegionCase]:
    """Yield strokes of all kinds: a tap, long ones, and more than the file has rows for."""
    coffee = read_image(kotlin.SAMPLES / "coffee.jpg")
    cup = [[(250.0, 90.0), (290.5, 120.25), (330.0, 100.0)]]
    table = [[(20.0, 20.0), (80.0, 40.0)], [(560.0, 380.0)]]
    rng = np.random.default_rng(17)
    many = [[(float(x), float(y))] for x, y in rng.uniform(0, 399, (40, 2))]
    yield RegionCase("one", coffee, {"cup": cup})
    yield RegionCase("two", coffee, {"cup": cup, "table": table, "background": [[(590.0, 10.0)]]})
    yield RegionCase("many", coffee, {"background": many, "cup": cup, "table": table})
    yield RegionCase("few", coffee, {"cup": cup, "table": table, "spoon": [[(350.0, 260.0)]]}, 6)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[kotlin.Case]]:
    """Return the folder in which JavaScript has answered the cases."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js on this machine: the JavaScript of web_app is not run")
    folder = tmp_path_factory.mktemp("golden")
    found, lines = list(kotlin.cases(folder)), []
    for case in found:
        (folder / f"{case.name}.rgb").write_bytes(case.upright.tobytes())
        (folder / f"{case.name}.mask").write_bytes(case.mask.tobytes())
        height, width = case.upright.shape[:2]
        taps = [f"{x!r} {y!r} {int(on_object)}" for x, y, on_object in case.taps]
        lines.append(" ".join([case.name, str(width), str(height), str(case.size),
                               str(kotlin.MAX_POINTS), "0", *taps]))
    for shown, mask in gesture_cases():
        (folder / f"{shown.name}.rgb").write_bytes(shown.photograph.tobytes())
        (folder / f"{shown.name}.mask").write_bytes(mask.tobytes())
        height, width = shown.photograph.shape[:2]
        rows = [f"{x!r} {y!r} {int(label)}" for x, y, label in shown.gesture.rows().tolist()]
        lines.append(" ".join([shown.name, str(width), str(height), "512", str(kotlin.ROWS), "1",
                               *rows]))
    entries = []
    for region in region_cases():
        (folder / f"{region.name}.rgb").write_bytes(region.photograph.tobytes())
        for number, mask in enumerate(region.masks):
            (folder / f"{region.name}.mask{number}").write_bytes(mask.tobytes())
        height, width = region.photograph.shape[:2]
        entries.append({"name": region.name, "width": width, "height": height,
                        "rows": region.rows, "strokes": region.strokes})
    (folder / "regions.json").write_text(json.dumps(entries), encoding="utf-8")
    (folder / "cases.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run([node, str(PROGRAM), str(folder)], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return folder, found


def test_the_tensors_are_the_same(answered):
    folder, found = answered
    for case in found:
        image = np.fromfile(folder / f"{case.name}.image", np.uint8)
        expected = kotlin.frame_of(case).image(case.upright)
        np.testing.assert_array_equal(image.reshape(expected.shape), expected, case.name)
        points = np.fromfile(folder / f"{case.name}.points", "<f4").reshape(-1, 3)
        np.testing.assert_array_equal(points, kotlin.package_points(case), case.name)
    assert len(found) == 23


def test_the_mask_comes_back_to_the_photograph(answered, without_ipp):
    folder, found = answered
    for case in found:
        if case.name == "phone":  # twelve million numbers more
            continue
        probability = np.fromfile(folder / f"{case.name}.probability", "<f4")
        expected = kotlin.frame_of(case).mask_back(case.mask)
        np.testing.assert_array_equal(probability.reshape(expected.shape), expected, case.name)
        rgba = np.fromfile(folder / f"{case.name}.cutout", np.uint8).reshape(*expected.shape, 4)
        inside = expected >= 0.5
        np.testing.assert_array_equal(rgba[inside, :3], case.upright[inside], case.name)
        np.testing.assert_array_equal(rgba[..., 3], np.where(inside, 255, 0), case.name)
        assert not rgba[~inside].any()


def test_masks_are_tidied_alike(answered, without_ipp):
    folder, found = answered
    changed = 0
    for case in found:
        if case.name == "phone":
            continue
        mask = kotlin.frame_of(case).mask_back(case.mask) >= THRESHOLD
        expected = tidy(mask, [Click(*tap) for tap in case.taps])
        ours = np.fromfile(folder / f"{case.name}.tidied", np.uint8).reshape(mask.shape)
        np.testing.assert_array_equal(ours, expected, case.name)
        changed += int((mask != expected).any())
    assert changed > 10


def test_gestures_are_answered_as_by_the_package(answered, without_ipp):
    folder, _ = answered
    for case in kotlin.gesture_cases():
        probability, handed = case.package()
        image = np.fromfile(folder / f"{case.name}.image", np.uint8).reshape(512, 512, 3)
        np.testing.assert_array_equal(image, handed[1]["image"], case.name)
        points = np.fromfile(folder / f"{case.name}.points", "<f4").reshape(-1, 3)
        np.testing.assert_array_equal(points, handed[1]["points"], case.name)
        previous = np.fromfile(folder / f"{case.name}.previous", np.uint8).reshape(2, 512, 512)
        np.testing.assert_array_equal(previous, [call["previous"] for call in handed], case.name)
        ours = np.fromfile(folder / f"{case.name}.probability", "<f4")
        np.testing.assert_array_equal(ours.reshape(probability.shape), probability, case.name)
        expected = tidy(probability >= THRESHOLD, taps_of(case.gesture))
        tidied = np.fromfile(folder / f"{case.name}.tidied", np.uint8)
        np.testing.assert_array_equal(tidied.reshape(expected.shape), expected, case.name)


def test_small_objects_get_a_second_look(answered, without_ipp):
    """Also where there is none: `segment` in both languages, of every gesture."""
    folder, _ = answered
    looked_twice = 0
    for case, mask in gesture_cases():
        asked: list[int] = []
        segmenter = TapSegmenter.__new__(TapSegmenter)
        segmenter.refinement, segmenter.tidy, segmenter.second_look = None, True, True
        segmenter.model = SimpleNamespace(  # type: ignore[assignment]
            size=512, max_points=kotlin.ROWS, takes_previous=True, path="record", quantized=True,
            click_channels=2, gestures=frozenset(KINDS),
            run=lambda image, points, previous, mask=mask, asked=asked: asked.append(1) or mask)
        with warnings.catch_warnings(action="ignore"):  # of masks that miss their tap
            expected = segmenter.segment(case.photograph, case.gesture)
        ours = np.fromfile(folder / f"{case.name}.segment", np.uint8).reshape(expected.shape)
        np.testing.assert_array_equal(ours, expected, case.name)
        looked_twice += len(asked) == 2
    assert looked_twice >= 3


def test_several_objects_are_told_apart_as_by_the_package(answered, without_ipp):
    folder, _ = answered
    for case in region_cases():
        asked: list[np.ndarray] = []

        def run(image: np.ndarray, points: np.ndarray, previous: np.ndarray | None,
                case: RegionCase = case, asked: list[np.ndarray] = asked) -> np.ndarray:
            asked.append(points)
            return case.masks[len(asked) - 1]

        segmenter = TapSegmenter.__new__(TapSegmenter)
        segmenter.refinement, segmenter.tidy, segmenter.second_look = None, True, True
        segmenter.model = SimpleNamespace(  # type: ignore[assignment]
            size=512, max_points=case.rows, takes_previous=False, path="record", quantized=True,
            click_channels=2, gestures=frozenset(KINDS), run=run)
        with warnings.catch_warnings(action="ignore"):  # of labels without a pixel
            expected, legend = segmenter.regions(case.photograph, case.strokes)
        points = np.fromfile(folder / f"{case.name}.asked", "<f4").reshape(-1, case.rows, 3)
        # lengths of strokes come from two libraries: the last bit of a float32 at most
        np.testing.assert_allclose(points, asked, rtol=1e-6, atol=0, err_msg=case.name)
        ours = np.fromfile(folder / f"{case.name}.labels", np.uint8).reshape(expected.shape)
        np.testing.assert_array_equal(ours, expected, case.name)
        assert json.loads((folder / f"{case.name}.legend").read_text()) == list(legend.values())
        assert len(np.unique(expected)) > 1


def test_a_changed_pixel_is_seen(answered):
    """The comparison can fail: one byte of one photograph changes the tensor."""
    folder, found = answered
    changed = found[0].upright.copy()
    changed[200, 300] ^= 128
    image = np.fromfile(folder / f"{found[0].name}.image", np.uint8)
    assert np.any(image != kotlin.frame_of(found[0]).image(changed).ravel())


def test_the_golden_files_belong_to_the_shipped_file():
    """Else: python web_app/golden/make.py writes them again."""
    for name, content in make.golden().items():
        stored = json.loads((make.FOLDER / name).read_text(encoding="utf-8"))
        assert stored == content, f"{name} is of another file or another library"
