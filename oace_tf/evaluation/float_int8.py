"""Float and int8 file on the same objects and taps, in worker processes: the gate's records."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2

from oace_tf.errors import UsageError
from oace_tf.evaluation.baselines import disk_predictor, grabcut_predictor
from oace_tf.evaluation.drift import FLOAT, INT8
from oace_tf.evaluation.protocol import Predictor, Record, evaluate_first_click
from oace_tf.samples.layouts import find_dataset, list_samples
from oace_tf.samples.sample import SampleFile
from oace_tf.segmenter import TapSegmenter
from oace_tf.workers import in_processes

SETS = ("grabcut", "ecssd", "coco_mval")
BASELINES_ON = "grabcut"
BASELINES: dict[str, Predictor] = {"disk": disk_predictor, "opencv_grabcut": grabcut_predictor}
_opened: dict[str, Any] = {}  # of this process


def labelled_files(root: Path | None) -> list[SampleFile]:
    """Return every sample of the sets that `root` holds; empty where there is none.

    Raises:
      UsageError: a set is there and broken.
    """
    return [file for name in SETS if find_dataset(name, root) is not None
            for file in list_samples(name, root)]


def first_clicks(float_path: Path, int8_path: Path, files: Sequence[SampleFile], workers: int,
                 baselines: Sequence[str] = tuple(BASELINES)) -> Iterator[Record | str]:
    """Yield the record of each sample, float and int8 and on `BASELINES_ON` the baselines.

    A sample that cannot be read gives the message that says so.
    """
    return in_processes(_first_click, files, min(workers, len(files)), start_pair,
                        (float_path, int8_path, tuple(baselines)))


def start_pair(float_path: Path, int8_path: Path, baselines: Sequence[str]) -> None:
    """Open both files in this process, one thread each."""
    cv2.setNumThreads(1)
    _opened.update(files={FLOAT: TapSegmenter(float_path), INT8: TapSegmenter(int8_path)},
                   baselines={name: BASELINES[name] for name in baselines})


def _first_click(file: SampleFile) -> Record | str:
    predictors: dict[str, Predictor] = {
        name: segmenter.probability for name, segmenter in _opened["files"].items()}
    if file.dataset == BASELINES_ON:
        predictors |= _opened["baselines"]
    try:
        sample = file.read()
    except UsageError as error:
        return str(error)
    return evaluate_first_click(predictors, [sample], agree=(FLOAT, INT8))[0]
