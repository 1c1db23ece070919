"""The interfaces for MediaPipe in the real wheels, against our own predictor.

Run where mediapipe is installed: in this environment, or in those whose interpreters the variable
OACE_MEDIAPIPE names, separated by colons (`.ci/run` makes two: 0.10.21 and a current 1.x).
"""
from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from export.build import SHIPPED
from export.interfaces import files as interface_files
from export.interfaces import mediapipe_task
from export.interfaces.answers import one_answer
from export.tflite import metadata
from oace_tf import TapSegmenter
from oace_tf.clicker import first_click
from oace_tf.clicks import Click
from oace_tf.evaluation.metrics import mask_agreement
from oace_tf.images import read_image
from oace_tf.samples.layouts import list_samples
from oace_tf.segmenter import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parents[3]
CHECK = ROOT / "tests" / "mediapipe_check.py"
OWN_SIZE = (0, 0)  # of the photograph, left as it is
MODERATE = ((640, 480), (400, 300), OWN_SIZE)  # shrunk by less than 2
FLOAT = "mediapipe-bundle"
SIZES = ((640, 480), (400, 300), (1600, 1200), OWN_SIZE)  # width, height
SAMPLES = (("coffee.jpg", Click(290, 120)), ("cat.jpg", Click(225, 150)))
GRABCUT = 3  # photographs of it, where it is at hand


@dataclass(frozen=True)
class Case:
    """A photograph with taps, and the probability that our own predictor gives."""

    image: np.ndarray
    taps: tuple[Click, ...]
    ours: np.ndarray


def interpreters() -> list[str]:
    """Return the Pythons that have MediaPipe."""
    found = [name for name in os.environ.get("OACE_MEDIAPIPE", "").split(":") if name]
    if importlib.util.find_spec("mediapipe") is not None:
        found.append(sys.executable)
    return found


@cache
def version(interpreter: str) -> tuple[int, ...]:
    told = subprocess.run(
        [interpreter, "-c", "import importlib.metadata as m; print(m.version('mediapipe'))"],
        capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in told.strip().split(".")[:2])


@pytest.fixture(scope="module", params=interpreters() or [""], ids=lambda python: (
    "mediapipe-" + ".".join(map(str, version(python))) if python else "none"))
def wheel(request: pytest.FixtureRequest) -> str:
    if not request.param:
        pytest.skip("mediapipe is not installed here, and OACE_MEDIAPIPE names no environment "
                    "that has it")
    return request.param


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the files of both interfaces, made of the int8 file in the package."""
    folder = tmp_path_factory.mktemp("interfaces")
    made = {}
    for name in ("mediapipe", "mediapipe-bundle-int8"):
        made[name] = folder / interface_files.FILES[name]
        made[name].write_bytes(interface_files.make(name, DEFAULT_MODEL.read_bytes()))
    return made


@pytest.fixture(scope="module")
def float_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the float file of the shipped weights."""
    from export.convert.keras_pair import convert_weights

    about = interface_files.description(DEFAULT_MODEL.read_bytes())
    path = tmp_path_factory.mktemp("float") / "oace_float32.tflite"
    convert_weights(SHIPPED, None, about.max_points, 512, path)
    path.write_bytes(metadata.add_metadata(one_answer(path.read_bytes()), about))
    return path


@pytest.fixture(scope="module")
def float_bundle(float_file: Path) -> Path:
    """Return the half-precision bundle of the shipped weights."""
    path = float_file.with_name(interface_files.FILES[FLOAT])
    path.write_bytes(interface_files.make(FLOAT, float_file.read_bytes()))
    return path


@pytest.fixture(scope="module")
def photographs() -> list[tuple[np.ndarray, Click]]:
    """Return the samples, and some of GrabCut where OACE_DATA has it, each with a tap."""
    found = [(read_image(ROOT / "docs" / "samples" / name), tap) for name, tap in SAMPLES]
    data = Path(os.environ.get("OACE_DATA", "/nonexistent"))
    if (data / "GrabCut").is_dir():
        listed = list_samples("grabcut", data)
        for file in listed[:: len(listed) // GRABCUT][:GRABCUT]:
            sample = file.read()
            found.append((sample.image, first_click(sample.mask)))
    return found


@pytest.fixture(scope="module")
def segmenter() -> TapSegmenter:
    return TapSegmenter()


def at_size(image: np.ndarray, tap: Click, size: tuple[int, int]) -> tuple[np.ndarray, Click]:
    """Return photograph and tap at another size; the tap at a whole pixel."""
    if size == OWN_SIZE:
        return image, tap
    width, height = size
    x, y = (int((at + 0.5) * new / old) for at, new, old in (
        (tap.x, width, image.shape[1]), (tap.y, height, image.shape[0])))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), Click(x, y)


def cases_of(segmenter: TapSegmenter, photographs: Sequence[tuple[np.ndarray, Click]],
             sizes: Sequence[tuple[int, int]]) -> list[Case]:
    made = []
    for image, tap in photographs:
        for size in sizes:
            resized, moved = at_size(image, tap, size)
            made.append(Case(resized, (moved,), segmenter.probability(resized, [moved])))
    return made


def cases_of_the_frame(segmenter: TapSegmenter, photographs: Sequence[tuple[np.ndarray, Click]]
                       ) -> list[Case]:
    """Return photographs of 512x512, each with two taps on the object and one beside it."""
    cases = []
    for image, tap in photographs:
        resized, first = at_size(image, tap, (512, 512))
        taps = (first, Click(first.x + 20, first.y - 18), Click(3, 508, positive=False))
        cases.append(Case(resized, taps, segmenter.probability(resized, taps)))
    return cases


def run(wheel: str, kind: str, file: Path, cases: Sequence[Case], folder: Path
        ) -> dict[str, np.ndarray]:
    """Return what the wheel makes of the cases."""
    source, target = folder / "cases.npz", folder / "masks.npz"
    arrays: dict[str, Any] = {}
    for number, case in enumerate(cases):
        arrays[f"image{number}"] = case.image
        arrays[f"taps{number}"] = np.array([(t.x, t.y, t.positive) for t in case.taps])
    np.savez(source, **arrays)
    done = subprocess.run([wheel, CHECK, kind, file, source, target], cwd=folder,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(target) as content:
        return dict(content)


def agreements(masks: dict[str, np.ndarray], cases: Sequence[Case]) -> list[float]:
    """Return the IoU of the wheel's masks with ours; each of ours holds an object."""
    found = []
    for number, case in enumerate(cases):
        mask = masks[f"mask{number}"]
        assert mask.shape == case.image.shape[:2] and mask.dtype == np.float32
        assert (case.ours >= 0.5).any()
        found.append(mask_agreement(mask >= 0.5, case.ours >= 0.5))
        print(f"{mask.shape[1]}x{mask.shape[0]}: IoU {found[-1]:.4f}")  # shown by pytest -rP
    return found


@pytest.mark.slow
def test_legacy_at_the_frames_own_size(
    wheel: str, files: dict[str, Path], photographs: list[tuple[np.ndarray, Click]],
    segmenter: TapSegmenter, tmp_path: Path,
) -> None:
    """Nothing is resized and the dot is centred on the tap: the very same probabilities.

    A network of gestures averages features in float, which another build of XNNPACK adds up in
    another order: there the masks agree but for some steps of a byte.
    """
    cases = cases_of(segmenter, photographs, [(512, 512)])
    masks = run(wheel, "legacy", files["mediapipe"], cases, tmp_path)
    for number, case in enumerate(cases):
        mask = masks[f"mask{number}"]
        if segmenter.model.gestures:
            assert mask_agreement(mask >= 0.5, case.ours >= 0.5) >= 0.99  # measured: 0.997
        else:
            np.testing.assert_array_equal(mask, case.ours)
        np.testing.assert_array_equal(masks[f"background{number}"], 511 / 512 - mask)
        np.testing.assert_array_equal(masks[f"category{number}"] == 1, mask >= 0.5)


@pytest.mark.slow
def test_legacy_at_other_sizes(
    wheel: str, files: dict[str, Path], photographs: list[tuple[np.ndarray, Click]],
    segmenter: TapSegmenter, tmp_path: Path,
) -> None:
    """The dot is resized with the photograph: the tap is found to a pixel or two."""
    cases = cases_of(segmenter, photographs, SIZES)
    found = agreements(run(wheel, "legacy", files["mediapipe"], cases, tmp_path), cases)
    assert np.median(found) >= 0.98, found


@pytest.mark.slow
def test_bundle_at_the_frames_own_size(
    wheel: str, files: dict[str, Path], photographs: list[tuple[np.ndarray, Click]],
    segmenter: TapSegmenter, tmp_path: Path,
) -> None:
    """The engine runs int8 in TensorFlow Lite's own kernels, not in XNNPACK.

    Against the same file in those kernels the masks are equal; against ours they differ by
    roundings, which the network carries on.
    """
    if version(wheel) < (1, 0):
        pytest.skip("bundles exist from MediaPipe 1.0 on")
    cases = cases_of_the_frame(segmenter, photographs[:3])
    masks = run(wheel, "bundle", files["mediapipe-bundle-int8"], cases, tmp_path)
    parts = mediapipe_task.unpack(files["mediapipe-bundle-int8"].read_bytes())
    encode, decode = (plain_kernels(parts[name])
                      for name in (mediapipe_task.ENCODER, mediapipe_task.DECODER))
    for number, case in enumerate(cases):
        heat = np.zeros((1, 512, 512, 3), np.float32)
        for tap in case.taps:
            heat[0, :, :, 0 if tap.positive else 1] += interface_files.dot(512, tap, 2) / 255
        seen = encode(photograph=case.image[None] / np.float32(255))  # the picture, or features
        own = decode(heat_map=np.minimum(heat, 1), **seen)["mask"]
        assert mask_agreement(masks[f"mask{number}"] >= 0.5, own[0, :, :, 0] >= 0.5) >= 0.99
    assert np.median(agreements(masks, cases)) >= 0.9


@pytest.mark.slow
def test_bundle_at_other_sizes(
    wheel: str, files: dict[str, Path], photographs: list[tuple[np.ndarray, Click]],
    segmenter: TapSegmenter, tmp_path: Path,
) -> None:
    """The engine shrinks without averaging: large photographs should be shrunk before."""
    if version(wheel) < (1, 0):
        pytest.skip("bundles exist from MediaPipe 1.0 on")
    cases = cases_of(segmenter, photographs[:3], [(640, 480), OWN_SIZE])
    found = agreements(run(wheel, "bundle", files["mediapipe-bundle-int8"], cases, tmp_path), cases)
    assert np.median(found) >= 0.9, found


@pytest.mark.slow
def test_float_bundle_at_the_frames_own_size(
    wheel: str, float_bundle: Path, float_file: Path,
    photographs: list[tuple[np.ndarray, Click]], tmp_path: Path,
) -> None:
    """Float operators round alike in both kernels; what is left is the rounding of the weights."""
    if version(wheel) < (1, 0):
        pytest.skip("bundles exist from MediaPipe 1.0 on")
    cases = cases_of_the_frame(TapSegmenter(float_file), photographs[:3])
    masks = run(wheel, "bundle", float_bundle, cases, tmp_path)
    assert min(agreements(masks, cases)) >= 0.99  # measured: 0.9963, 0.9997, 0.9999


@pytest.mark.slow
def test_float_bundle_at_other_sizes(
    wheel: str, float_bundle: Path, float_file: Path,
    photographs: list[tuple[np.ndarray, Click]], tmp_path: Path,
) -> None:
    """Where a photograph is shrunk by less than 2; the engine aliases larger ones."""
    if version(wheel) < (1, 0):
        pytest.skip("bundles exist from MediaPipe 1.0 on")
    cases = cases_of(TapSegmenter(float_file), photographs[:3], MODERATE)
    found = agreements(run(wheel, "bundle", float_bundle, cases, tmp_path), cases)
    assert np.median(found) >= 0.98, found  # measured: 0.9917, least 0.952


def plain_kernels(content: bytes) -> Any:
    """Return a runner that uses no delegate."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    return Interpreter(
        model_content=content, num_threads=1, experimental_op_resolver_type=(
            OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)).get_signature_runner()
