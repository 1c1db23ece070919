"""Edge refinement of large photographs: the mask drawn along the photograph's own edges.

A guided filter (He et al., "Guided Image Filtering", TPAMI 2013) in its fast form (He and Sun,
2015): in every window of the network's frame the mask is explained as a linear function of the
colours, and the functions, not the mask, are enlarged to the photograph and applied to its pixels.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from oace_tf.errors import UsageError
from oace_tf.geometry import BYTE_SCALE, NETWORK_SIZE

_GREATEST = 255.0  # of a photograph's bytes


@dataclass(frozen=True, slots=True)
class Refinement:
    """Settings, chosen on val/ (docs/reference.md).

    Raises:
      UsageError: a field outside its range.
    """

    radius: int = 4  # of the window, pixels of a frame of 512; scaled with the frame's side
    epsilon: float = 1e-3  # variance of a colour (0 to 1) that counts as flat

    def __post_init__(self) -> None:
        if not 1 <= self.radius <= 128 or not 0 < self.epsilon <= 1:
            raise UsageError(f"a refinement of radius {self.radius} (1 to 128) and epsilon "
                             f"{self.epsilon} (above 0, at most 1) does not fit")


def refine(mask: np.ndarray, seen: np.ndarray, image: np.ndarray,
           settings: Refinement = Refinement()) -> np.ndarray:
    """Return the mask as probabilities at the photograph's size, its edges those of the colours.

    Args:
      mask: (S, S) as the file gives it: uint8 (256 p), or float probabilities.
      seen: (S, S, 3) uint8, the photograph as the network saw it.
      image: (H, W, 3) uint8, the photograph.
      settings: window and smoothness.
    Returns:
      (H, W) float32 in [0, 1]; object where >= 0.5.
    Raises:
      ValueError: shapes that do not belong together.
    """
    if mask.ndim != 2 or seen.shape != (*mask.shape, 3) or image.shape[2:] != (3,):
        raise ValueError(f"mask {mask.shape}, frame {seen.shape} and image {image.shape} do not "
                         "belong together")
    probability = mask.astype(np.float32)
    if mask.dtype == np.uint8:
        probability /= np.float32(BYTE_SCALE)
    slopes, offset = linear_models(
        probability, seen.astype(np.float32) / np.float32(_GREATEST), settings)
    height, width = image.shape[:2]
    refined = cv2.resize(offset, (width, height), interpolation=cv2.INTER_LINEAR)
    for channel, slope in enumerate(slopes):  # one after the other: 12 megapixels are 48 MB each
        slope = cv2.resize(slope / np.float32(_GREATEST), (width, height),
                           interpolation=cv2.INTER_LINEAR)
        cv2.accumulateProduct(image[:, :, channel].astype(np.float32), slope, refined)
    return np.clip(refined, 0.0, 1.0, out=refined)


def linear_models(
    target: np.ndarray, guide: np.ndarray, settings: Refinement
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Return slopes and offset of the linear functions of the colours that give the target.

    Args:
      target: (S, S) float32.
      guide: (S, S, 3) float32 in [0, 1].
      settings: window and smoothness.
    Returns:
      Three (S, S) float32 slopes and the (S, S) float32 offset, each the mean over all windows
      that hold the pixel: target is about the sum of slope times colour, plus offset.
    """
    radius = max(1, round(settings.radius * target.shape[0] / NETWORK_SIZE))
    side = 2 * radius + 1

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REFLECT)

    red, green, blue = (np.ascontiguousarray(guide[:, :, k]) for k in range(3))
    means = mean(red), mean(green), mean(blue)
    average = mean(target)
    # covariances of the colours with each other and with the target
    rr, gg, bb = (mean(c * c) - m * m + np.float32(settings.epsilon)
                  for c, m in zip((red, green, blue), means))
    rg = mean(red * green) - means[0] * means[1]
    rb = mean(red * blue) - means[0] * means[2]
    gb = mean(green * blue) - means[1] * means[2]
    rt, gt, bt = (mean(c * target) - m * average for c, m in zip((red, green, blue), means))
    # the inverse of the symmetric 3x3 matrix by its cofactors; epsilon keeps it regular
    c_rr, c_rg, c_rb = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    c_gg, c_gb, c_bb = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    scale = 1 / (rr * c_rr + rg * c_rg + rb * c_rb)
    slopes = ((c_rr * rt + c_rg * gt + c_rb * bt) * scale,
              (c_rg * rt + c_gg * gt + c_gb * bt) * scale,
              (c_rb * rt + c_gb * gt + c_bb * bt) * scale)
    offset = average - sum(s * m for s, m in zip(slopes, means))
    return (mean(slopes[0]), mean(slopes[1]), mean(slopes[2])), mean(offset)
