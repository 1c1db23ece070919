"""The losses of one trunk with many gestures; targets are shares of a cell in [0, 1]."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from oace_tf.training.losses import twin_disagreement

EPSILON = 1e-6
_AXES = (1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class GestureLossSettings:
    """Weights and forms of the losses."""

    gamma: float = 1.0  # of the Normalized Focal Loss (paper, equations 2 and 3)
    dice: float = 0.5
    outline: float = 1.5  # how much more cells near an outline weigh, where it can be trusted
    blurred: float = 0.5  # weight of cells near an outline that cannot
    alternatives: float = 0.3  # best of three (Latent Diversity)
    all_alternatives: float = 0.05  # of the mean over the three, so that none dies
    scores: float = 0.1
    taps: float = 0.1  # a tap is inside, or outside, its mask (Latent Diversity)
    contrastive: float = 0.1  # equation (1)
    steadiness: float = 0.0  # two taps on one object give one mask (`scenes.twins`; paper 5.2)
    first: float = 0.2  # of the estimate at 1/16 that the second query is made from


def gesture_losses(outputs: dict[str, Any], maps4: Any, cover: Any, valid: Any, outline: Any,
                   twin: Any, settings: GestureLossSettings) -> dict[str, Any]:
    """Return each loss, weighted, as a scalar, and `total`.

    Args:
      outputs: `logits`, `alternatives`, `scores`, `oace`, and `first` where there is one, of
        `GestureNetworks.decode`.
      maps4: (B, S/4, S/4, 3), the maps of the taps.
      cover: (B, S/2, S/2, 1) float32 in [0, 1].
      valid: (B, S/2, S/2, 1), 0 where ignored.
      outline: (B,) float32, 1 where the outline can be trusted.
      twin: (B,) float32, 1 for both of two taps on one object; the first has an even place.
      settings: the weights.
    """
    logits = outputs["logits"]
    trusted = ops.reshape(outline, (-1, 1, 1, 1))
    near = near_outline(cover)
    factor = trusted * (1.0 + settings.outline) + (1.0 - trusted) * settings.blurred
    weight = valid * (1.0 + near * (factor - 1.0))
    parts = {"mask": ops.mean(soft_focal_loss(logits, cover, weight, settings.gamma)),
             "dice": settings.dice * ops.mean(soft_dice(ops.sigmoid(logits), cover, valid))}
    parts |= _alternatives(outputs, cover, valid, settings)
    parts["taps"] = settings.taps * tap_loss(logits, maps4, cover)
    parts["contrastive"] = settings.contrastive * ops.mean(
        dense_contrastive_loss(outputs["oace"], cover, valid))
    if settings.steadiness > 0.0:
        parts["unsteady"] = settings.steadiness * steadiness_loss(
            ops.sigmoid(logits) * valid, twin)
    if "first" in outputs:
        parts["first"] = settings.first * ops.mean(
            soft_dice(outputs["first"], _to_sixteenth(cover), _to_sixteenth(valid)))
    total = 0.0
    for value in parts.values():
        total = total + value
    return {**parts, "total": total}


def cross_entropy(logits: Any, cover: Any) -> Any:
    """Binary cross-entropy of each cell with a soft target."""
    return ops.relu(logits) - logits * cover + ops.softplus(-ops.abs(logits))


def soft_focal_loss(logits: Any, cover: Any, weight: Any, gamma: float) -> Any:
    """Normalized Focal Loss with soft targets, (B,): equations 2 and 3 with |t - p| for 1 - p_t."""
    focus = ops.power(ops.abs(cover - ops.sigmoid(logits)) + EPSILON, gamma) * weight
    total = ops.sum(focus * cross_entropy(logits, cover), axis=_AXES)
    return total / (ops.stop_gradient(ops.sum(focus, axis=_AXES)) + EPSILON)


def soft_dice(p: Any, cover: Any, valid: Any) -> Any:
    """Soft Dice loss, (B,) or (B, C) where `p` has C channels."""
    axes = (1, 2)
    overlap = 2.0 * ops.sum(p * cover * valid, axis=axes)
    both = ops.sum(p * valid, axis=axes) + ops.sum(cover * valid, axis=axes)
    loss = 1.0 - (overlap + 1.0) / (both + 1.0)
    return ops.squeeze(loss, -1) if p.shape[-1] == 1 else loss


def near_outline(cover: Any) -> Any:
    """Return 1 where the outline is within two cells: (B, h, w, 1)."""
    most = ops.max_pool(cover, 5, 1, padding="same")
    least = -ops.max_pool(-cover, 5, 1, padding="same")
    return ops.cast(most - least > 0.5, "float32")


def tap_loss(logits: Any, maps4: Any, cover: Any) -> Any:
    """How far taps are from lying inside (object) or outside (background) the mask."""
    at4, cover4 = _halved(logits), _halved(cover)
    inside, outside = maps4[..., :1] * cover4, maps4[..., 1:2] * (1.0 - cover4)
    loss = ops.sum(inside * ops.softplus(-at4) + outside * ops.softplus(at4), axis=_AXES)
    return ops.mean(loss / (ops.sum(inside + outside, axis=_AXES) + 1.0))


def steadiness_loss(p: Any, twin: Any) -> Any:
    """How far the masks of twins are from agreeing, in [0, 1]; 0 where no gesture has a twin.

    Args:
      p: (B, h, w, 1), B even.
      twin: (B,), 1 for both of a pair; the first has an even place.
    """
    of_pair = twin[0::2]
    each = twin_disagreement(p[0::2], p[1::2])
    return ops.sum(each * of_pair) / (ops.sum(of_pair) + EPSILON)


def dense_contrastive_loss(oace: Any, cover: Any, valid: Any) -> Any:
    """Equation (1) over all cells in place of sampled patches, object and background of one pass.

    The mean of cos(a, b) over all pairs of two sets is the product of the sets' mean unit vectors,
    so no patch has to be drawn. Cells on the outline (shares between 0.1 and 0.9) count nowhere.

    Returns:
      (B,) in [-3, 3].
    """
    share = _halved(_halved(cover))
    counted = ops.cast(_halved(_halved(valid)) > 0.5, "float32")
    oace = ops.cast(oace, "float32")  # a network may compute in bfloat16
    unit = oace / ops.sqrt(ops.sum(ops.square(oace), axis=-1, keepdims=True) + EPSILON)
    objects = ops.cast(share > 0.9, "float32") * counted
    backgrounds = ops.cast(share < 0.1, "float32") * counted

    def mean_unit(region: Any) -> Any:
        return ops.sum(unit * region, axis=(1, 2)) / (ops.sum(region, axis=(1, 2)) + EPSILON)

    o, b = mean_unit(objects), mean_unit(backgrounds)
    return (ops.sum(o * b, axis=-1) - ops.sum(o * o, axis=-1) - ops.sum(b * b, axis=-1))


def _alternatives(outputs: dict[str, Any], cover: Any, valid: Any,
                  settings: GestureLossSettings) -> dict[str, Any]:
    logits = outputs["alternatives"]
    p = ops.sigmoid(logits)
    count = ops.sum(valid, axis=(1, 2)) + EPSILON
    each = ops.sum(cross_entropy(logits, cover) * valid, axis=(1, 2)) / count
    each = each + soft_dice(p, cover, valid)  # (B, 3)
    best, mean = ops.mean(ops.min(each, axis=-1)), ops.mean(each)
    truth = ops.cast(cover > 0.5, "float32") * valid
    hard = ops.cast(logits > 0.0, "float32") * valid
    both = ops.sum(truth * hard, axis=(1, 2))
    union = ops.sum(truth, axis=(1, 2)) + ops.sum(hard, axis=(1, 2)) - both
    iou = ops.stop_gradient(both / (union + EPSILON))
    score = ops.reshape(outputs["scores"], (-1, logits.shape[-1]))
    return {"alternatives": settings.alternatives * best + settings.all_alternatives * mean,
            "scores": settings.scores * ops.mean(cross_entropy(score, iou))}


def _halved(x: Any) -> Any:
    return ops.average_pool(x, 2, 2)


def _to_sixteenth(x: Any) -> Any:
    """From 1/2 of the frame's side to 1/16."""
    return ops.average_pool(x, 8, 8)
