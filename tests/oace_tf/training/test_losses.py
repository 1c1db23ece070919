"""The losses against values worked out by hand, and against slow numpy versions."""
from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from oace_tf.training.losses import (
    bce_loss,
    contrastive_loss,
    dice_loss,
    gather_patches,
    normalized_focal_loss,
    twin_disagreement,
)


def value(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def tensor(array) -> tf.Tensor:
    return tf.constant(np.asarray(array, np.float32))


def with_gradient(function, logits) -> tuple[np.ndarray, np.ndarray]:
    """(loss of each scene, gradient of their sum by the logits)."""
    given = tensor(logits)
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = function(given)
        total = tf.reduce_sum(loss)
    return value(loss), value(tape.gradient(total, given))


# --- patches

def test_patches_are_slices_in_row_order():
    embedding = np.random.default_rng(0).normal(size=(2, 7, 7, 3)).astype(np.float32)
    centres = np.array([[[1, 1], [5, 2], [3, 5]], [[4, 4], [1, 5], [5, 5]]], np.int32)
    found = value(gather_patches(tensor(embedding), tf.constant(centres)))
    assert found.shape == (2, 3, 27)
    for scene in range(2):
        for index, (x, y) in enumerate(centres[scene]):
            patch = embedding[scene, y - 1:y + 2, x - 1:x + 2]  # rows, columns, channels
            np.testing.assert_array_equal(found[scene, index], patch.ravel())


def test_a_pixel_of_a_patch_names_its_place():
    # Value = 100 row + column: the patch around x = 2, y = 4 begins above and left of it.
    rows, columns = np.mgrid[:6, :6]
    embedding = (100 * rows + columns)[None, ..., None]
    found = value(gather_patches(tensor(embedding), tf.constant([[[2, 4]]], tf.int32)))
    assert found[0, 0].tolist() == [301, 302, 303, 401, 402, 403, 501, 502, 503]


# --- the contrastive loss

def test_contrastive_loss_worked_by_hand():
    # n = 2 object patches (1, 0), (0, 2); m = 2 background patches (3, 0), (-1, 0); unit vectors
    #   o1 = (1, 0), o2 = (0, 1), b1 = (1, 0), b2 = (-1, 0)
    # mean cos(o, o) = (1 + 0 + 0 + 1) / 4 = 1/2
    # mean cos(b, b) = (1 - 1 - 1 + 1) / 4 = 0
    # mean cos(o, b) = (1 - 1 + 0 + 0) / 4 = 0
    # loss = - 1/2 - 0 + 0 = - 1/2
    first = ([[1, 0], [0, 2]], [[3, 0], [-1, 0]])
    # Objects (1, 1) twice, backgrounds (1, 0) twice: cos(o, b) = 1 / sqrt 2, all else 1
    # loss = 1 / sqrt 2 - 1 - 1 = -1.292893
    second = ([[1, 1], [2, 2]], [[1, 0], [5, 0]])
    objects, backgrounds = (np.array(part) for part in zip(first, second))
    found = value(contrastive_loss(tensor(objects), tensor(backgrounds)))
    np.testing.assert_allclose(found, [-0.5, 2**-0.5 - 2], atol=1e-6)


def test_contrastive_loss_of_the_paper_is_a_sum_of_pairs():
    # Equation (1) as it is written, sums over all pairs with the patch itself included.
    rng = np.random.default_rng(1)
    objects, backgrounds = rng.normal(size=(3, 10, 27)), rng.normal(size=(3, 15, 27))
    found = value(contrastive_loss(tensor(objects), tensor(backgrounds)))

    def cosines(a, b):
        return sum(float(np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y))
                   for x in a for y in b)

    for scene in range(3):
        o, b = objects[scene], backgrounds[scene]
        expected = (-cosines(o, o) / 10**2 - cosines(b, b) / 15**2 + cosines(o, b) / (10 * 15))
        assert found[scene] == pytest.approx(expected, abs=1e-6)


def test_contrastive_loss_at_its_ends():
    one = np.ones((1, 4, 27))
    assert value(contrastive_loss(tensor(one), tensor(-one))) == pytest.approx(-3)
    assert value(contrastive_loss(tensor(one), tensor(one))) == pytest.approx(-1)
    # a dead embedding gives no NaN, in value or gradient
    loss, gradient = with_gradient(lambda zero: contrastive_loss(zero, tensor(one)), 0 * one)
    assert np.isfinite(loss).all() and np.isfinite(gradient).all()


# --- Normalized Focal Loss

def test_nfl_worked_by_hand():
    # Four pixels, gamma 2, alpha 1/2; p_t is the probability of the right answer:
    #   object, logit 0:            p_t = 1/2
    #   object, logit ln 3:         p_t = 3/4
    #   background, logit ln 3:     p_t = 1/4
    #   background, logit -ln 9:    p_t = 9/10
    # (1 - p_t)^2 = 1/4, 1/16, 9/16, 1/100; their sum is 0.885
    # - log p_t = 0.693147, 0.287682, 1.386294, 0.105361
    # 1/2 (0.25 x 0.693147 + 0.0625 x 0.287682 + 0.5625 x 1.386294 + 0.01 x 0.105361)
    #   = 1/2 (0.173287 + 0.017980 + 0.779791 + 0.001054) = 0.486056
    # loss = 0.486056 / 0.885 = 0.549216
    logits = np.array([0, np.log(3), np.log(3), -np.log(9)]).reshape(1, 2, 2, 1)
    target = np.array([1, 1, 0, 0]).reshape(1, 2, 2, 1)
    arguments = tensor(logits), tensor(target), tensor(np.ones_like(target))
    assert value(normalized_focal_loss(*arguments)) == pytest.approx(0.549216, abs=2e-6)
    # alpha 0.8: 0.8 (0.173287 + 0.017980) + 0.2 (0.779791 + 0.001054) = 0.309183; / 0.885
    assert value(normalized_focal_loss(*arguments, alpha=0.8)) == pytest.approx(0.349359, abs=2e-6)
    # gamma 0: the mean of - log p_t, times alpha: 0.5 x 2.472484 / 4
    assert value(normalized_focal_loss(*arguments, gamma=0.0)) == pytest.approx(0.309060, abs=2e-6)


def random_scene(seed=2):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (3, 5, 6, 1))
    target = (rng.random((3, 5, 6, 1)) < 0.4).astype(float)
    valid = (rng.random((3, 5, 6, 1)) < 0.7).astype(float)
    return logits, target, valid


def slow_nfl(logits, target, valid, gamma, alpha):
    """(loss, gradient with the normaliser held constant), pixel by pixel."""
    losses, gradient = [], np.zeros_like(logits)
    for scene in range(len(logits)):
        total = norm = 0.0
        pixels = [place for place in np.ndindex(logits.shape[1:]) if valid[(scene, *place)]]
        for place in pixels:
            z, t = logits[(scene, *place)], target[(scene, *place)]
            p = 1 / (1 + np.exp(-z))
            right = p if t else 1 - p
            norm += (1 - right) ** gamma
        for place in pixels:
            z, t = logits[(scene, *place)], target[(scene, *place)]
            p = 1 / (1 + np.exp(-z))
            right, weight, sign = (p, alpha, 1) if t else (1 - p, 1 - alpha, -1)
            total -= weight * (1 - right) ** gamma * np.log(right)
            # d right / d z = sign right (1 - right)
            slope = (gamma * (1 - right) ** (gamma - 1) * np.log(right)
                     - (1 - right) ** gamma / right)
            gradient[(scene, *place)] = (weight * slope * sign * right * (1 - right)) / norm
        losses.append(total / norm)
    return np.array(losses), gradient


@pytest.mark.parametrize(("gamma", "alpha"), ((2.0, 0.5), (1.5, 0.3)))
def test_nfl_and_its_gradient_equal_slow_ones(gamma, alpha):
    # The gradient tells whether the normaliser is a constant: were it not, it would differ by more
    # than two per cent, as the last lines show.
    logits, target, valid = random_scene()
    loss, gradient = with_gradient(lambda given: normalized_focal_loss(
        given, tensor(target), tensor(valid), gamma=gamma, alpha=alpha), logits)
    expected, slope = slow_nfl(logits, target, valid, gamma, alpha)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, slope, atol=1e-6 * np.abs(slope).max() + 1e-7)
    step = 1e-6
    moved = logits.copy()
    moved[0, 0, 0, 0] += step
    through = (slow_nfl(moved, target, np.ones_like(valid), gamma, alpha)[0][0]
               - slow_nfl(logits, target, np.ones_like(valid), gamma, alpha)[0][0]) / step
    held = slow_nfl(logits, target, np.ones_like(valid), gamma, alpha)[1][0, 0, 0, 0]
    assert abs(through - held) > 0.02 * abs(held)


LOSSES = (normalized_focal_loss, dice_loss, bce_loss)


@pytest.mark.parametrize("function", LOSSES)
def test_ignored_pixels_carry_no_loss_and_no_gradient(function):
    logits, target, valid = random_scene()
    loss, gradient = with_gradient(lambda given: function(given, tensor(target), tensor(valid)),
                                   logits)
    assert not gradient[valid == 0].any()
    assert np.abs(gradient[valid == 1]).min() > 0
    other = np.where(valid == 1, logits, -7 * logits)
    flipped = np.where(valid == 1, target, 1 - target)
    same, _ = with_gradient(lambda given: function(given, tensor(flipped), tensor(valid)), other)
    np.testing.assert_allclose(same, loss, rtol=1e-6)


@pytest.mark.parametrize("function", LOSSES)
def test_a_scene_of_ignored_pixels_alone_is_finite(function):
    logits, target, valid = random_scene()
    loss, gradient = with_gradient(lambda given: function(given, tensor(target), tensor(0 * valid)),
                                   logits)
    assert np.isfinite(loss).all() and not gradient.any()


@pytest.mark.parametrize("function", LOSSES)
def test_sure_answers_stay_finite(function):
    # Right and wrong by 200: probabilities beyond float32 on either side.
    target = np.array([[1, 0], [1, 0]]).reshape(1, 2, 2, 1)
    for logits in (200 * (2 * target - 1), 200 * (1 - 2 * target)):
        loss, gradient = with_gradient(
            lambda given: function(given, tensor(target), tensor(np.ones_like(target))), logits)
        assert np.isfinite(loss).all() and np.isfinite(gradient).all()


def test_twins_that_agree_lose_nothing_and_disjoint_ones_all():
    # minima 0.2 + 0 + 0.5, maxima 0.4 + 1 + 0.5: 1 - (0.7 + 1) / (1.9 + 1)
    first = tensor(np.array([0.2, 1.0, 0.5]).reshape(1, 1, 3, 1))
    second = tensor(np.array([0.4, 0.0, 0.5]).reshape(1, 1, 3, 1))
    assert value(twin_disagreement(first, second)) == pytest.approx(1 - 1.7 / 2.9, abs=1e-6)
    assert value(twin_disagreement(second, first)) == pytest.approx(1 - 1.7 / 2.9, abs=1e-6)
    assert value(twin_disagreement(first, first)) == pytest.approx(0.0, abs=1e-6)
    ones = np.ones((1, 100, 100, 1))
    assert value(twin_disagreement(tensor(ones), tensor(0 * ones))) == pytest.approx(1, abs=2e-4)


def test_dice_and_bce_worked_by_hand():
    # p = 1/2, 3/4, 3/4, 1/10; target 1, 1, 0, 0; the last pixel does not count.
    # overlap 2 (1/2 + 3/4) = 2.5; sizes 2 and 2; dice = 1 - (2.5 + 1) / (2 + 2 + 1) = 0.3
    # bce = (0.693147 + 0.287682 + 1.386294) / 3 = 0.789041
    logits = np.array([0, np.log(3), np.log(3), -np.log(9)]).reshape(1, 2, 2, 1)
    target = np.array([1, 1, 0, 0]).reshape(1, 2, 2, 1)
    valid = np.array([1, 1, 1, 0]).reshape(1, 2, 2, 1)
    arguments = tensor(logits), tensor(target), tensor(valid)
    assert value(dice_loss(*arguments)) == pytest.approx(0.3, abs=1e-6)
    assert value(bce_loss(*arguments)) == pytest.approx(0.789041, abs=2e-6)
