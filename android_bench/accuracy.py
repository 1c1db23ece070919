"""Accuracy on the phone: its masks against those measured at the desk.

Photographs and taps go to the device as raw tensors, and an empty mask before where the file takes
one. Masks come back, and are compared byte by byte with the LiteRT interpreter here (default
kernels, XNNPACK) and, as IoU, with the truth.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from android_bench.device.phone import Phone
from android_bench.log.parse import OK, parse_log
from android_bench.settings import Setting, command
from android_bench.verdict import check_options, from_record
from oace_tf.cli import data_root
from oace_tf.clicker import first_click
from oace_tf.errors import UsageError
from oace_tf.evaluation.metrics import iou, paired_bootstrap_ci
from oace_tf.geometry import Frame
from oace_tf.runtime.interpreter import open_interpreter
from oace_tf.runtime.model import TfliteModel, open_model
from oace_tf.runtime.tflite_reader import PREVIOUS, SIGNATURE
from oace_tf.samples.layouts import Sample, iter_samples

_HALF = 128  # of the byte mask: object where at least this
_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Gate:
    """Largest accepted loss of the int8 file on the device against the float file on this machine.

    Attributes:
      max_drop_points: of mIoU@1, in points.
      min_share: of the float file's mIoU@1 (MLPerf Mobile asks 0.96 for segmentation).
    """

    max_drop_points: float = 1.0
    min_share: float = 0.98

    def failures(self, device: float, reference: float, name: str) -> list[str]:
        """Return what is over the limits, in words; NaN is always over."""
        lines = []
        drop = 100 * (reference - device)
        if not drop <= self.max_drop_points:
            lines.append(f"{name}: mIoU@1 falls by {drop:.2f} points, at most "
                         f"{self.max_drop_points:g} are accepted")
        if not device >= self.min_share * reference:
            lines.append(f"{name}: mIoU@1 is {100 * device:.2f}, less than "
                         f"{100 * self.min_share:g} % of the float file's {100 * reference:.2f}")
        return lines


@dataclass(frozen=True, slots=True)
class Layer:
    """An input tensor: the name the tool knows it by, the signature's name, the shape."""

    name: str
    key: str
    shape: tuple[int, ...]


def check_twins(int8: Path, float32: Path) -> None:
    """Check that both files take the same tensors, before a phone is touched.

    Raises:
      UsageError: they do not, or one of them cannot be opened.
    """
    shapes = [(model.size, model.max_points, model.takes_previous)
              for model in (open_model(int8), open_model(float32))]
    if shapes[0] != shapes[1]:
        side, rows, previous = shapes[1]
        raise UsageError(f"{float32} takes {side} px, {rows} rows of points"
                         f"{' and a previous mask' if previous else ''}; {int8} takes others: "
                         "give the float file of the same build")


def samples(dataset: str, root: Path | None, count: int) -> list[Sample]:
    """Return the first labelled photographs of a set.

    Args:
      dataset, root: as in `oace_tf.samples.layouts`; `root` None for the folder OACE_DATA names.
      count: how many.
    Raises:
      UsageError: the set is not there, or empty.
    """
    photographs = list(islice(iter_samples(dataset, data_root(root)), count))
    if not photographs:
        raise UsageError(f"{dataset} holds no sample; name another with --dataset")
    return photographs


def layers(data: bytes) -> list[Layer]:
    """Return the input tensors in the order in which the tool counts them.

    Raises:
      UsageError: the file is not of the interface `points`.
    """
    interpreter = open_interpreter(data)
    try:
        named = interpreter.get_signature_runner(SIGNATURE).get_input_details()
    except ValueError as error:
        raise UsageError(f"the file has no signature {SIGNATURE}: {error}") from error
    keys = {detail["index"]: key for key, detail in named.items()}
    inputs = [Layer(detail["name"], keys.get(detail["index"], ""),
                    tuple(int(side) for side in detail["shape"]))
              for detail in interpreter.get_input_details()]
    if {layer.key for layer in inputs} - {PREVIOUS} != {"image", "points"}:
        raise UsageError("the file is not of the interface image, points -> mask")
    return inputs


def input_flags(inputs: Sequence[Layer], files: Mapping[str, str], output: str) -> dict[str, str]:
    """Return the flags that feed the tensors from files and keep the output.

    In the map of files a colon inside a name is written twice; elsewhere it stays as it is.

    Args:
      inputs: in the tool's order.
      files: by the signature's names.
      output: the file for the output.
    """
    pairs = (f"{layer.name.replace(':', '::')}:{files[layer.key]}" for layer in inputs)
    shapes = (",".join(map(str, layer.shape)) for layer in inputs)
    return {"input_layer": ",".join(layer.name for layer in inputs),
            "input_layer_shape": ":".join(shapes),
            "input_layer_value_files": ",".join(pairs), "output_filepath": output}


def on_device(phone: Phone, tool: str, names: Mapping[str, str], paths: Mapping[str, Path],
              settings: Sequence[Setting], gate: Gate, cases: Sequence[Sample]
              ) -> tuple[dict[str, Any], list[str]]:
    """Return the comparison per unit of the device, and the failures of the gate.

    Args:
      phone: with tool and models pushed under `names`.
      paths: places here of the int8 and the float file.
      settings: measured ones; the first of each unit that runs the int8 file is compared.
      gate: the limits.
      cases: labelled photographs; the tap is the protocol's first click.
    Raises:
      DeviceTrouble: the link is lost.
      UsageError: a file is not of the contract.
    """
    hosts = {kind: open_model(paths[kind]) for kind in ("int8", "float")}
    inputs = layers(paths["int8"].read_bytes())
    by_unit: dict[str, Setting] = {}
    for setting in settings:
        if setting.model == "int8":
            by_unit.setdefault(setting.unit, setting)
    if not by_unit:
        return {}, ["no setting of the int8 file is a result: its masks were not compared"]
    desk = [_desk(hosts, sample) for sample in cases]
    report, failures = {}, []
    for unit, setting in by_unit.items():
        rows = []
        for sample, at_desk in zip(cases, desk):
            mask, words = phone.insist(partial(_mask, phone, tool, names["int8"], setting, inputs,
                                               at_desk))
            if mask is None:
                failures.append(f"{setting.name}: no mask of {sample.id}: {words}")
                break
            rows.append((mask, at_desk, sample))
        if len(rows) == len(cases):
            report[unit] = _compare(setting.name, rows)
            failures += gate.failures(report[unit]["miou_device"],
                                      report[unit]["miou_host_float"], setting.name)
    return report, failures


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the desk made of one sample: the tensors, the int8 mask, and IoU of both files."""

    image: np.ndarray
    points: np.ndarray
    mask: np.ndarray
    iou_int8: float
    iou_float: float


def _desk(hosts: Mapping[str, TfliteModel], sample: Sample) -> _Desk:
    model = hosts["int8"]
    frame = Frame(sample.image.shape[0], sample.image.shape[1], model.size)
    image = frame.image(sample.image)  # (S, S, 3) uint8
    points = frame.points([first_click(sample.mask)], model.max_points)  # (N, 3)
    masks = {kind: host.run(image, points) for kind, host in hosts.items()}  # (S, S)
    scores = {kind: iou(frame.mask_back(mask) >= 0.5, sample.mask) for kind, mask in masks.items()}
    return _Desk(image, points, masks["int8"], scores["int8"], scores["float"])


def _mask(phone: Phone, tool: str, model: str, setting: Setting, inputs: Sequence[Layer],
          desk: _Desk) -> tuple[np.ndarray | None, str]:
    """Return the device's mask, or None and why there is none."""
    tensors = {"image": desk.image, "points": desk.points, PREVIOUS: np.zeros_like(desk.mask)}
    files = {layer.key: f"{layer.key}.bin" for layer in inputs}
    for key, name in files.items():
        phone.push(np.ascontiguousarray(tensors[key]).tobytes(), name)
    phone.remove(["mask.bin"])  # an old one must not be taken for this one
    line = command(setting, tool, model, 1, 0, input_flags(inputs, files, "mask.bin"))
    finished = phone.run("accuracy", line, _LIMIT_S)
    done = check_options(from_record(parse_log(finished.stdout, finished.stderr, finished.code,
                                               " ".join(line))))
    if done.outcome != OK:
        return None, done.reason
    data = phone.pull("mask.bin")
    if data is None:
        return None, "the output file was not written, and the tool does not say so"
    if len(data) != desk.mask.nbytes:
        return None, f"the output file has {len(data)} bytes, expected {desk.mask.nbytes}"
    return np.frombuffer(data, desk.mask.dtype).reshape(desk.mask.shape), ""


def _compare(name: str, rows: Sequence[tuple[np.ndarray, _Desk, Sample]]) -> dict[str, Any]:
    """Return how many bytes differ, and what that does to mIoU@1."""
    differ = largest = flipped = total = 0
    scores = []
    for mask, desk, sample in rows:
        difference = np.abs(mask.astype(np.int64) - desk.mask.astype(np.int64))
        differ += int(np.count_nonzero(difference))
        largest = max(largest, int(difference.max()))
        flipped += int(np.count_nonzero((mask >= _HALF) != (desk.mask >= _HALF)))
        total += mask.size
        frame = Frame(sample.image.shape[0], sample.image.shape[1], mask.shape[0])
        scores.append(iou(frame.mask_back(mask) >= 0.5, sample.mask))
    int8, reference = ([getattr(desk, key) for _, desk, _ in rows] for key in
                       ("iou_int8", "iou_float"))
    device, at_desk, floating = (float(np.mean(values)) for values in (scores, int8, reference))
    interval: list[float] | None = None
    if np.isfinite([*scores, *reference]).all():
        low, high = paired_bootstrap_ci(reference, scores, np.random.default_rng(0))
        interval = [100 * low, 100 * high]
    return {"setting": name, "n": len(rows), "bytes": total, "bytes_differ": differ,
            "largest_difference": largest, "pixels_on_the_other_side": flipped,
            "miou_device": device, "miou_host_int8": at_desk, "miou_host_float": floating,
            "drop_points": 100 * (floating - device),
            "drop_ci95": interval}
