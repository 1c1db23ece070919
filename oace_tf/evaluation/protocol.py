"""Protocol of the evaluation: several predictors, the same clicks on the same samples.

After one click all predictors see the same click; from the second on each one gets the clicks that
its own errors ask for.
Knows no framework: float Keras, the float file, the int8 file and the baselines go through the same
code. One sample is in memory at a time.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from oace_tf.clicker import IGNORED, first_click, next_click
from oace_tf.clicks import Click
from oace_tf.evaluation.metrics import iou, mask_agreement
from oace_tf.evaluation.shapes import band_iou, boundary_band
from oace_tf.gestures import Gesture
from oace_tf.samples.layouts import Sample

# (H, W, 3) uint8 RGB and clicks in its pixels -> (H, W) float32 in [0, 1]
Predictor = Callable[[np.ndarray, Sequence[Click]], np.ndarray]
# the same of a gesture; `Guided(TapSegmenter.answer)` is one
GesturePredictor = Callable[[np.ndarray, Gesture], np.ndarray]

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the predictors made of one sample; keys of the mappings are their names.

    `iou` is in [0, 1], or NaN where a prediction holds a number that is not finite; `seconds` is
    the time of the one call; `agreement` is the IoU of the two masks that were to be compared, or
    None.
    """

    id: str
    dataset: str
    click: Click
    iou: Mapping[str, float]
    seconds: Mapping[str, float]
    agreement: float | None = None


def evaluate_first_click(predictors: Mapping[str, Predictor], samples: Iterable[Sample], *,
                         agree: tuple[str, str] | None = None,
                         progress: Callable[[Record], None] | None = None,
                         clock: Callable[[], float] = time.perf_counter) -> list[Record]:
    """Return a record per sample: every predictor's IoU after the protocol's first click.

    Args:
      predictors: by name; all see the same image and click, in this order.
      samples: read one after the other.
      agree: two names whose masks are compared as well.
      progress: called with every record when it is made.
      clock: gives seconds.
    Raises:
      ValueError: a predictor gives another shape than (H, W).
      UsageError: a sample has no object pixel, or reading one fails.
    """
    records = []
    for sample in samples:
        click = first_click(sample.mask)
        masks: dict[str, np.ndarray | None] = {}
        seconds = {}
        for name, predict in predictors.items():
            start = clock()
            probability = predict(sample.image, [click])
            seconds[name] = clock() - start
            masks[name] = _object_mask(probability, sample.mask.shape, name)
        scores = {name: float("nan") if mask is None else iou(mask, sample.mask)
                  for name, mask in masks.items()}
        agreement = None if agree is None else _agreement(masks[agree[0]], masks[agree[1]])
        record = Record(id=sample.id, dataset=sample.dataset, click=click, iou=scores,
                        seconds=seconds, agreement=agreement)
        records.append(record)
        if progress is not None:
            progress(record)
    return records


@dataclass(frozen=True, slots=True, eq=False)
class ClickRun:
    """What one predictor made of one sample, click by click: entry 0 is after the first click.

    Where the run began with a gesture, that stands for the first click, and `clicks` are its taps
    and those that followed. `iou` and `boundary_iou` are in [0, 1], NaN where a prediction was not
    finite; `seconds` are those of each call. A run ends before the last click when nothing wrong
    is left to click (its last score then holds) or when a prediction is not finite. `first_mask`
    is (H, W) bool, the mask after the first click, or None where that was not finite.
    """

    clicks: tuple[Click, ...]
    iou: tuple[float, ...]
    boundary_iou: tuple[float, ...]
    seconds: tuple[float, ...]
    first_mask: np.ndarray | None


def run_clicks(predict: Predictor, sample: Sample, most: int, name: str = "the predictor", *,
               clock: Callable[[], float] = time.perf_counter) -> ClickRun:
    """Return what a predictor makes of up to `most` clicks of the simulated user.

    Args:
      predict: sees the photograph and all clicks so far, positive and negative.
      sample: a photograph and its object.
      most: the clicks at most, at least 1.
      name: of the predictor, for messages.
      clock: gives seconds.
    Raises:
      ValueError: the predictor gives another shape than (H, W), or `most` is below 1.
      UsageError: the sample has no object pixel.
    """
    return _run(lambda clicks: predict(sample.image, clicks), [first_click(sample.mask)], sample,
                most, name, clock)


def run_gesture(predict: GesturePredictor, sample: Sample, gesture: Gesture, most: int,
                name: str = "the predictor", *,
                clock: Callable[[], float] = time.perf_counter) -> ClickRun:
    """Return what a predictor makes of a gesture and up to `most` - 1 clicks on its errors.

    Args:
      predict: sees the photograph, and the gesture with all clicks so far among its taps.
      sample: a photograph and its object.
      gesture: the first thing that the simulated user does.
      most: the answers at most, at least 1.
      name, clock: as in `run_clicks`.
    Raises:
      ValueError: as `run_clicks`.
    """
    return _run(lambda clicks: predict(sample.image, replace(gesture, taps=tuple(clicks))),
                list(gesture.taps), sample, most, name, clock)


def _run(answer: Callable[[list[Click]], np.ndarray], clicks: list[Click], sample: Sample,
         most: int, name: str, clock: Callable[[], float]) -> ClickRun:
    if most < 1:
        raise ValueError(f"most is {most}; there is at least one click")
    scores, bands, seconds = [], [], []
    first: np.ndarray | None = None
    band, valid = boundary_band(sample.mask == 1), sample.mask != IGNORED
    while True:
        start = clock()
        probability = answer(clicks)
        seconds.append(clock() - start)
        mask = _object_mask(probability, sample.mask.shape, name)
        if mask is None:
            scores.append(float("nan"))
            bands.append(float("nan"))
            break
        if not scores:
            first = mask
        scores.append(iou(mask, sample.mask))
        bands.append(band_iou(mask, band, valid))
        more = next_click(sample.mask, mask, clicks) if len(scores) < most else None
        if more is None:
            break
        clicks.append(more)
    return ClickRun(tuple(clicks), tuple(scores), tuple(bands), tuple(seconds), first)


def mean_iou(records: Sequence[Record], name: str) -> float:
    """Return one predictor's mean IoU over the records, in [0, 1]; NaN where one of them is NaN.

    Raises:
      ValueError: there are no records.
    """
    if not records:
        raise ValueError("no records, no mean")
    return float(np.mean([record.iou[name] for record in records]))


def _object_mask(probability: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray | None:
    """Return the predicted mask, or None where a number is not finite."""
    if probability.shape != shape:
        raise ValueError(f"{name} gave shape {probability.shape}, expected {shape}")
    return probability >= THRESHOLD if np.isfinite(probability).all() else None


def _agreement(a: np.ndarray | None, b: np.ndarray | None) -> float:
    return float("nan") if a is None or b is None else mask_agreement(a, b)
