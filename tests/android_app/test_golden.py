"""The same photograph and taps give the same tensors in Kotlin, in its twin and in the package.

The oracle is the package itself: what TapSegmenter of oace_tf hands to the file and makes of its
mask. Kotlin runs where there is a compiler (kotlin/install.sh), the numpy twin of it everywhere.
"""
from __future__ import annotations

import functools
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oace_tf.clicks import Click, pack_points
from oace_tf.geometry import Frame
from oace_tf.gestures import Gesture
from oace_tf.images import read_image
from oace_tf.segmenter import TapSegmenter
from tests.android_app import compiled, twin

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"),
    reason="OpenCV on x86-64 is the reference; elsewhere it resizes with other code")
SAMPLES = compiled.ROOT / "docs" / "samples"
MAX_POINTS = 20
ROWS = 48  # of a file of gestures
# OpenCV on x86 resizes float32 with Intel's library, which rounds otherwise: 2.8e-5 at most on
# noise, 2.5e-6 on smooth masks. Without that library it is our arithmetic, bit for bit.
IPP_TOLERANCE = 5e-5


@dataclass(frozen=True)
class Case:
    """A photograph as stored, its orientation, and taps on it when upright."""

    name: str
    stored: np.ndarray  # (h, w, 3) uint8 RGB
    taps: tuple[tuple[float, float, bool], ...]
    orientation: int = 1
    size: int = 512
    pixels: np.ndarray | None = None  # what the package makes of the file; None: `stored`

    @property
    def upright(self) -> np.ndarray:
        return self.stored if self.pixels is None else self.pixels

    @property
    def mask(self) -> np.ndarray:
        return blobs(self.size)


@functools.cache
def blobs(size: int) -> np.ndarray:
    """Return a mask as the file gives it, (size, size) uint8, with soft edges."""
    noise = np.random.default_rng(5).random((size, size), np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), size / 30)
    return (255 * (soft - soft.min()) / (soft.max() - soft.min())).astype(np.uint8)


def jpeg_with_orientation(pixels: np.ndarray, orientation: int) -> bytes:
    """Return a JPEG whose EXIF holds nothing but the orientation."""
    jpeg = cv2.imencode(".jpg", pixels[..., ::-1])[1].tobytes()
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + bytes(6)
    app1 = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(app1) + 2).to_bytes(2, "big") + app1 + jpeg[2:]


def cases(folder: Path) -> Iterator[Case]:
    """Yield the cases; JPEGs are written to `folder` and read back as the package reads them."""
    coffee = read_image(SAMPLES / "coffee.jpg")  # 600 x 400: shrinks across, grows down
    cat = read_image(SAMPLES / "cat.jpg")  # 451 x 300: grows both ways
    three = ((290.0, 120.0, True), (150.25, 250.75, False), (599.5, -0.5, True))
    yield Case("coffee", coffee, three)
    yield Case("cat", cat, ((225.0, 150.0, True),))
    yield Case("small_frame", coffee, three, size=96)
    # resized here only to have other sizes, whatever the interpolation
    sizes = {"phone": (4032, 3024), "hd": (1920, 1080), "odd": (1283, 777), "larger": (513, 514),
             "blocks_of_four": (1024, 1024), "blocks": (1536, 2048), "exact": (512, 512),
             "one_side": (512, 1300), "flat": (3000, 100), "tiny": (3, 2), "pixel": (1, 1)}
    for name, size in sizes.items():
        photograph = np.asarray(cv2.resize(coffee, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        yield Case(name, photograph, ((size[0] / 3 - 0.5, size[1] * 0.7 - 0.5, True),))
    noise = np.random.default_rng(3).integers(0, 256, (701, 997, 3), dtype=np.uint8)
    yield Case("noise", noise, ((0.0, 700.0, True),))
    for orientation in range(1, 9):
        path = folder / f"exif{orientation}.jpg"
        path.write_bytes(jpeg_with_orientation(cat, orientation))
        stored = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        assert stored is not None
        stored = np.asarray(stored, np.uint8)
        yield Case(path.stem, stored, ((30.0, 40.0, True), (200.0, 100.0, False)), orientation,
                   pixels=read_image(path))


@dataclass(frozen=True)
class GestureCase:
    """An upright photograph and a gesture on it, for a file of gestures."""

    name: str
    photograph: np.ndarray
    gesture: Gesture

    def package(self) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
        """Return the probability of the package's own segmenter and what it hands to the file.

        It answers twice; the second time it is given its first answer.
        """
        handed: list[dict[str, np.ndarray]] = []

        def run(image: np.ndarray, points: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
            before = np.zeros((512, 512), np.uint8) if previous is None else previous
            handed.append({"image": image, "points": points, "previous": before})
            return blobs(512)

        segmenter = TapSegmenter.__new__(TapSegmenter)
        segmenter.refinement = None
        segmenter.model = SimpleNamespace(  # type: ignore[assignment]
            size=512, max_points=ROWS, run=run, takes_previous=True, quantized=True, path="record",
            gestures=frozenset({"tap", "background", "box", "extreme", "drag"}))
        _, first = segmenter.answer(self.photograph, self.gesture)
        probability, _ = segmenter.answer(self.photograph, self.gesture, first)
        return probability, handed


def gesture_cases() -> Iterator[GestureCase]:
    """Yield the cases of a file of gestures."""
    coffee = read_image(SAMPLES / "coffee.jpg")  # 600 x 400
    large = np.tile(coffee, (2, 3, 1))[:777, :1283]  # no resize: it differs with Intel's library
    on, off = Click(290.3, 120.7), Click(150.25, 250.75, False)
    extreme = ((100.5, 200.0), (401.25, 180.0), (250.0, 90.75), (260.0, 333.0))
    drag = ((290.0, 120.0), (333.3, 141.9))
    yield GestureCase("g_tap", coffee, Gesture(taps=(on, off, on)))
    yield GestureCase("g_box", coffee, Gesture(box=(100.5, 80.25, 401.0, 333.3)))
    yield GestureCase("g_corners", coffee, Gesture(box=(401.0, 80.25, 100.5, 333.3)))
    yield GestureCase("g_iog", coffee, Gesture(box=(200.0, 80.0, 401.0, 333.0), taps=(on, off)))
    yield GestureCase("g_beyond", coffee, Gesture(box=(-30.0, -5.5, 700.0, 390.0)))
    yield GestureCase("g_outside", coffee, Gesture(box=(10.0, 300.0, 60.0, 350.0), taps=(on,)))
    yield GestureCase("g_thin", coffee, Gesture(box=(300.0, 20.0, 300.0, 340.0)))
    yield GestureCase("g_point", coffee, Gesture(box=(300.0, 20.0, 300.0, 20.0)))
    yield GestureCase("g_extreme", coffee, Gesture(extreme=extreme, taps=(off,)))
    yield GestureCase("g_drag", coffee, Gesture(drag=drag))
    yield GestureCase("g_all", coffee, Gesture(
        taps=(on, off), box=(90.0, 80.0, 420.0, 350.0), extreme=extreme, drag=drag))
    yield GestureCase("g_large", large, Gesture(box=(33.3, 44.4, 1200.7, 700.1), taps=(on,)))
    yield GestureCase("g_corner", large, Gesture(box=(1100.0, 650.0, 1282.5, 776.5)))


@pytest.fixture(scope="module")
def answered(tmp_path_factory) -> tuple[Path, list[Case]]:
    """Return the folder in which the compiled Kotlin has answered the cases."""
    program = compiled.golden_program()
    folder = tmp_path_factory.mktemp("golden")
    found = list(cases(folder))
    lines = []
    for case in found:
        (folder / f"{case.name}.rgb").write_bytes(case.stored.tobytes())
        (folder / f"{case.name}.mask").write_bytes(case.mask.tobytes())
        height, width = case.stored.shape[:2]
        taps = [f"{x!r} {y!r} {int(on_object)}" for x, y, on_object in case.taps]
        lines.append(" ".join([case.name, str(width), str(height), str(case.orientation),
                               str(case.size), str(MAX_POINTS), "0", *taps]))
    for shown in gesture_cases():
        (folder / f"{shown.name}.rgb").write_bytes(shown.photograph.tobytes())
        (folder / f"{shown.name}.mask").write_bytes(blobs(512).tobytes())
        height, width = shown.photograph.shape[:2]
        rows = [f"{x!r} {y!r} {int(label)}" for x, y, label in shown.gesture.rows().tolist()]
        lines.append(" ".join([shown.name, str(width), str(height), "1", "512", str(ROWS), "1",
                               *rows]))
    (folder / "cases.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run([*program, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, found


@pytest.fixture
def without_ipp() -> Iterator[None]:
    before = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    yield
    cv2.ipp.setUseIPP(before)


def frame_of(case: Case) -> Frame:
    return Frame(case.upright.shape[0], case.upright.shape[1], case.size)


def package_points(case: Case) -> np.ndarray:
    frame = frame_of(case)
    return pack_points([frame.click(Click(*tap)) for tap in case.taps], MAX_POINTS)


# --- Kotlin


def test_kotlin_makes_the_same_image_tensor(answered):
    folder, found = answered
    for case in found:
        image = np.fromfile(folder / f"{case.name}.image", np.uint8)
        expected = frame_of(case).image(case.upright)
        np.testing.assert_array_equal(image.reshape(expected.shape), expected, case.name)
    assert len(found) == 23


def test_kotlin_makes_the_same_points_tensor(answered):
    folder, found = answered
    for case in found:
        points = np.fromfile(folder / f"{case.name}.points", "<f4").reshape(-1, 3)
        np.testing.assert_array_equal(points, package_points(case), case.name)


def test_kotlin_brings_the_mask_back_to_the_photograph(answered, without_ipp):
    folder, found = answered
    for case in found:
        if case.name == "phone":  # twelve million numbers more
            continue
        probability = np.fromfile(folder / f"{case.name}.probability", "<f4")
        expected = frame_of(case).mask_back(case.mask)
        np.testing.assert_array_equal(probability.reshape(expected.shape), expected, case.name)
        rgba = np.fromfile(folder / f"{case.name}.cutout", np.uint8).reshape(*expected.shape, 4)
        np.testing.assert_array_equal(rgba[..., :3], case.upright, case.name)
        np.testing.assert_array_equal(rgba[..., 3] == 255, expected >= 0.5, case.name)
        assert set(np.unique(rgba[..., 3])) <= {0, 255}


def test_kotlin_is_as_near_to_the_package_as_it_runs_as_measured(answered):
    folder, found = answered
    for case in found:
        if case.name == "phone":  # twelve million numbers more
            continue
        probability = np.fromfile(folder / f"{case.name}.probability", "<f4")
        expected = frame_of(case).mask_back(case.mask).ravel()
        np.testing.assert_allclose(probability, expected, rtol=0, atol=IPP_TOLERANCE)


def test_kotlin_refuses_what_makes_no_sense(answered):
    folder, _ = answered
    lines = (folder / "refused.txt").read_text(encoding="utf-8").splitlines()
    expected = ["a photograph of 4x3 needs 12 pixels", "a photograph of 0x3", "no photograph yet",
                "nothing says which object is meant", "nothing says which object is meant",
                "3 taps, but the model takes 2", "the tap 3.6, 0.0 is outside",
                "the tap 0.0, -0.6 is outside", "a gesture holds no finite number", "taken",
                "the model knows taps alone", "1 extreme points",
                "a gesture holds no finite number", "the box lies outside the photograph",
                "taken"]
    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected)), lines


def test_kotlin_answers_gestures_as_the_package_does(answered, without_ipp):
    folder, _ = answered
    for case in gesture_cases():
        probability, handed = case.package()
        image = np.fromfile(folder / f"{case.name}.image", np.uint8).reshape(512, 512, 3)
        np.testing.assert_array_equal(image, handed[1]["image"], case.name)
        points = np.fromfile(folder / f"{case.name}.points", "<f4").reshape(-1, 3)
        np.testing.assert_array_equal(points, handed[1]["points"], case.name)
        previous = np.fromfile(folder / f"{case.name}.previous", np.uint8).reshape(2, 512, 512)
        np.testing.assert_array_equal(previous, [call["previous"] for call in handed], case.name)
        assert previous[1].any()
        ours = np.fromfile(folder / f"{case.name}.probability", "<f4")
        np.testing.assert_array_equal(ours.reshape(probability.shape), probability, case.name)


def test_a_changed_pixel_is_seen(answered):
    """The comparison can fail: one byte of one photograph changes the tensor."""
    folder, found = answered
    case = found[0]
    changed = case.upright.copy()
    changed[200, 300] ^= 128
    image = np.fromfile(folder / f"{case.name}.image", np.uint8)
    assert np.any(image != frame_of(case).image(changed).ravel())


# --- the twin, which needs no Kotlin


def test_the_twin_equals_the_package(tmp_path, without_ipp):
    for case in cases(tmp_path):
        frame, pixels = frame_of(case), twin.upright(case.stored, case.orientation)
        height, width = case.upright.shape[:2]
        np.testing.assert_array_equal(pixels, case.upright, case.name)
        np.testing.assert_array_equal(twin.points(list(case.taps), width, height, case.size,
                                                  MAX_POINTS), package_points(case), case.name)
        if case.name in ("phone", "hd"):  # numpy takes seconds a megapixel; "odd" and "noise" do
            continue
        np.testing.assert_array_equal(twin.image(pixels, case.size), frame.image(pixels),
                                      case.name)
        np.testing.assert_array_equal(twin.probability(case.mask, width, height),
                                      frame.mask_back(case.mask), case.name)


def test_the_twin_answers_gestures_as_the_package_does(without_ipp):
    for case in gesture_cases():
        probability, handed = case.package()
        height, width = case.photograph.shape[:2]
        bounds = case.gesture.bounds
        left, top, right, bottom = 0, 0, width, height
        if bounds is not None:
            inside = [(tap.x, tap.y) for tap in case.gesture.taps if tap.positive]
            places = [(float(x), float(y)) for x, y in bounds] + inside
            left, top, right, bottom = twin.window(places, width, height)
        moved = [(x - left, y - top, label) for x, y, label in case.gesture.rows().tolist()]
        points = twin.gesture_points(moved, right - left, bottom - top, 512, ROWS)
        np.testing.assert_array_equal(points, handed[0]["points"], case.name)
        part = case.photograph[top:bottom, left:right]
        np.testing.assert_array_equal(twin.image(part, 512), handed[0]["image"], case.name)
        expected = np.zeros((height, width), np.float32)
        expected[top:bottom, left:right] = twin.probability(
            blobs(512), right - left, bottom - top)
        np.testing.assert_array_equal(expected, probability, case.name)


@settings(max_examples=60)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 64), st.integers(0, 2**32 - 1))
@example(1, 1, 1, 0)
@example(64, 64, 32, 0)
@example(96, 192, 32, 1)
def test_the_twin_equals_opencv_at_any_size(width, height, size, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = Frame(height, width, size).image(pixels)
    np.testing.assert_array_equal(twin.image(pixels, size), expected)


@settings(max_examples=60)
@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(0, 1), st.floats(0, 1))
def test_the_twin_scales_taps_like_the_package(width, height, across, down):
    x, y = across * width - 0.5, down * height - 0.5
    expected = pack_points([Frame(height, width).click(Click(x, y))], 3)
    np.testing.assert_array_equal(twin.points([(x, y, True)], width, height, 512, 3), expected)
