"""The losses of one trunk against slow second versions."""
from __future__ import annotations

import numpy as np
import pytest

from oace_tf.training.gesture_losses import (
    GestureLossSettings,
    cross_entropy,
    dense_contrastive_loss,
    gesture_losses,
    near_outline,
    soft_dice,
    soft_focal_loss,
    steadiness_loss,
    tap_loss,
)

RNG = np.random.default_rng(7)
LOGITS = RNG.normal(0, 2, (2, 16, 16, 1)).astype(np.float32)
COVER = (RNG.uniform(0, 1, (2, 16, 16, 1)).round(1)).astype(np.float32)
ONES = np.ones_like(COVER)
NO_TWINS = np.zeros(2, np.float32)


def _p(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def test_focal_loss_with_soft_targets():
    p = _p(LOGITS)
    entropy = -(COVER * np.log(p) + (1 - COVER) * np.log(1 - p))
    assert np.allclose(cross_entropy(LOGITS, COVER), entropy, atol=1e-5)
    focus = np.abs(COVER - p)
    expected = (focus * entropy).sum((1, 2, 3)) / focus.sum((1, 2, 3))
    assert np.allclose(soft_focal_loss(LOGITS, COVER, ONES, 1.0), expected, rtol=1e-4)


def test_dice_of_one_and_of_three_channels():
    p = _p(np.repeat(LOGITS, 3, axis=-1)).astype(np.float32)
    each = np.asarray(soft_dice(p, COVER, ONES))
    assert each.shape == (2, 3)
    overlap = 2 * (p * COVER).sum((1, 2)) + 1
    assert np.allclose(each, 1 - overlap / (p.sum((1, 2)) + COVER.sum((1, 2)) + 1), atol=1e-5)
    assert np.allclose(soft_dice(p[..., :1], COVER, ONES), each[:, 0], atol=1e-6)


def test_the_outline_is_two_cells_wide():
    cover = np.zeros((1, 16, 16, 1), np.float32)
    cover[:, :, 8:] = 1.0
    near = np.asarray(near_outline(cover))[0, 4, :, 0]
    assert near.tolist() == [0] * 6 + [1] * 4 + [0] * 6


def test_contrastive_loss_is_equation_1_over_all_pairs():
    cover = np.zeros((1, 32, 32, 1), np.float32)
    cover[:, 8:24, 8:24] = 1.0
    valid = np.ones_like(cover)
    oace = RNG.normal(0, 1, (1, 8, 8, 3)).astype(np.float32)
    share = cover.reshape(8, 4, 8, 4).mean((1, 3)).ravel()
    unit = oace.reshape(-1, 3) / np.linalg.norm(oace.reshape(-1, 3), axis=1, keepdims=True)
    o, b = unit[share > 0.9], unit[share < 0.1]
    expected = (o @ b.T).mean() - (o @ o.T).mean() - (b @ b.T).mean()
    assert np.allclose(dense_contrastive_loss(oace, cover, valid), expected, atol=1e-4)


def test_a_constant_embedding_is_worse_than_one_that_tells_the_object():
    cover = np.zeros((1, 32, 32, 1), np.float32)
    cover[:, 8:24, 8:24] = 1.0
    told = (np.where(cover[:, ::4, ::4] > 0, 1, -1) * np.ones((1, 1, 1, 3))).astype(np.float32)
    constant = np.ones((1, 8, 8, 3), np.float32)
    valid = np.ones_like(cover)
    assert float(dense_contrastive_loss(constant, cover, valid)[0]) == pytest.approx(-1, abs=1e-3)
    assert float(dense_contrastive_loss(told, cover, valid)[0]) == pytest.approx(-3, abs=1e-3)


def test_a_tap_outside_its_mask_costs():
    cover = np.zeros((1, 16, 16, 1), np.float32)
    cover[:, 4:12, 4:12] = 1.0
    maps = np.zeros((1, 8, 8, 3), np.float32)
    maps[0, 4, 4, 0], maps[0, 0, 0, 1] = 1.0, 1.0
    right = np.where(cover > 0, 8.0, -8.0).astype(np.float32)
    assert float(tap_loss(right, maps, cover)) < 0.01
    assert float(tap_loss(-right, maps, cover)) > 4.0


def test_the_best_of_three_alternatives_is_taught_and_scored():
    settings = GestureLossSettings(all_alternatives=0.0)
    cover = (COVER > 0.5).astype(np.float32)
    perfect = np.where(cover > 0, 9.0, -9.0)
    outputs = {"logits": LOGITS, "oace": np.ones((2, 4, 4, 3), np.float32),
               "alternatives": np.concatenate([perfect, -perfect, -perfect], -1).astype(np.float32),
               "scores": np.array([[[[9, -9, -9]]]] * 2, np.float32)}
    maps4 = np.zeros((2, 8, 8, 3), np.float32)
    parts = gesture_losses(outputs, maps4, cover, ONES, np.ones(2, np.float32),
                           NO_TWINS, settings)
    assert float(parts["alternatives"]) < 0.01 and float(parts["scores"]) < 0.001
    outputs["scores"] = -outputs["scores"]
    worse = gesture_losses(outputs, maps4, cover, ONES, np.ones(2, np.float32),
                           NO_TWINS, settings)
    assert float(worse["scores"]) > 0.5
    total = sum(float(value) for name, value in parts.items() if name != "total")
    assert float(parts["total"]) == pytest.approx(total, rel=1e-5)


def test_steadiness_is_one_minus_the_soft_iou_of_twins_alone():
    p = RNG.uniform(0, 1, (6, 8, 8, 1)).astype(np.float32)
    twin = np.array([1, 1, 0, 0, 1, 1], np.float32)
    wanted = np.mean([1 - (np.minimum(p[a], p[a + 1]).sum() + 1)
                      / (np.maximum(p[a], p[a + 1]).sum() + 1) for a in (0, 4)])
    assert float(steadiness_loss(p, twin)) == pytest.approx(wanted, rel=1e-4)
    assert float(steadiness_loss(p, 0 * twin)) == 0.0
    same = np.repeat(p[::2], 2, axis=0)
    assert float(steadiness_loss(same, twin)) == pytest.approx(0.0, abs=1e-6)


def test_the_first_estimate_and_steadiness_are_losses_where_there_are_any():
    outputs = {"logits": LOGITS, "oace": np.ones((2, 4, 4, 3), np.float32),
               "alternatives": np.repeat(LOGITS, 3, -1),
               "scores": np.zeros((2, 1, 1, 3), np.float32)}
    maps4, trusted = np.zeros((2, 8, 8, 3), np.float32), np.ones(2, np.float32)

    def parts(settings, **more):
        return gesture_losses({**outputs, **more}, maps4, COVER, ONES, trusted,
                              np.ones(2, np.float32), settings)

    plain = parts(GestureLossSettings())
    assert "unsteady" not in plain and "first" not in plain
    share = COVER.reshape(2, 2, 8, 2, 8, 1).mean((2, 4), dtype=np.float32)
    right = parts(GestureLossSettings(first=1.0, steadiness=0.5), first=share)
    wrong = parts(GestureLossSettings(first=1.0, steadiness=0.5), first=0 * share)
    soft = 1 - (2 * (share**2).sum((1, 2)) + 1) / (2 * share.sum((1, 2)) + 1)
    assert float(right["first"]) == pytest.approx(soft.mean(), rel=1e-4)
    assert float(wrong["first"]) > float(right["first"])
    assert 0.0 < float(right["unsteady"]) <= 0.5
