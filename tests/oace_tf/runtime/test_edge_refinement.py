"""Masks drawn along the photograph's edges: against least squares, and what must not change."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from oace_tf import TapSegmenter, predict
from oace_tf.errors import UsageError
from oace_tf.geometry import Frame
from oace_tf.images import read_image, write_image
from oace_tf.runtime.edge_refinement import Refinement, linear_models, refine

RNG = np.random.default_rng(0)


def windows(values: np.ndarray, radius: int) -> np.ndarray:
    """Return every window of (S, S, ...), mirrored at the border: (S, S, n n, ...)."""
    pad = [(radius, radius)] * 2 + [(0, 0)] * (values.ndim - 2)
    padded = np.pad(values, pad, mode="symmetric")
    side, n = values.shape[0], 2 * radius + 1
    return np.stack([padded[y : y + side, x : x + side] for y in range(n) for x in range(n)], 2)


def test_linear_models_against_least_squares() -> None:
    """Each window's function is the ridge regression of the target on the colours (float64)."""
    side, settings = 16, Refinement(radius=64, epsilon=1e-2)  # 2 px
    guide, target = RNG.random((side, side, 3)), RNG.random((side, side))
    colours, wanted = windows(guide, 2), windows(target, 2)
    slopes = np.zeros((side, side, 3))
    offset = np.zeros((side, side))
    for y, x in np.ndindex(side, side):
        centred = colours[y, x] - colours[y, x].mean(0)
        matrix = centred.T @ centred / len(centred) + settings.epsilon * np.eye(3)
        slopes[y, x] = np.linalg.solve(
            matrix, centred.T @ (wanted[y, x] - wanted[y, x].mean()) / len(centred))
        offset[y, x] = wanted[y, x].mean() - slopes[y, x] @ colours[y, x].mean(0)
    ours, our_offset = linear_models(
        target.astype(np.float32), guide.astype(np.float32), settings)
    # largest differences measured: 4e-6 and 2e-6
    np.testing.assert_allclose(np.dstack(ours), windows(slopes, 2).mean(2), atol=3e-5)
    np.testing.assert_allclose(our_offset, windows(offset, 2).mean(2), atol=3e-5)


def step(size: tuple[int, int], edge: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a photograph, dark left of a wavy edge and bright right of it, and the mask."""
    height, width = size
    rows, columns = np.indices(size)
    mask = (columns + 0.5) / width > edge + 0.02 * np.sin(rows / height * 60)
    image = np.where(mask[..., None], (200, 180, 90), (40, 60, 120)).astype(np.uint8)
    return image, mask


def test_an_edge_comes_out_where_the_photograph_has_it() -> None:
    """Eight times larger than the mask: plain enlarging leaves steps, the filter does not."""
    image, truth = step((512, 512), 0.4)  # waves of 10 px, 54 px long
    seen = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(truth.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    # as a network's: soft, and a byte
    mask = np.round(255 * cv2.GaussianBlur(coarse, (0, 0), 1.5)).astype(np.uint8)
    plain = Frame(512, 512, 64).mask_back(mask) >= 0.5
    refined = refine(mask, seen, image) >= 0.5
    errors = [np.count_nonzero(found != truth) for found in (plain, refined)]
    assert errors[1] < 0.25 * errors[0] and errors[0] > 500, errors


def test_what_it_keeps() -> None:
    image = RNG.integers(0, 256, (90, 70, 3)).astype(np.uint8)
    seen = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
    for value in (0, 128, 255):  # a constant mask stays what it is
        refined = refine(np.full((32, 32), value, np.uint8), seen, image)
        assert refined.shape == (90, 70) and refined.dtype == np.float32
        np.testing.assert_allclose(refined, value / 256, atol=5e-5)  # 1.1e-5 measured
    mask = RNG.integers(0, 256, (32, 32)).astype(np.uint8)
    flat = np.full((90, 70, 3), 77, np.uint8)  # without edges: a mean of means, as smooth as can be
    refined = refine(mask, np.full((32, 32, 3), 77, np.uint8), flat)
    assert 0 <= refined.min() and refined.max() <= 1 and np.isfinite(refined).all()
    before = image.copy(), seen.copy(), mask.copy()
    first = refine(mask, seen, image)
    np.testing.assert_array_equal(first, refine(mask, seen, image))
    for array, copy in zip((image, seen, mask), before):
        np.testing.assert_array_equal(array, copy)
    # floats and bytes are the same mask
    np.testing.assert_array_equal(first, refine(mask / np.float32(256), seen, image))


def test_refused() -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    with pytest.raises(ValueError, match="belong together"):
        refine(np.zeros((8, 8), np.uint8), image, image)
    for wrong in ({"radius": 0}, {"epsilon": 0.0}, {"radius": 500}):
        with pytest.raises(UsageError, match="does not fit"):
            Refinement(**wrong)


def test_in_segmenter_and_predict(tiny_int8: Path, tmp_path: Path) -> None:
    image = RNG.integers(0, 256, (60, 80, 3)).astype(np.uint8)
    plain, refining = TapSegmenter(tiny_int8), TapSegmenter(tiny_int8, refine=True)
    own = TapSegmenter(tiny_int8, refine=Refinement(radius=48))
    taps = [(30.0, 20.0)]
    frame = Frame(60, 80, plain.model.size)
    mask = plain.model.run(frame.image(image), plain.points(frame, taps))
    np.testing.assert_array_equal(plain.probability(image, taps), frame.mask_back(mask))
    wanted = refine(mask, frame.image(image), image)
    np.testing.assert_array_equal(refining.probability(image, taps), wanted)
    assert (own.probability(image, taps) != wanted).any()
    photo, out = tmp_path / "photo.png", tmp_path / "cut_mask.png"
    write_image(photo, image)
    for word, segmenter in (("--refine", refining), ("--no-refine", plain)):
        assert predict.main([str(photo), "--tap", "30,20", "--model", str(tiny_int8), word,
                             "-o", str(out)]) == 0
        np.testing.assert_array_equal(read_image(out)[:, :, 0] > 127,
                                      segmenter.segment(image, taps))
