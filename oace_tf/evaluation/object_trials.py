"""Trials on one photograph: all its objects, all models, all baselines."""
from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.evaluation.alternatives import Alternatives, alternative_trial
from oace_tf.evaluation.baselines import disk_predictor, grabcut_predictor
from oace_tf.evaluation.corrections import correction_trials
from oace_tf.evaluation.crumbs import count_crumbs
from oace_tf.evaluation.predictors import (
    ModelFile,
    open_alternatives,
    open_gesture_predictor,
    open_predictor,
)
from oace_tf.evaluation.protocol import (
    ClickRun,
    GesturePredictor,
    Predictor,
    run_clicks,
    run_gesture,
)
from oace_tf.evaluation.shapes import thinness
from oace_tf.evaluation.simulated_gestures import gesture_generator, simulate
from oace_tf.evaluation.spread import PLACES, generator_of, random_taps, tap_spread
from oace_tf.evaluation.tapped_object import cross_iou
from oace_tf.gestures import Gesture
from oace_tf.samples.sample import Sample, SampleFile

MOST_CLICKS = 20
LEAST_SHARE = 0.01  # of the frame: smaller objects are not asked for in "was it the tapped one"


def whole_predictor(image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
    """Return the whole image as object, (H, W) float32: the bar below all bars."""
    return np.ones(image.shape[:2], np.float32)


BASELINES: dict[str, Predictor] = {"whole_image": whole_predictor, "disk": disk_predictor,
                                   "opencv_grabcut": grabcut_predictor}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What is measured. `baselines` are names of `BASELINES`; they get one click and no spread."""

    clicks: int = MOST_CLICKS
    spread_taps: int = 10  # random taps an object and place; 0 for none
    baselines: tuple[str, ...] = tuple(BASELINES)
    seed: int = 0
    skip_bad: bool = False  # leave out what cannot be read, and say so
    gesture: str = "tap"  # what the simulated user does first, of `simulated_gestures.GESTURES`
    corrections: bool = False  # whether second taps are tried, see `corrections`
    tidy: bool = False  # whether masks are measured as `TapSegmenter.segment` tidies them


@dataclass(slots=True, kw_only=True)
class Answer:
    """What one model made of one object; entry 0 of the lists is after the first click."""

    iou: list[float]
    boundary_iou: list[float]
    ms: list[float]
    clicks: list[list[float]]  # x, y, 1 or 0
    own: float | None = None  # IoU, where the photograph has other objects
    other: float | None = None
    confused: bool | None = None
    spread: dict[str, list[float]] = dataclasses.field(default_factory=dict)  # IoU by place
    mutual: dict[str, float] = dataclasses.field(default_factory=dict)
    crumbs: list[int] = dataclasses.field(default_factory=list)  # pieces, holes of the first mask
    gesture: list[list[float]] = dataclasses.field(default_factory=list)  # rows, if no tap
    corrections: dict[str, list[list[float]]] = dataclasses.field(default_factory=dict)
    alternatives: list[list[float]] = dataclasses.field(default_factory=list)  # IoU, score of each


@dataclass(slots=True, kw_only=True)
class ObjectRecord:
    """One object, and every model's answer by name."""

    id: str
    dataset: str
    group: str
    category: str
    frequency: str
    area_px: int
    share: float  # of the frame
    thinness: float
    answers: dict[str, Answer]

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` undoes it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> ObjectRecord:
        """Return the record of plain values."""
        answers = {name: Answer(**answer) for name, answer in row["answers"].items()}
        return cls(**{**row, "answers": answers})


@dataclass(frozen=True, slots=True)
class GroupResult:
    """The records of one photograph, what could not be read of it, and where the time went."""

    records: list[ObjectRecord]
    left_out: list[str]
    total_s: float = 0.0
    models_s: float = 0.0  # inside the models, of which there may be several
    baselines_s: float = 0.0


class _Timed:
    """A predictor that adds up its time."""

    def __init__(self, predict: Callable[[np.ndarray, Any], np.ndarray]) -> None:
        self._predict = predict
        self.seconds = 0.0

    def __call__(self, image: np.ndarray, clicks: Any) -> np.ndarray:
        begin = time.perf_counter()
        try:
            return self._predict(image, clicks)
        finally:
            self.seconds += time.perf_counter() - begin


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedModels:
    """The models of one process, and what is measured of them; by name, as `measure_group`."""

    predictors: Mapping[str, Predictor] | Mapping[str, GesturePredictor]
    options: EvaluationOptions
    alternatives: Mapping[str, Alternatives]
    most_taps: Mapping[str, int]


def open_models(models: Sequence[ModelFile], options: EvaluationOptions) -> OpenedModels:
    """Return the models opened in this process, one interpreter with one thread each."""
    cv2.setNumThreads(1)
    predictors: Mapping[str, Predictor] | Mapping[str, GesturePredictor]
    if options.gesture == "tap":
        predictors = {model.name: open_predictor(model, options.tidy) for model in models}
    else:
        predictors = {model.name: open_gesture_predictor(model, options.tidy) for model in models}
    return OpenedModels(
        predictors=predictors, options=options,
        alternatives={model.name: more for model in models
                      if (more := open_alternatives(model)) is not None},
        most_taps={model.name: model.max_points - options.clicks + 1 for model in models})


def measure(models: OpenedModels, files: Sequence[SampleFile]) -> GroupResult:
    """Return what opened models make of the objects of one photograph.

    Raises:
      UsageError: an object cannot be read, and the options do not say to leave such out.
    """
    return measure_group(files, models.predictors, models.options, models.alternatives,
                         models.most_taps)


def measure_group(files: Sequence[SampleFile],
                  predictors: Mapping[str, Predictor] | Mapping[str, GesturePredictor],
                  options: EvaluationOptions,
                  alternatives: Mapping[str, Alternatives] = MappingProxyType({}),
                  most_taps: Mapping[str, int] = MappingProxyType({})) -> GroupResult:
    """Return the records of the objects of one photograph.

    Args:
      files: the objects, all of one photograph.
      predictors: the models by name; those of gestures where the first gesture is no tap.
      options: what is measured.
      alternatives: gives several answers to a gesture, of the models that can.
      most_taps: the taps of a scribble at most, by model; 20 where it is not named.
    Raises:
      UsageError: as `measure`.
    """
    begin = time.perf_counter()
    records, left_out, tapped = [], [], []
    baselines = {name: _Timed(BASELINES[name]) for name in options.baselines}
    models = {name: _Timed(predict) for name, predict in predictors.items()}
    for file in files:
        try:
            sample = file.read()
        except UsageError as error:
            if not options.skip_bad:
                raise
            left_out.append(str(error))
            continue
        region = sample.mask == 1
        record = ObjectRecord(id=sample.id, dataset=sample.dataset, group=file.group or file.id,
                              category=file.category, frequency=file.frequency,
                              area_px=int(region.sum()), share=float(region.mean()),
                              thinness=thinness(sample.mask), answers={})
        masks = {}
        for name, predict in {**baselines, **models}.items():
            if name in models and options.gesture != "tap":
                answer, masks[name] = _gesture_answer(predict, sample, name, options,
                                                      most_taps.get(name, MOST_CLICKS))
            else:
                answer, masks[name] = _answer(predict, sample, name, name in models, options)
            if name in alternatives:
                answer.alternatives = alternative_trial(
                    alternatives[name], sample,
                    _first_gesture(sample, options, most_taps.get(name)))
            record.answers[name] = answer
        records.append(record)
        if len(files) > 1 and record.share >= LEAST_SHARE:
            tapped.append((record, region, masks))
    for name in [*baselines, *models] if len(tapped) > 1 else []:
        _was_it_the_tapped_one(name, tapped)
    return GroupResult(records, left_out, time.perf_counter() - begin,
                       sum(timed.seconds for timed in models.values()),
                       sum(timed.seconds for timed in baselines.values()))


def _answer(predict: Predictor, sample: Sample, name: str, is_model: bool,
            options: EvaluationOptions) -> tuple[Answer, np.ndarray | None]:
    run = run_clicks(predict, sample, options.clicks if is_model else 1, name)
    answer = _of_run(run, sample)
    for place in PLACES if is_model and options.spread_taps else ():
        taps = random_taps(sample.mask, place, options.spread_taps,
                           generator_of(options.seed, sample, place))
        scores, answer.mutual[place] = tap_spread(predict, sample, taps)
        answer.spread[place] = list(scores)
    if is_model and options.corrections:
        answer.corrections = correction_trials(predict, sample, options.seed)
    return answer, run.first_mask


def _gesture_answer(predict: Callable[[np.ndarray, Any], np.ndarray], sample: Sample, name: str,
                    options: EvaluationOptions, most_taps: int) -> tuple[Answer, np.ndarray | None]:
    gesture = _first_gesture(sample, options, most_taps)
    run = run_gesture(predict, sample, gesture, options.clicks, name)
    answer = _of_run(run, sample)
    answer.gesture = gesture.rows().tolist()
    return answer, run.first_mask


def _first_gesture(sample: Sample, options: EvaluationOptions, most_taps: int | None) -> Gesture:
    rng = gesture_generator(options.seed, sample, options.gesture)
    return simulate(options.gesture, sample.mask, rng, most_taps or MOST_CLICKS)


def _of_run(run: ClickRun, sample: Sample) -> Answer:
    answer = Answer(iou=list(run.iou), boundary_iou=list(run.boundary_iou),
                    ms=[1000 * s for s in run.seconds],
                    clicks=[[click.x, click.y, float(click.positive)] for click in run.clicks])
    if run.first_mask is not None:
        crumbs = count_crumbs(run.first_mask, sample.mask)
        answer.crumbs = [crumbs.pieces, crumbs.holes]
    return answer


def _was_it_the_tapped_one(
    name: str, tapped: Sequence[tuple[ObjectRecord, np.ndarray, Mapping[str, np.ndarray | None]]],
) -> None:
    """Fill own, other and confused of one model; NaN where one of its masks was not finite."""
    answered = [masks[name] for _, _, masks in tapped]
    whole = [mask for mask in answered if mask is not None]
    table = (cross_iou([region for _, region, _ in tapped], whole)
             if len(whole) == len(answered) else np.full((len(answered), len(answered)), np.nan))
    for index, (record, _, _) in enumerate(tapped):
        answer = record.answers[name]
        answer.own = float(table[index, index])
        answer.other = float(np.delete(table[index], index).mean())
        answer.confused = bool(table[:, index].max() > table[index, index])
