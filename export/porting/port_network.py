"""Port of a network: checkpoint described, Keras model filled, parity proved, weights saved."""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from export.porting import parity, parity_inputs, tensor_map
from export.porting.checkpoint import Checkpoint
from export.porting.onnx2tf_check import RoadRow
from export.porting.onnx2tf_check import cross_check as check
from export.porting.onnx2tf_check import table as cross_check_table
from oace_tf import fileio
from oace_tf.config import RESIZES, NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.networks.ported.classifiers import HRNET_HEAD
from oace_tf.networks.ported.registry import PARTS, RITM, Ported, build_ported, save_ported

LITE_HEAD = ("_conv_head", "_bn1", "_fc")
STATE_DICT_SIDE = 64  # of a network that no graph gives a size


@dataclass(frozen=True, slots=True)
class Made:
    """A ported network, filled."""

    ported: Ported
    model: keras.Model
    rows: Sequence[tensor_map.Row]
    prefix: str

    @property
    def counts(self) -> dict[str, int]:
        """How many tensors there are of each state."""
        return tensor_map.counts(self.rows)


def describe(args: argparse.Namespace, checkpoint: Checkpoint, proved: Checkpoint) -> Ported:
    """Return what the arguments and the checkpoint say that the network is.

    Raises:
      UsageError: they contradict each other, or the resize convention is not known.
    """
    config = None
    if args.network in PARTS:
        config = NetworkConfig.preset(args.preset or args.trunk)
    heads = LITE_HEAD if args.network == "efficientnet_lite0" else HRNET_HEAD
    classifier = config is None and args.network not in RITM and any(
        part in heads for name in checkpoint.tensors for part in name.split(".")[:-1])
    resize = "half_pixel"
    if config is None and args.network != "efficientnet_lite0":
        resize = _resize(args, proved, classifier)
    return Ported(args.network, resize, classifier, config)


def port(ported: Ported, checkpoint: Checkpoint, allow: Sequence[str],
         proved: Checkpoint) -> Made:
    """Return the network filled from the checkpoint.

    Raises:
      UsageError: tensors missing, extra or misshapen that nobody allowed, or unlike the proof's.
    """
    side = parity_inputs.graph_side(proved) if proved.graph is not None else STATE_DICT_SIDE
    model = build_ported(ported, side, 1)
    rows, filled = tensor_map.map_tensors(model, checkpoint, allow)
    tensor_map.refuse_faults(rows, checkpoint)
    if proved is not checkpoint:
        _same_tensors(model, filled, proved, allow)
    prefix = next((row.source.removesuffix(row.name) for row in rows if row.source and row.name),
                  "")
    return Made(ported, model, tensor_map.fill(model, rows, filled), prefix)


def prove(made: Made, proved: Checkpoint, seed: int) -> list[parity.StageRow]:
    """Return the deviations per stage between the graph and the filled network.

    Raises:
      UsageError: the graph cannot be run, or has inputs that are not known.
    """
    # the names may have another prefix there
    rows, _ = tensor_map.map_tensors(made.model, proved, ["*"])
    scenes = parity_inputs.scenes(parity_inputs.graph_side(proved), seed)
    return parity.prove(made.model, proved, rows,
                        parity_inputs.make_feeds(made.ported, made.model, proved, scenes))


def cross_check(made: Made, proved: Checkpoint, seed: int) -> list[RoadRow]:
    """Return how onnxruntime, Keras and onnx2tf agree on the inputs of the proof.

    Raises:
      UsageError: onnx2tf is not installed or gives up.
    """
    scenes = parity_inputs.scenes(parity_inputs.graph_side(proved), seed)
    feeds = parity_inputs.make_feeds(made.ported, made.model, proved, scenes)
    return check(made.model, proved, feeds)


def save(out: Path, made: Made, source: Path, stages: Sequence[parity.StageRow]) -> None:
    """Write the ported weights.

    Raises:
      UsageError: the file cannot be written.
    """
    save_ported(out, made.ported, made.model, {
        "source": source.name, "source_sha256": fileio.sha256_file(source),
        "tensors": made.counts, "largest_deviation": max((row.deviation for row in stages),
                                                         default=None),
        "licence": "that of the checkpoint"})


def table(made: Made, stages: Sequence[parity.StageRow], roads: Sequence[RoadRow] = ()) -> str:
    """Return tensors, proof and cross-check as text for people."""
    lines = [f"{made.ported.network}, resize {made.ported.resize}"
             + (", with its classifier" if made.ported.classifier else "")]
    lines += [f"  {count:>5}  {state}" for state, count in made.counts.items()]
    lines += [f"         {row.state}: {row.name or row.source}" for row in made.rows
              if row.state in (tensor_map.ALLOWED_MISSING, tensor_map.ALLOWED_EXTRA)]
    lines += [parity.table(stages)] if stages else []
    return "\n".join(lines + ([cross_check_table(roads)] if roads else []))


def graph_resizes(graph: Any) -> set[str]:
    """Return the conventions of the graph's resizes, of ours and by their ONNX names otherwise."""
    conventions = set()
    for node in graph.graph.node:
        if node.op_type == "Upsample":
            conventions.add("Upsample")
        if node.op_type != "Resize":
            continue
        values = {entry.name: entry for entry in node.attribute}
        mode = values["mode"].s.decode("utf-8", "replace") if "mode" in values else "nearest"
        key = "coordinate_transformation_mode"
        sampling = values[key].s.decode("utf-8", "replace") if key in values else "half_pixel"
        rounding = (values["nearest_mode"].s.decode("utf-8", "replace")
                    if "nearest_mode" in values else "")
        if mode == "linear" and sampling == "align_corners":
            conventions.add("aligned")
        elif mode == "linear" and sampling in ("half_pixel", "pytorch_half_pixel"):
            conventions.add("half_pixel")
        elif mode == "nearest" and (sampling, rounding) in (
                ("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "")):
            conventions.add("nearest")  # alike for whole factors
        else:
            conventions.add(f"{mode} {sampling} {rounding}".strip())
    return conventions


def _resize(args: argparse.Namespace, proved: Checkpoint, classifier: bool) -> str:
    if proved.graph is not None:
        conventions = graph_resizes(proved.graph)
        if not conventions <= set(RESIZES) or len(conventions) > 1:
            raise UsageError(f"{proved.path}: its resizes are {', '.join(sorted(conventions))}; "
                             f"expected one of {', '.join(RESIZES)} throughout")
        if conventions and args.resize not in (None, *conventions):
            raise UsageError(f"{proved.path}: its graph resizes by the convention "
                             f"{conventions.pop()}, --resize says {args.resize}; leave --resize "
                             "out")
        if conventions:
            return conventions.pop()
    if args.resize is not None:
        return args.resize
    if args.network in RITM:
        return "aligned"
    if classifier:  # HRNet-Image-Classification, timm
        return "nearest"
    raise UsageError(f"{args.model}: a state dict of a trunk does not say how its network resizes; "
                     "give --resize (aligned: RITM, HRNet-OCR; nearest: classification, timm; "
                     "half_pixel: segmentation without OCR)")


def _same_tensors(model: keras.Model, filled: dict[str, np.ndarray], proved: Checkpoint,
                  allow: Sequence[str]) -> None:
    rows, theirs = tensor_map.map_tensors(model, proved, allow)
    tensor_map.refuse_faults(rows, proved)
    unlike = [name for name, array in filled.items()
              if name in theirs and not np.array_equal(array, theirs[name])]
    if unlike:
        more = f" and {len(unlike) - 1} more" if len(unlike) > 1 else ""
        raise UsageError(f"{proved.path}: tensor {unlike[0]}{more} is unlike that of the state "
                         "dict; give the ONNX file of the same model")
