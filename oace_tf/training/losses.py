"""Losses: equation (1) of the prior, and Normalized Focal Loss, Dice and BCE of the mask."""
from __future__ import annotations

from typing import Any

from keras import ops

EPSILON = 1e-6


def gather_patches(embedding: Any, centres_xy: Any) -> Any:
    """Return 3x3 patches of an embedding, flattened.

    Args:
      embedding: (B, S, S, C).
      centres_xy: (B, n, 2) int32, x and y, at least one pixel inside the frame.
    Returns:
      (B, n, 9 C): 27 numbers a patch for the three channels of the OACE (supplement 1).
    """
    batch, height, width, channels = ops.shape(embedding)
    count = ops.shape(centres_xy)[1]
    shifts = [(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    flat = ops.reshape(embedding, (batch, height * width, channels))
    x, y = centres_xy[:, :, 0], centres_xy[:, :, 1]
    indices = ops.stack([(y + dy) * width + (x + dx) for dx, dy in shifts], axis=2)  # (B, n, 9)
    indices = ops.reshape(indices, (batch, count * 9, 1))
    patches = ops.take_along_axis(flat, indices, axis=1)  # (B, 9 n, C)
    return ops.reshape(patches, (batch, count, 9 * channels))


def contrastive_loss(objects: Any, backgrounds: Any) -> Any:
    """Equation (1) for each scene, with means over the pairs in place of the sums.

    Args:
      objects: (B, n, k) patches on the object.
      backgrounds: (B, m, k) patches beside it.
    Returns:
      (B,) in [-3, 3]: - mean cos(o, o) - mean cos(b, b) + mean cos(o, b). Multiplied term by term
      with n^2, m^2 and n m these means are the paper's sums (pairs of a patch with itself, always
      1, included).
    """
    def unit(x: Any) -> Any:
        return x / ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + EPSILON**2)

    objects, backgrounds = unit(objects), unit(backgrounds)

    def mean_cosine(a: Any, b: Any) -> Any:
        return ops.mean(ops.matmul(a, ops.transpose(b, (0, 2, 1))), axis=(1, 2))

    return (mean_cosine(objects, backgrounds) - mean_cosine(objects, objects)
            - mean_cosine(backgrounds, backgrounds))


def normalized_focal_loss(logits: Any, target: Any, valid: Any, *, gamma: float = 2.0,
                          alpha: float = 0.5) -> Any:
    """Normalized Focal Loss of each scene (equations 2 and 3).

    Args:
      logits: (B, S, S, 1).
      target: (B, S, S, 1), 0 or 1.
      valid: (B, S, S, 1), the pixel's weight: 1, 0 where it is ignored, more where it matters.
      gamma: how strongly sure pixels are left out.
      alpha: weight of object pixels; background pixels weigh 1 - alpha.
    Returns:
      (B,): - sum of alpha_t (1 - p_t)^gamma log p_t over the counted pixels, divided by the sum of
      (1 - p_t)^gamma over the same pixels, which is a constant for the gradient.
    """
    signed = ops.where(target > 0.5, logits, -logits)
    log_p = ops.log_sigmoid(signed)
    focus = ops.power(ops.clip(1.0 - ops.exp(log_p), EPSILON, 1.0), gamma) * valid
    weight = ops.where(target > 0.5, alpha, 1.0 - alpha)
    axes = (1, 2, 3)
    normaliser = ops.stop_gradient(ops.sum(focus, axis=axes)) + EPSILON
    return -ops.sum(weight * focus * log_p, axis=axes) / normaliser


def dice_loss(logits: Any, target: Any, valid: Any) -> Any:
    """Soft Dice loss of each scene, (B,) in [0, 1]; arguments as `normalized_focal_loss`."""
    p = ops.sigmoid(logits) * valid
    target = target * valid
    axes = (1, 2, 3)
    overlap = 2.0 * ops.sum(p * target, axis=axes)
    return 1.0 - (overlap + 1.0) / (ops.sum(p, axis=axes) + ops.sum(target, axis=axes) + 1.0)


def bce_loss(logits: Any, target: Any, valid: Any) -> Any:
    """Binary cross-entropy of each scene, (B,), mean over the counted pixels."""
    signed = ops.where(target > 0.5, logits, -logits)
    axes = (1, 2, 3)
    return -ops.sum(ops.log_sigmoid(signed) * valid, axis=axes) / (
        ops.sum(valid, axis=axes) + EPSILON)


def near_outline(target: Any, width: int) -> Any:
    """Return where the outline is near: (B, S, S, 1) float32, 1 or 0.

    Args:
      target: (B, S, S, 1) float32, 0 or 1.
      width: a pixel is near where a square of 2 width + 1 px around it holds both values.
    """
    side = 2 * width + 1
    most = ops.max_pool(target, side, 1, padding="same")
    least = -ops.max_pool(-target, side, 1, padding="same")  # beyond the frame lies nothing
    return ops.cast(most > least, "float32")


def twin_disagreement(first: Any, second: Any) -> Any:
    """How far two soft masks of one object are from agreeing, (B,) in [0, 1].

    Args:
      first: (B, S, S, 1) probabilities.
      second: (B, S, S, 1) probabilities of the same scene after another tap.
    Returns:
      One minus the soft intersection over the soft union (sums of minima and of maxima): 0 for
      equal masks, 1 for disjoint ones. The paper claims that the OACE depends little on the place
      of the tap (5.2); this makes the claim a loss.
    """
    axes = (1, 2, 3)
    common = ops.sum(ops.minimum(first, second), axis=axes)
    union = ops.sum(ops.maximum(first, second), axis=axes)
    return 1.0 - (common + 1.0) / (union + 1.0)
