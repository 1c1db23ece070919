"""The same photograph and taps give the same tensors in Kotlin, in its twin and in the package.

The oracle is the package itself: what TapSegmenter of oace_tf hands to the file and makes of its
mask. Kotlin runs where there is a compiler (kotlin/install.sh), the numpy twin of it everywhere.
"""
from __future__ import annotations

import copy
import functools
import json
import platform
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from export.tflite import model as tflite
from oace_tf.clicks import Click, pack_points
from oace_tf.errors import MissedTapWarning, UsageError
from oace_tf.geometry import Frame
from oace_tf.gestures import Gesture
from oace_tf.images import on_white, read_image
from oace_tf.looks import around_small
from oace_tf.pictures import cutout
from oace_tf.pieces import tidy
from oace_tf.runtime.model import _check_contract
from oace_tf.runtime.tflite_reader import METADATA_NAME, SEAL_KEY, read_facts
from oace_tf.segmenter import DEFAULT_MODEL, TapSegmenter, taps_of
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
    clear: bool = False  # whether parts of it are transparent

    @property
    def alpha(self) -> np.ndarray:
        """Its transparency as stored, (h, w) uint8."""
        height, width = self.stored.shape[:2]
        if not self.clear:
            return np.full((height, width), 255, np.uint8)
        return np.add.outer(np.arange(height), np.arange(width)).clip(0, 255).astype(np.uint8)

    @property
    def upright(self) -> np.ndarray:
        return self.stored if self.pixels is None else self.pixels

    @property
    def shown(self) -> np.ndarray:
        """What the file is shown of it: on white."""
        return on_white(self.upright, self.alpha) if self.clear else self.upright

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


def clear_case() -> Case:
    """Return the case of a photograph that is transparent in parts."""
    taps = ((290.0, 120.0, True), (150.25, 250.75, False))
    return Case("clear", read_image(SAMPLES / "coffee.jpg"), taps, clear=True)


def rolled(mask: np.ndarray, points: np.ndarray, previous: np.ndarray | None,
           by: int = 0) -> np.ndarray:
    """Return what the recorded model of Golden.kt answers: no two of its answers are alike."""
    rows = int((points[:, 2] >= 0).sum())
    before = 0 if previous is None else int(previous.sum(dtype=np.int64))
    return np.roll(mask.ravel(), 17 * rows + 257 * (before % 101) + by).reshape(mask.shape)


@dataclass(frozen=True)
class GestureCase:
    """An upright photograph and a gesture on it, for a file that takes the mask before.

    Attributes:
      knows: what the file was trained on; nothing for one of taps alone (RITM).
      answers: how many masks the file gives.
    """

    name: str
    photograph: np.ndarray
    gesture: Gesture
    knows: tuple[str, ...] = ("tap", "background", "box", "extreme", "drag")
    answers: int = 1

    def package(self, rolls: bool = False) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
        """Return the probability of the package's own segmenter and what it hands to the file.

        A file of gestures is first asked without the last tap, where that means anything, and
        then shown its answer. A file of several answers gives them all, (K, H, W).

        Args:
          rolls: whether no two answers of the file are alike; else they are all `blobs`.
        """
        handed: list[dict[str, np.ndarray]] = []

        def run(image: np.ndarray, points: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
            before = np.zeros((512, 512), np.uint8) if previous is None else previous
            handed.append({"image": image, "points": points, "previous": before})
            return rolled(blobs(512), points, before) if rolls else blobs(512)

        def run_all(image: np.ndarray, points: np.ndarray, previous: np.ndarray | None,
                    ) -> tuple[np.ndarray, np.ndarray]:
            before = np.zeros((512, 512), np.uint8) if previous is None else previous
            run(image, points, previous)
            masks = [rolled(blobs(512), points, before, 5001 * k) for k in range(self.answers)]
            return np.stack(masks), np.arange(self.answers, dtype=np.float32) / 8

        model = SimpleNamespace(
            size=512, max_points=ROWS, run=run, run_all=run_all, takes_previous=True,
            path="record", click_channels=2, gestures=frozenset(self.knows), quantized=True,
            has_alternatives=self.answers > 1)
        with mock.patch("oace_tf.segmenter.open_model", return_value=model):
            segmenter = TapSegmenter("record")
        if self.answers > 1:
            masks, scores = segmenter.alternatives(self.photograph, self.gesture)
            np.testing.assert_array_equal(scores, np.arange(self.answers) / 8)
            return masks, handed
        if not self.knows:
            return segmenter.answer(self.photograph, self.gesture.taps)[0], handed
        try:
            first = replace(self.gesture, taps=self.gesture.taps[:-1])
        except UsageError:
            first = self.gesture
        _, before = segmenter.answer(self.photograph, first)
        probability, _ = segmenter.answer(self.photograph, self.gesture, before)
        return probability, handed

    def line(self) -> str:
        """Return the case as Golden.kt reads it."""
        height, width = self.photograph.shape[:2]
        rows = [f"{x!r} {y!r} {int(label)}" for x, y, label in self.gesture.rows().tolist()]
        knows = ",".join(self.knows) or "-"
        return " ".join([self.name, str(width), str(height), "1", "512", str(ROWS), "1", knows,
                         str(self.answers), *rows])


def gesture_cases() -> Iterator[GestureCase]:
    """Yield the cases of a file of gestures; also those of the JavaScript library."""
    coffee = read_image(SAMPLES / "coffee.jpg")  # 600 x 400
    large = np.tile(coffee, (2, 3, 1))[:777, :1283]  # no resize: it differs with Intel's library
    on, off = Click(290.3, 120.7), Click(150.25, 250.75, False)
    far = Click(550.0, 380.0)
    extreme = ((100.5, 200.0), (401.25, 180.0), (250.0, 90.75), (260.0, 333.0))
    drag = ((290.0, 120.0), (333.3, 141.9))
    box = (100.5, 80.25, 401.0, 333.3)
    along = tuple(Click(200 + 12 * k, 150 + 3.3 * k) for k in range(8))
    yield GestureCase("g_tap", coffee, Gesture(taps=(on,)))
    yield GestureCase("g_taps", coffee, Gesture(taps=(on, off, far)))
    yield GestureCase("g_scribble", coffee, Gesture(taps=along))
    yield GestureCase("g_box", coffee, Gesture(box=box))
    yield GestureCase("g_corners", coffee, Gesture(box=(401.0, 80.25, 100.5, 333.3)))
    yield GestureCase("g_iog", coffee, Gesture(box=(200.0, 80.0, 401.0, 333.0), taps=(on, off)))
    yield GestureCase("g_beyond", coffee, Gesture(box=(-30.0, -5.5, 700.0, 390.0)))
    yield GestureCase("g_widened", coffee, Gesture(box=(10.0, 300.0, 60.0, 350.0), taps=(on,)))
    yield GestureCase("g_twice", coffee, Gesture(box=(10.0, 300.0, 60.0, 350.0), taps=(on, far)))
    yield GestureCase("g_thin", coffee, Gesture(box=(300.0, 20.0, 300.0, 340.0)))
    yield GestureCase("g_point", coffee, Gesture(box=(300.0, 20.0, 300.0, 20.0)))
    yield GestureCase("g_extreme", coffee, Gesture(extreme=extreme, taps=(off,)))
    yield GestureCase("g_outline", coffee, Gesture(extreme=extreme, taps=(far,)))
    yield GestureCase("g_drag", coffee, Gesture(drag=drag))
    yield GestureCase("g_all", coffee, Gesture(
        taps=(on, off), box=(90.0, 80.0, 420.0, 350.0), extreme=extreme, drag=drag))
    yield GestureCase("g_large", large, Gesture(box=(33.3, 44.4, 1200.7, 700.1), taps=(on,)))
    yield GestureCase("g_corner", large, Gesture(box=(1100.0, 650.0, 1282.5, 776.5)))


def all_gesture_cases() -> Iterator[GestureCase]:
    """Yield these, and the cases of RITM and of a file with several answers."""
    yield from gesture_cases()
    coffee = read_image(SAMPLES / "coffee.jpg")
    on, off, far = Click(290.3, 120.7), Click(150.25, 250.75, False), Click(550.0, 380.0)
    box = (100.5, 80.25, 401.0, 333.3)
    yield GestureCase("r_tap", coffee, Gesture(taps=(on,)), knows=())
    yield GestureCase("r_taps", coffee, Gesture(taps=(off, on, far, off)), knows=())
    yield GestureCase("s_taps", coffee, Gesture(taps=(on, off)), answers=3)
    yield GestureCase("s_box", coffee, Gesture(box=box, taps=(on,)), answers=3)


def tidy_cases() -> Iterator[tuple[np.ndarray, tuple[Click, ...]]]:
    """Yield masks, (H, W) bool, and taps: noise of all kinds, rings, and what is full or empty."""
    rng = np.random.default_rng(11)
    for _ in range(300):
        height, width = rng.integers(1, 70, 2)
        noise = rng.random((height, width), np.float32)
        soft = cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(0.1, 4)))
        mask = soft >= np.quantile(soft, rng.uniform(0.1, 0.9))
        yield mask, tuple(
            Click(float(rng.uniform(-0.5, width - 0.5)), float(rng.uniform(-0.5, height - 0.5)),
                  bool(rng.random() < 0.6)) for _ in range(rng.integers(0, 5)))
    rows, columns = np.mgrid[:700, :900]
    rings = (np.hypot(rows - 350, columns - 450) // 37).astype(int) % 2 == 0
    middle, ring, other = Click(450, 350), Click(494, 350), Click(524.5, 350)
    yield rings, ()
    yield rings, (middle,)
    yield rings, (Click(449.5, 350.5), Click(500, 350, False))
    yield rings, (ring,)
    yield rings, (other, Click(450, 300, False))
    yield np.zeros((7, 9), bool), (Click(1, 1),)
    yield np.ones((7, 9), bool), (Click(1, 1),)


@dataclass(frozen=True)
class LookCase:
    """A photograph, a gesture, and the mask that the file gives of all that it is shown.

    Attributes:
      spot: left, top, right, bottom of a soft square in the mask, px of 512.
    """

    name: str
    photograph: np.ndarray
    gesture: Gesture
    spot: tuple[int, int, int, int]
    takes_previous: bool = True

    @property
    def mask(self) -> np.ndarray:
        left, top, right, bottom = self.spot
        mask = np.zeros((512, 512), np.uint8)
        mask[top:bottom, left:right] = 255
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), 2.5), np.uint8)

    def package(self) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
        """Return what `segment` of the package gives, and what it hands to the file."""
        handed: list[dict[str, np.ndarray]] = []

        def run(image: np.ndarray, points: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
            handed.append({"image": image, "points": points})
            if not self.takes_previous:
                return self.mask
            return rolled(self.mask, points, np.zeros((512, 512), np.uint8))

        model = SimpleNamespace(
            size=512, max_points=ROWS, run=run, takes_previous=self.takes_previous, path="record",
            click_channels=2, gestures=frozenset(("tap", "background", "box", "drag")),
            quantized=True, has_alternatives=False)
        with mock.patch("oace_tf.segmenter.open_model", return_value=model):
            segmenter = TapSegmenter("record")
        with warnings.catch_warnings():  # a mask beside its tap is one of the cases
            warnings.simplefilter("ignore", MissedTapWarning)
            return segmenter.segment(self.photograph, self.gesture), handed

    def line(self) -> str:
        """Return the case as Golden.kt reads it."""
        height, width = self.photograph.shape[:2]
        rows = [f"{x!r} {y!r} {int(label)}" for x, y, label in self.gesture.rows().tolist()]
        return " ".join([self.name, str(width), str(height), "512", str(ROWS),
                         str(int(self.takes_previous)), "tap,background,box,drag", *rows])


def look_cases() -> Iterator[LookCase]:
    """Yield small objects in all places, and what gets no second look."""
    coffee = read_image(SAMPLES / "coffee.jpg")
    large = np.tile(coffee, (2, 3, 1))[:777, :1283]
    on, off = Click(290.3, 120.7), Click(150.25, 250.75, False)
    middle, corner = (220, 150, 260, 190), (0, 480, 30, 512)
    yield LookCase("l_tap", coffee, Gesture(taps=(on,)), middle)
    yield LookCase("l_taps", coffee, Gesture(taps=(on, off, Click(300, 150))), middle)
    yield LookCase("l_alone", coffee, Gesture(taps=(on, off)), middle, takes_previous=False)
    yield LookCase("l_drag", coffee, Gesture(drag=((270.0, 130.0), (255.5, 118.25))), middle)
    yield LookCase("l_tiny", coffee, Gesture(taps=(on,)), (240, 150, 246, 156))
    yield LookCase("l_far", coffee, Gesture(taps=(Click(580.0, 390.0),)), middle)
    yield LookCase("l_corner", coffee, Gesture(taps=(Click(8.0, 391.0),)), corner)
    yield LookCase("l_large", large, Gesture(taps=(Click(700.5, 300.25),)), (260, 180, 300, 215))
    yield LookCase("n_large", coffee, Gesture(taps=(on,)), (100, 100, 300, 300))
    yield LookCase("n_empty", coffee, Gesture(taps=(on,)), (0, 0, 0, 0))
    yield LookCase("n_box", coffee, Gesture(box=(200.0, 80.0, 401.0, 333.0), taps=(on,)), middle)


def small_cases() -> Iterator[tuple[np.ndarray, Gesture]]:
    """Yield masks, (H, W) bool, and gestures: objects around the size that gets a second look."""
    rng = np.random.default_rng(13)
    for number in range(300):
        height, width = (int(side) for side in rng.integers(1, 240, 2))
        mask = np.zeros((height, width), bool)
        across, down = rng.uniform(0, 0.25, 2)
        left, top = int(rng.integers(0, width)), int(rng.integers(0, height))
        mask[top:top + int(down * height) + number % 2, left:left + int(across * width) + 1] = True
        places = [(float(rng.uniform(-0.5, width - 0.5)), float(rng.uniform(-0.5, height - 0.5)))
                  for _ in range(4)]
        taps = [Click(*places[0]), Click(*places[1], bool(rng.random() < 0.5))]
        yield mask, Gesture(taps=tuple(taps[:1 + number % 3 % 2]),
                            drag=(places[2], places[3]) if number % 5 == 0 else None,
                            box=(*places[2], *places[3]) if number % 17 == 0 else None)


@pytest.fixture(scope="module")
def answered(tmp_path_factory) -> tuple[Path, list[Case]]:
    """Return the folder in which the compiled Kotlin has answered the cases."""
    program = compiled.program("Golden")
    folder = tmp_path_factory.mktemp("golden")
    found = [*cases(folder), clear_case()]
    lines = []
    for case in found:
        rgba = np.dstack([case.stored, case.alpha])
        (folder / f"{case.name}.rgba").write_bytes(rgba.tobytes())
        (folder / f"{case.name}.mask").write_bytes(case.mask.tobytes())
        height, width = case.stored.shape[:2]
        taps = [f"{x!r} {y!r} {int(on_object)}" for x, y, on_object in case.taps]
        lines.append(" ".join([case.name, str(width), str(height), str(case.orientation),
                               str(case.size), str(MAX_POINTS), "0", "-", "1", *taps]))
    for shown in all_gesture_cases():
        rgba = np.dstack([shown.photograph, np.full(shown.photograph.shape[:2], 255, np.uint8)])
        (folder / f"{shown.name}.rgba").write_bytes(rgba.tobytes())
        (folder / f"{shown.name}.mask").write_bytes(blobs(512).tobytes())
        lines.append(shown.line())
    (folder / "cases.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for small in look_cases():
        rgba = np.dstack([small.photograph, np.full(small.photograph.shape[:2], 255, np.uint8)])
        (folder / f"{small.name}.rgba").write_bytes(rgba.tobytes())
        (folder / f"{small.name}.mask").write_bytes(small.mask.tobytes())
    (folder / "looks.txt").write_text("\n".join(small.line() for small in look_cases()),
                                      encoding="utf-8")
    (folder / "small.txt").write_text("\n".join(
        " ".join([str(mask.shape[1]), str(mask.shape[0]),
                  *(f"{x!r} {y!r} {int(label)}" for x, y, label in gesture.rows().tolist())])
        for mask, gesture in small_cases()), encoding="utf-8")
    (folder / "small.bits").write_bytes(b"".join(mask.tobytes() for mask, _ in small_cases()))
    tidy_lines = []
    for mask, clicks in tidy_cases():
        words = [f"{tap.x!r} {tap.y!r} {int(tap.positive)}" for tap in clicks]
        tidy_lines.append(" ".join([str(mask.shape[1]), str(mask.shape[0]), *words]))
    (folder / "tidy.txt").write_text("\n".join(tidy_lines), encoding="utf-8")
    (folder / "tidy.bits").write_bytes(b"".join(mask.tobytes() for mask, _ in tidy_cases()))
    (folder / "strokes.txt").write_text("\n".join(
        f"{width} {height} {most} " + " ".join(f"{x!r} {y!r}" for x, y in places.tolist())
        for places, (height, width), most in strokes()), encoding="utf-8")
    (folder / "files.txt").write_text("\n".join(map(str, model_files(folder))), encoding="utf-8")
    done = subprocess.run([*program, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, found


def strokes() -> Iterator[tuple[np.ndarray, tuple[int, int], int]]:
    """Yield strokes, (n, 2) x, y, the size of their photograph, and how many taps there may be."""
    rng = np.random.default_rng(12)
    for length, most in ((1, 5), (2, 1), (2, 20), (9, 4), (40, 20), (40, 47), (400, 48)):
        places = np.cumsum(rng.normal(0, 9, (length, 2)), axis=0) + 200
        yield places, (400, 600), most
    yield np.array([[7.5, 8.0], [7.5, 8.0], [300.0, 8.0], [300.0, 8.0]]), (3024, 4032), 48


def model_files(folder: Path) -> list[Path]:
    """Return .tflite files: the shipped one, tiny ones, RITM's kind, and such as are refused."""
    golden = compiled.ROOT / "tests" / "golden"
    tiny, several = golden / "tiny_int8.tflite", golden / "tiny_multi_int8.tflite"
    plain = with_metadata(tiny.read_bytes())
    ritm = tflite.parse(plain)
    inputs, outputs = tflite.signature(ritm)
    tensors = tflite.graph(ritm).tensors
    tensors.append(copy.deepcopy(tensors[outputs["mask"]]))
    entry = copy.deepcopy(ritm.signatureDefs[0].inputs[0])
    entry.name, entry.tensorIndex = b"previous", len(tensors) - 1
    ritm.signatureDefs[0].inputs.append(entry)
    bare = tflite.parse(plain)
    bare.metadata = []
    scaled = tflite.parse(plain)
    tflite.graph(scaled).tensors[inputs["image"]].quantization.zeroPoint = [0]
    renamed = tflite.parse(plain)
    renamed.signatureDefs[0].outputs[0].name = b"output_0"
    content = {"ritm": tflite.serialise(ritm), "bare": tflite.serialise(bare),
               "scaled": tflite.serialise(scaled), "renamed": tflite.serialise(renamed),
               "text": b"not a model"}
    changes: dict[str, dict[str, object]] = {
        "gestures": {"gestures": "box"}, "click_channels": {"click_channels": 3},
        "max_points": {"max_points": 20}, "interface": {"interface": "mediapipe"},
        "words": {"gestures": ["tap", "box", "lasso"], "note": '\u00fc "quoted" \\ \n',
                  "nested": {"a": [1.5e3, None, {}]}}}
    content |= {name: with_metadata(plain, **words) for name, words in changes.items()}
    for name, data in content.items():
        (folder / f"{name}.tflite").write_bytes(data)
    made = [folder / f"{name}.tflite" for name in content]
    return [DEFAULT_MODEL, tiny, several, golden / "tiny_float32.tflite", *made]


def with_metadata(data: bytes, **changes: object) -> bytes:
    """Return the file with other words in its metadata, and without a seal."""
    model = tflite.parse(data)
    entry = next(one for one in model.metadata if as_text(one.name) == METADATA_NAME)
    ours = json.loads(bytes(model.buffers[entry.buffer].data))
    ours.pop(SEAL_KEY, None)
    words = json.dumps({**ours, **changes}).encode()
    model.buffers[entry.buffer].data = np.frombuffer(words, np.uint8)
    return tflite.serialise(model)


def as_text(name: bytes | str) -> str:
    return name if isinstance(name, str) else name.decode()


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
        expected = frame_of(case).image(case.shown)
        np.testing.assert_array_equal(image.reshape(expected.shape), expected, case.name)
    assert len(found) == 24


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
        region = tidy(expected >= 0.5, [Click(*tap) for tap in case.taps])
        ours = np.fromfile(folder / f"{case.name}.region", np.uint8).reshape(expected.shape)
        np.testing.assert_array_equal(ours == 1, region, case.name)
        rgba = np.fromfile(folder / f"{case.name}.cutout", np.uint8).reshape(*expected.shape, 4)
        alpha = case.alpha if case.clear else None
        np.testing.assert_array_equal(rgba, cutout(case.upright, region, alpha), case.name)


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
    knows_taps = "the file was not trained on box; it knows background, tap"
    expected = ["a photograph of 4x3 needs 12 pixels", "a photograph of 0x3",
                "no photograph yet; give one to setPhotograph",
                "nothing says which object is meant; give a tap on it",
                "nothing says which object is meant; give a tap on it",
                "the gesture has 3 rows, the file takes 2; leave taps out",
                "the tap 3.6, 0.0 is outside", "the tap 0.0, -0.6 is outside",
                "a gesture holds a number that is not finite", "taken",
                knows_taps, knows_taps,
                "the file was not trained on background; it knows tap",
                "the file was not trained on background; it knows box, tap",
                "1 extreme points; give four", "a gesture holds a number that is not finite",
                "the box lies outside the photograph of 4x3; draw it on the photograph", "taken",
                "the file takes no previous mask; leave it out",
                "the previous mask is of another photograph or file; leave it out",
                "the file gives one answer alone; take a file of the interface points-multi",
                "a scribble needs a place and room for one tap"]
    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected)), lines


def test_kotlin_answers_gestures_as_the_package_does(answered, without_ipp):
    folder, _ = answered
    for case in all_gesture_cases():
        probability, handed = case.package(rolls=True)
        image = np.fromfile(folder / f"{case.name}.image", np.uint8).reshape(512, 512, 3)
        np.testing.assert_array_equal(image, handed[-1]["image"], case.name)
        points = np.fromfile(folder / f"{case.name}.points", "<f4").reshape(-1, 3)
        np.testing.assert_array_equal(points, handed[-1]["points"], case.name)
        previous = np.fromfile(folder / f"{case.name}.previous", np.uint8).reshape(-1, 512, 512)
        np.testing.assert_array_equal(previous, [call["previous"] for call in handed], case.name)
        ours = np.fromfile(folder / f"{case.name}.probability", "<f4")
        np.testing.assert_array_equal(ours.reshape(probability.shape), probability, case.name)
        first = probability[0] if case.answers > 1 else probability
        region = np.fromfile(folder / f"{case.name}.region", np.uint8).reshape(first.shape)
        np.testing.assert_array_equal(region == 1, tidy(first >= 0.5, taps_of(case.gesture)),
                                      case.name)


def test_the_cases_ask_what_they_should():
    calls = {case.name: case.package(rolls=True)[1] for case in all_gesture_cases()}
    assert len(calls) == 21
    assert len(calls["g_box"]) == 2 and calls["g_box"][1]["previous"].any()
    assert len(calls["r_tap"]) == 1 and len(calls["r_taps"]) == 3  # from the first on the object on
    before, after = (call["image"] for call in calls["g_widened"])
    assert (before != after).any()  # the tap widens the part that is shown


def test_kotlin_looks_twice_at_small_objects_as_the_package_does(answered, without_ipp):
    folder, _ = answered
    twice = set()
    for case in look_cases():
        expected, handed = case.package()
        images = np.fromfile(folder / f"{case.name}.images", np.uint8).reshape(-1, 512, 512, 3)
        np.testing.assert_array_equal(images, [call["image"] for call in handed], case.name)
        points = np.fromfile(folder / f"{case.name}.points", "<f4").reshape(-1, ROWS, 3)
        np.testing.assert_array_equal(points, [call["points"] for call in handed], case.name)
        region = np.fromfile(folder / f"{case.name}.region", np.uint8).reshape(expected.shape)
        np.testing.assert_array_equal(region == 1, expected, case.name)
        kept = np.fromfile(folder / f"{case.name}.kept", np.uint8).reshape(512, 512)
        first = (rolled(case.mask, points[0], np.zeros((512, 512), np.uint8))
                 if case.takes_previous else case.mask)
        np.testing.assert_array_equal(kept, first, case.name)  # not the second one
        twice |= {case.name} if len(images) == 2 else set()
    assert twice == {case.name for case in look_cases() if case.name.startswith("l_")}


def test_kotlin_finds_the_part_around_a_small_object_as_the_package_does(answered):
    folder, _ = answered
    lines = (folder / "windows.txt").read_text(encoding="utf-8").splitlines()
    count = 0
    for line, (mask, gesture) in zip(lines, small_cases(), strict=True):
        window = around_small(mask, gesture)
        expected = "-" if window is None else (
            f"{window.left} {window.top} {window.right} {window.bottom}")
        assert line == expected
        count += window is not None
    assert 100 < count < 250


def test_kotlin_tidies_masks_as_the_package_does(answered):
    folder, _ = answered
    bits = np.fromfile(folder / "tidied.bits", np.uint8)
    changed = start = 0
    for number, (mask, taps) in enumerate(tidy_cases()):
        ours = bits[start:start + mask.size].reshape(mask.shape) == 1
        start += mask.size
        expected = tidy(mask, taps)
        np.testing.assert_array_equal(ours, expected, str(number))
        changed += bool((expected != mask).any())
    assert (number, start) == (306, bits.size) and changed > 200


def test_kotlin_scribbles_as_the_package_does(answered):
    along = pytest.importorskip("oace_tf.strokes", reason="no strokes in this package")
    folder, _ = answered
    lines = (folder / "scribbles.txt").read_text(encoding="utf-8").splitlines()
    for line, (places, size_hw, most) in zip(lines, strokes(), strict=True):
        taps = np.array(line.split(), np.float64).reshape(-1, 2)
        expected = [(tap.x, tap.y) for tap in along.taps_along([places], size_hw, most)]
        # the lengths of the parts come from two libraries: 1e-13 px at most
        np.testing.assert_allclose(taps, expected, rtol=0, atol=1e-9)
        assert 1 <= len(taps) <= most


def test_kotlin_reads_what_a_file_says_of_itself(answered):
    folder, _ = answered
    lines = (folder / "facts.txt").read_text(encoding="utf-8").splitlines()
    for path, line in zip(model_files(folder), lines, strict=True):
        try:
            facts = read_facts(path.read_bytes(), "FILE")
            _check_contract(facts, "FILE")
        except UsageError as error:
            assert line.startswith("refused: FILE"), (path.name, error)
            continue
        if facts.inputs["image"].dtype == "float32":
            assert "image is float32" in line and "take the int8 file" in line
            continue
        kinds = facts.metadata.get("gestures") or (
            ("tap", "background") if facts.metadata.get("click_channels") == 2 else ("tap",))
        kinds = sorted(set(kinds) & {"tap", "background", "box", "extreme", "drag"})
        expected = (facts.inputs["image"].shape[1], facts.inputs["points"].shape[1],
                    str("previous" in facts.inputs).lower(),
                    facts.metadata.get("click_channels", 1),
                    facts.outputs["scores"].shape[1] if "scores" in facts.outputs else 1,
                    ",".join(kinds))
        assert line == " ".join(map(str, expected)), path.name
    assert [line.startswith("refused") for line in lines] == [
        False, False, False, True, False, False, True, True, True, True, True, True, True, False]


def test_a_damaged_file_is_refused_in_words(answered):
    folder, _ = answered
    for line in (folder / "damaged.txt").read_text(encoding="utf-8").splitlines():
        refused, *others = line.split()
        assert not others, others
        assert int(refused) > 0


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


def test_the_twin_finds_the_part_around_a_small_object():
    for mask, gesture in small_cases():
        window = around_small(mask, gesture)
        rows, columns = np.nonzero(mask)
        if window is None:
            continue
        places = [(tap.x, tap.y) for tap in gesture.taps if tap.positive]
        corners = [(float(columns.min()), float(rows.min())),
                   (float(columns.max()), float(rows.max()))]
        part = twin.small_window([*corners, *places, *(gesture.drag or ())], *mask.shape[::-1])
        assert part == (window.left, window.top, window.right, window.bottom)


def test_the_twin_answers_gestures_as_the_package_does(without_ipp):
    for case in all_gesture_cases():
        probability, handed = case.package(rolls=True)
        height, width = case.photograph.shape[:2]
        bounds = case.gesture.bounds
        left, top, right, bottom = 0, 0, width, height
        if bounds is not None:
            inside = [(tap.x, tap.y) for tap in case.gesture.taps if tap.positive]
            places = [(float(x), float(y)) for x, y in bounds] + inside
            left, top, right, bottom = twin.window(places, width, height)
        moved = [(x - left, y - top, label) for x, y, label in case.gesture.rows().tolist()]
        points = twin.gesture_points(moved, right - left, bottom - top, 512, ROWS)
        np.testing.assert_array_equal(points, handed[-1]["points"], case.name)
        part = case.photograph[top:bottom, left:right]
        np.testing.assert_array_equal(twin.image(part, 512), handed[-1]["image"], case.name)
        if case.answers > 1:
            continue
        expected = np.zeros((height, width), np.float32)
        mask = rolled(blobs(512), points, handed[-1]["previous"])
        expected[top:bottom, left:right] = twin.probability(mask, right - left, bottom - top)
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
