"""Row of an ablation: trained stage by stage, then measured object by object."""
from __future__ import annotations

import csv
import logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments.ablation.table import AblationTable, Row, Sets
from oace_tf.errors import UsageError
from oace_tf.evaluation.oace_auc import within_pass_auc
from oace_tf.evaluation.object_trials import EvaluationOptions, measure_group
from oace_tf.evaluation.runner import photographs
from oace_tf.fileio import sha256_file
from oace_tf.samples.layouts import list_samples
from oace_tf.training.settings import TrainSettings

_NAME = "float"
_DIGITS = 4  # of what is kept of each object


def run_row(plan: AblationTable, name: str, data: Path, out: Path, workers: int) -> dict[str, Any]:
    """Train and measure a row; returns its figures.

    Meant for a process of its own: names of layers and seeds then do not depend on the rows
    before. What a killed call left in `out` is taken up again.

    Args:
      plan: the table.
      name: of the row.
      data: with `train/`, and the sets at its top or in `val/`.
      out: a folder; checkpoints go to `out/ROW/STAGE`.
      workers: processes that prepare scenes.
    Raises:
      UsageError: data that cannot be used.
      OaceError: a loss that is not finite.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    import keras

    from oace_tf.networks.pair import build_pair
    from oace_tf.networks.ported.imagenet import init_trunks
    from oace_tf.networks.zero_start import zero_start
    from oace_tf.training.precision import computing_in

    row = plan.row(name)
    keras.utils.set_random_seed(row.stages[0].settings.seed)
    with computing_in(row.stages[0].settings.precision):
        pair = build_pair(row.network, size=None)
    if row.stages[0].settings.zero_start:
        zero_start(pair)
    if plan.init == "imagenet":
        init_trunks(pair)
    start = {} if row.prior is None else {"prior": fill_prior(pair, row.prior)}
    seconds = _train(pair, row, data, out, workers)
    started = time.perf_counter()
    figures = measure_pair(pair, plan.sets, data)
    return {"fingerprint": row.fingerprint, "what": row.what, "against": row.against,
            **start, "steps": [stage.settings.steps for stage in row.stages],
            "parameters": sum(model.count_params() for model in pair.models()),
            "train_seconds": seconds, "measure_seconds": time.perf_counter() - started, **figures}


def fill_prior(pair: Any, path: Path) -> str:
    """Give a pair the prior of another one's weights; returns the SHA-256 of the file.

    Raises:
      UsageError: a file that is none, or whose prior is built otherwise.
    """
    from oace_tf.networks.weights import get_arrays, read_arrays, set_arrays

    _, _, arrays = read_arrays(path)
    mine = get_arrays(pair)
    taken = {name: array for name, array in arrays.items() if name.startswith("prior.")}
    for name in sorted({name for name in mine if name.startswith("prior.")} ^ taken.keys()):
        raise UsageError(f"{path}: its prior and the row's differ in {name}; give the row the "
                         "network settings of that pair")
    set_arrays(pair, {**mine, **taken}, str(path))
    return sha256_file(path)


def _train(pair: Any, row: Row, data: Path, out: Path, workers: int) -> float:
    """Train all stages that are not done; leaves their averaged weights in `pair`."""
    from oace_tf.networks.weights import load_weights
    from oace_tf.training.trainer import CHECKPOINT, LOG, WEIGHTS, Options, Trainer

    seconds = 0.0
    for number, stage in enumerate(row.stages):
        folder = out / row.name / f"{number}_{stage.stage}"
        if not (folder / WEIGHTS).is_file():
            trainer = Trainer(pair, stage.stage, stage.settings, [data / "train"], folder,
                              options=Options(workers=workers, keep=1))
            if (folder / CHECKPOINT).is_file():
                trainer.resume()
            trainer.run(checkpoint_every=40)
            trainer.save({"stage": stage.stage, "settings": stage.settings.to_json(),
                          "steps": trainer.step})
        load_weights(folder / WEIGHTS, pair)  # the moving average, as float16
        seconds += _seconds(folder / LOG, stage.settings)
    return seconds


def _seconds(log: Path, settings: TrainSettings) -> float:
    with log.open(newline="") as file:
        return sum(settings.phase_of(int(row["step"])).batch / float(row["images_per_second"])
                   for row in csv.DictReader(file))


def measure_pair(pair: Any, sets: Sets, data: Path) -> dict[str, Any]:
    """Return the figures of each object, by set and id.

    Returns:
      `iou`: {set: {id: IoU}}, `spread`: {set: {id: mean over the places of the standard deviation
      over taps}}, `multi`: {id: [photograph, own, other, confused]}, `auc`: {set: {id: [prior,
      minus distance]}} (empty without a prior).
    Raises:
      UsageError: a set that is not there or cannot be read.
    """
    from oace_tf.networks.predictor import Forward

    forward = Forward(pair, sets.size)
    result: dict[str, Any] = {"iou": {}, "spread": {}, "multi": {}, "auc": {}}
    for name in (*sets.chosen_by, *sets.reported):
        taps = sets.spread_taps if name in sets.reported else 0
        records = _records(forward, name, data, taps)
        result["iou"][name] = {r.id: _short(r.answers[_NAME].iou[0]) for r in records}
        if taps:
            result["spread"][name] = {
                r.id: _short(np.mean([np.std(v) for v in r.answers[_NAME].spread.values()]))
                for r in records}
    for record in _records(forward, sets.multi, data, 0, sets.multi_photographs):
        answer = record.answers[_NAME]
        if answer.own is not None and answer.other is not None:
            result["multi"][record.id] = [record.group, _short(answer.own), _short(answer.other),
                                          int(bool(answer.confused))]
    if not result["multi"]:
        raise UsageError(f"{sets.multi}: no photograph with two objects of 1 % of the frame")
    for name in sets.chosen_by if pair.prior is not None else ():
        samples = (file.read() for file in list_samples(name, data))
        rows = within_pass_auc(forward.oace, samples, np.random.default_rng(0), size=sets.size)
        result["auc"][name] = {row.id: [_short(row.prior), _short(row.distance)] for row in rows}
    return result


def _records(forward: Any, name: str, data: Path, taps: int,
             limit: int | None = None) -> list[Any]:
    options = EvaluationOptions(clicks=1, spread_taps=taps, baselines=())
    groups = photographs(list_samples(name, data), limit)
    return [record for group in groups
            for record in measure_group(group, {_NAME: forward.mask}, options).records]


def _short(value: Any) -> float:
    return round(float(value), _DIGITS)
