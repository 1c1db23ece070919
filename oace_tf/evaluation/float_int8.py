"""Float and int8 file on the same objects and taps, in worker processes: the gate's records."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from oace_tf.errors import UsageError
from oace_tf.evaluation.baselines import disk_predictor, grabcut_predictor
from oace_tf.evaluation.drift import FLOAT, INT8
from oace_tf.evaluation.protocol import Predictor, Record, evaluate_first_click
from oace_tf.samples.layouts import find_dataset, list_samples
from oace_tf.samples.sample import SampleFile
from oace_tf.segmenter import TapSegmenter
from oace_tf.workers import Pool, pool_size

SETS = ("grabcut", "ecssd", "coco_mval")
BASELINES_ON = "grabcut"
BASELINES: dict[str, Predictor] = {"disk": disk_predictor, "opencv_grabcut": grabcut_predictor}


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
    pool = Pool(processes=pool_size(workers, len(files)), setup=open_pair,
                setup_args=(float_path, int8_path, tuple(baselines)))
    return pool.map(_first_click, files)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPair:
    """Both files of one process, by name, and the baselines beside them."""

    segmenters: Mapping[str, TapSegmenter]
    baselines: Mapping[str, Predictor]


def open_pair(float_path: Path, int8_path: Path, baselines: Sequence[str]) -> OpenedPair:
    """Return both files opened in this process, one thread each."""
    cv2.setNumThreads(1)
    return OpenedPair(segmenters={FLOAT: TapSegmenter(float_path), INT8: TapSegmenter(int8_path)},
                      baselines={name: BASELINES[name] for name in baselines})


def _first_click(pair: OpenedPair, file: SampleFile) -> Record | str:
    predictors: dict[str, Predictor] = {
        name: segmenter.probability for name, segmenter in pair.segmenters.items()}
    if file.dataset == BASELINES_ON:
        predictors |= pair.baselines
    try:
        sample = file.read()
    except UsageError as error:
        return str(error)
    return evaluate_first_click(predictors, [sample], agree=(FLOAT, INT8))[0]
