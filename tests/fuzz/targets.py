"""One target per parser: bytes of a file in, a value or one of our own errors out, nothing else."""
from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oace_tf.errors import OaceError
from tests.fuzz import seeds

REFUSED = (OaceError,)


@dataclass(frozen=True, slots=True)
class Target:
    """A parser: the suffix of its files, its corpus, and the call."""

    suffix: str
    corpus: Callable[[], list[bytes]]
    read: Callable[[Path], Any]


def _coco(path: Path) -> None:
    from oace_tf.samples.coco import decode_mask, load_coco

    for image in load_coco(path, strict=False).images:
        for one in image.annotations:
            if not one.fault:
                decode_mask(one, image.height, image.width)


def _coco_index(path: Path) -> None:
    from oace_tf.samples.merged_coco import MergedCoco

    images = MergedCoco([path])
    for place in range(len(images)):
        images[place]


def _photograph(path: Path) -> None:
    from oace_tf.demo.photos import read_photo
    from oace_tf.images import read_brightest, read_image

    read_image(path)
    read_brightest(path)
    read_photo(path.read_bytes(), path.name)


def _checkpoint(path: Path) -> None:
    from export.porting.checkpoint import read_checkpoint

    read_checkpoint(path)


def _pth(path: Path) -> None:
    from oace_tf.networks.ported.state_dict import read_pth

    with suppress(*REFUSED):
        _checkpoint(path)
    read_pth(path)


def _safetensors(path: Path) -> None:
    from oace_tf.tensor_file import format_of, read_tensors

    format_of(path)
    with suppress(*REFUSED):
        read_tensors(path, "x")
    _checkpoint(path)


def _graph(path: Path) -> None:
    from export.convert.onnx_graph import read_click_graph

    with suppress(*REFUSED):
        read_click_graph(path)
    _checkpoint(path)


def _tflite(path: Path) -> None:
    from oace_tf.runtime.tflite_reader import read_facts

    read_facts(path.read_bytes(), str(path))


def _log(path: Path) -> None:
    from android_bench.replay import replay
    from android_bench.verdict import WITHIN, Budgets

    row = replay(path, Budgets())
    own_choice = b"-1" in path.read_bytes()  # of the number of threads
    assert row.status != WITHIN or (row.unit and (row.threads > 0 or own_choice))


def _mat(path: Path) -> None:
    from oace_tf.samples.sbd import read_instances

    read_instances(path)


def _report(path: Path) -> None:
    from android_bench.compare import compare
    from android_bench.reports import read_report

    report = read_report(path.read_bytes().decode("utf-8", "replace"), str(path))
    compare(report, report)


def _configuration(path: Path) -> None:
    from oace_tf.config import NetworkConfig
    from oace_tf.fileio import read_json
    from oace_tf.training.settings import TrainSettings

    fields = read_json(path)
    try:
        NetworkConfig.from_json(fields, str(path))
    except REFUSED:
        TrainSettings.from_json(fields, str(path))


def _tap_table(path: Path) -> None:
    from oace_tf.tap_table import read_tap_table

    for photograph in read_tap_table(path):
        for thing in photograph.objects:
            assert thing.fault or thing.taps


TARGETS = {
    "coco": Target(".json", seeds.coco, _coco),
    "coco_index": Target(".json", seeds.coco, _coco_index),
    "photograph": Target(".png", seeds.photographs, _photograph),
    "pth": Target(".pth", seeds.state_dicts, _pth),
    "safetensors": Target(".safetensors", seeds.safetensors, _safetensors),
    "onnx": Target(".onnx", seeds.graphs, _graph),
    "tflite": Target(".tflite", seeds.tflite, _tflite),
    "log": Target(".txt", seeds.logs, _log),
    "mat": Target(".mat", seeds.mats, _mat),
    "report": Target(".json", seeds.reports, _report),
    "tap_table": Target(".csv", seeds.tap_tables, _tap_table),
    "configuration": Target(".json", seeds.configurations, _configuration),
}
