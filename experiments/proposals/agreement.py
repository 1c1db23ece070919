"""Agreement of two networks on what a tap means: masks for photographs without labels.

One proposes several masks for a tap (a SAM-type network knows edges, not which extent is meant),
the other, ours, says which extent; the kept mask is the mean of both. Numpy and OpenCV only.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from oace_tf.evaluation.metrics import mask_agreement

# A tap in pixels -> our probabilities (H, W), the teacher's logits (k, H, W) and scores (k,).
Ask = Callable[[float, float], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is kept. Areas and lengths are shares of the photograph's and of its border's."""

    score: float = 0.85  # IoU that the teacher expects of its mask, at least
    agreement: float = 0.45  # soft IoU of its mask and ours, at least
    smallest: float = 0.004
    largest: float = 0.6
    same: float = 0.5  # IoU from which two masks are of one object
    # What lies along the border is sky, wall or floor more often than a thing.
    border: float = 0.2
    top: float = 0.25  # of the upper side alone
    unsure_border: float = 0.12  # where the two agree by less than `sure`
    sure: float = 0.55


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mask, (H, W) bool, with the teacher's score and both networks' agreement."""

    mask: np.ndarray
    score: float
    agreement: float


def jittered_taps(size_hw: tuple[int, int], grid: int,
                  rng: np.random.Generator) -> list[tuple[float, float]]:
    """Return one (x, y) in every cell of a grid over the photograph, in drawn order."""
    height, width = size_hw
    cells = [(column, row) for row in range(grid) for column in range(grid)]
    shift = rng.uniform(0.2, 0.8, (len(cells), 2))
    taps = [((column + dx) * width / grid - 0.5, (row + dy) * height / grid - 0.5)
            for (column, row), (dx, dy) in zip(cells, shift)]
    return [taps[place] for place in rng.permutation(len(taps))]


def find_objects(taps: Iterable[tuple[float, float]], ask: Ask, size_hw: tuple[int, int],
                 rules: Rules = Rules()) -> list[Proposal]:
    """Return the objects of a photograph on which both networks agree.

    A tap on an object that was found already is not asked for.
    """
    proposals: list[Proposal] = []
    for x, y in taps:
        if any(one.mask[_cell(x, y, size_hw)] for one in proposals):
            continue
        new = agreed(*ask(x, y), (x, y), rules)
        if new is not None:
            proposals = with_new(proposals, new, rules.same)
    return proposals


def agreed(ours: np.ndarray, logits: np.ndarray, scores: np.ndarray, tap_xy: tuple[float, float],
           rules: Rules = Rules()) -> Proposal | None:
    """Return what both networks say a tap means, or None where they do not agree.

    Args:
      ours: (H, W) probabilities.
      logits: (k, H, W) of the teacher's masks.
      scores: (k,) the IoU that it expects of each.
      tap_xy: in pixels.
      rules: what is kept.
    Returns:
      Of the teacher's masks that with the largest sum of score and agreement, its probabilities
      averaged with ours, at least one half, the piece under the tap.
    """
    agreement = [_softmask_agreement(ours, mask > 0) for mask in logits]
    best = int(np.argmax(np.asarray(agreement) + scores))
    if scores[best] < rules.score or agreement[best] < rules.agreement:
        return None
    both = (ours + 1.0 / (1.0 + np.exp(-logits[best]))) / 2.0 >= 0.5
    _, pieces = cv2.connectedComponents(both.astype(np.uint8))
    piece = pieces[_cell(*tap_xy, both.shape)]
    mask = pieces == piece
    if piece == 0 or not rules.smallest <= mask.mean() <= rules.largest:
        return None
    if _is_backdrop(mask, agreement[best], rules):
        return None
    return Proposal(mask, float(scores[best]), agreement[best])


def with_new(found: Sequence[Proposal], new: Proposal, same: float) -> list[Proposal]:
    """Return the proposals with one more; of two of one object the surer one stays."""
    rivals = [one for one in found if mask_agreement(one.mask, new.mask) > same]
    if any(_sureness(one) >= _sureness(new) for one in rivals):
        return list(found)
    return [one for one in found if all(one is not rival for rival in rivals)] + [new]


def _is_backdrop(mask: np.ndarray, agreement: float, rules: Rules) -> bool:
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean()
    most = rules.border if agreement >= rules.sure else rules.unsure_border
    return bool(border > most or mask[0].mean() > rules.top)


def _sureness(proposal: Proposal) -> float:
    return proposal.score + proposal.agreement


def _softmask_agreement(probability: np.ndarray, mask: np.ndarray) -> float:
    overlap = float(np.minimum(probability, mask).sum())
    return overlap / max(float(np.maximum(probability, mask).sum()), 1.0)


def _cell(x: float, y: float, size_hw: Sequence[int]) -> tuple[int, int]:
    row, column = (min(max(round(value), 0), side - 1) for value, side in zip((y, x), size_hw))
    return row, column
