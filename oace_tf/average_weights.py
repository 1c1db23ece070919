"""Command: the mean of several trained weights of one network, as one weights file.

The mean of runs that began at the same weights was better than each of them here, at the cost of
one (docs/training_pair.md). A share beside a name weighs it. One checkpoint alone gives its own
moving average: the weights of a run that has not ended.
"""
from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oace_tf.cli import Parser, command, typed
from oace_tf.errors import UsageError
from oace_tf.fileio import refuse_overwriting

if TYPE_CHECKING:
    import numpy as np

    from oace_tf.config import NetworkConfig

PROG = "python -m oace_tf.average_weights"
_EPILOG = """example:
  %(prog)s first.safetensors second.safetensors:0.6 -o build/mean.safetensors
"""
# What holds for a part and not for the mean.
_OF_ONE_RUN = ("scores", "licence", "mean_of", "validation", "quantize_aware", "skipped_images")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the weights: configuration, record, float32 tensors by name, share of the mean."""

    path: Path
    config: NetworkConfig
    record: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    share: float


def parse_part(text: str) -> tuple[Path, float]:
    """Return (file, share) of FILE or FILE:SHARE; what is no number belongs to the name.

    Raises:
      UsageError: a share that is not above zero.
    """
    name, colon, share = text.rpartition(":")
    try:
        number = float(share) if colon else 1.0
    except ValueError:
        return Path(text), 1.0
    if not colon:
        return Path(text), 1.0
    if not 0 < number < float("inf"):
        raise UsageError(f"{text}: the share is {share}; it must be above 0")
    return Path(name), number


def read_part(path: Path, share: float) -> Part:
    """Read a weights file, or a checkpoint's moving average (its weights, where none is kept).

    Raises:
      UsageError: no such file, damaged, neither of the two, or values that are not finite.
    """
    import numpy as np

    from oace_tf.config import NetworkConfig
    from oace_tf.networks.weights import read_arrays
    from oace_tf.tensor_file import format_of
    from oace_tf.training.checkpoint import FORMAT, read_checkpoint

    if path.is_file() and format_of(path) == FORMAT:
        state = read_checkpoint(path)
        config = NetworkConfig.from_json(state.run["network"], str(path))
        record = {"stage": state.run["stage"], "steps": state.step,
                  "settings": state.run["settings"], "data": state.run.get("data", [])}
        arrays = dict(state.average or state.weights)
    else:
        config, record, arrays = read_arrays(path)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise UsageError(f"{path}: tensor {name} is not finite; take another checkpoint")
    return Part(path, config, record, arrays, share)


def mean_of(parts: Sequence[Part]) -> dict[str, np.ndarray]:
    """Return the weighted mean of each tensor, float32.

    Raises:
      UsageError: the parts are not of one network: another configuration, name or shape.
    """
    import numpy as np

    first, whole = parts[0], sum(part.share for part in parts)
    for part in parts[1:]:
        if part.config != first.config:
            raise UsageError(f"{part.path}: another network than that of {first.path}; a mean is "
                             "of weights of one configuration")
        shapes = [{(name, array.shape) for name, array in one.arrays.items()}
                  for one in (first, part)]
        if shapes[0] != shapes[1]:
            name, shape = min(shapes[0] ^ shapes[1])
            raise UsageError(f"{part.path}: other tensors than those of {first.path}: {name} of "
                             f"shape {shape} is in one alone")
    return {name: np.asarray(sum(np.asarray(part.arrays[name], np.float64) * (part.share / whole)
                                 for part in parts), np.float32) for name in first.arrays}


def record_of(parts: Sequence[Part]) -> dict[str, Any]:
    """Return the record of the mean: that of the first part, and `mean_of`, all parts.

    `data` names every source that a part was trained on, each once; the shares of the scenes, which
    differ from run to run, are left out.
    """
    from oace_tf.fileio import sha256_file

    whole = sum(part.share for part in parts)
    record = {key: value for key, value in parts[0].record.items() if key not in _OF_ONE_RUN}
    known: dict[str, Any] = {}
    for part in parts:
        for source in part.record.get("data", ()):
            known.setdefault(json.dumps([source.get("name"), source.get("sha256")]),
                             {key: value for key, value in source.items() if key != "share"})
    if known:
        record["data"] = list(known.values())
    record["mean_of"] = [
        {"weights": sha256_file(part.path), "what": part.path.name,
         "steps": part.record.get("steps"), "share": round(part.share / whole, 4)}
        for part in parts]
    return record


def parse_args(argv: Sequence[str] | None = None, prog: str = PROG) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser(
        prog=prog, description="Average the weights of several trainings of one network.",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", metavar="FILE[:SHARE]",
                        help=".safetensors weights, or a checkpoint of a run (its moving average); "
                        "share: a number, 1 where none is named")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE",
                        help="the weights file to write")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Write the mean; returns 0."""
    named = [parse_part(text) for text in args.parts]
    refuse_overwriting([args.out], [path for path, _ in named])
    if not sum(share for _, share in named) < float("inf"):
        raise UsageError("the shares sum to more than a number can be; give smaller ones")
    from oace_tf.tensor_file import format_of
    from oace_tf.training.checkpoint import FORMAT

    if len(named) < 2 and format_of(named[0][0]) != FORMAT:
        raise UsageError("a mean is of two files or more; one alone may be a checkpoint, whose "
                         "moving average is taken")
    parts = [read_part(path, share) for path, share in named]
    arrays = mean_of(parts)
    from oace_tf.networks.build import build_networks
    from oace_tf.networks.weights import save_weights, set_arrays

    pair = build_networks(parts[0].config, size=None)
    set_arrays(pair, arrays, str(args.out))
    record = record_of(parts)
    save_weights(args.out, pair, record)
    print(f"{args.out}: mean of " + ", ".join(
        f"{part['what']} ({100 * part['share']:.1f} %)" for part in record["mean_of"]))
    return 0


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command: 0 done, 2 bad input."""
    return command(parse_args, run, argv, prog or typed(PROG), extra="train")


if __name__ == "__main__":
    raise SystemExit(main())
