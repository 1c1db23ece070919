"""Command: weights scored on the validation sets, the scores written into their record."""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oace_tf.cli import Parser, command, required_data_root, typed
from oace_tf.progress import Progress

PROG = "python -m oace_tf.score"
_EPILOG = """example:
  OACE_DATA=data %(prog)s build/train/weights.safetensors \\
      --out oace_tf/weights/one_trunk.safetensors
"""
DATASETS = ("grabcut", "ecssd", "coco_mval")
VALIDATION = ("ecssd", "coco_mval")  # GrabCut is for reporting only


def parse_args(argv: Sequence[str] | None = None, prog: str = PROG) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        prog=prog, description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="a .safetensors file of this project")
    parser.add_argument("--data", type=Path, metavar="DIR",
                        help="where the labelled sets lie (default: OACE_DATA)")
    parser.add_argument("--dataset", nargs="+", default=list(DATASETS), metavar="NAME",
                        help="sets below that folder, or paths of an instances.json "
                        f"(default: {', '.join(DATASETS)})")
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="write the weights with their scores here (default: only print)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N objects a set")
    parser.add_argument("--licence", metavar="TEXT",
                        help="written into the record: what the training data allow")
    parser.add_argument("--seed", type=int, default=0, help="of taps and resamples (default: 0)")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Score as the arguments say; returns the exit code.

    Raises:
      UsageError: no data, or weights that cannot be read.
    """
    root = required_data_root(args.data, "labelled sets")
    from oace_tf.networks.weights import (
        build_from_weights,
        build_gestures_from_weights,
        read_record,
        save_weights,
    )
    from oace_tf.samples.layouts import list_samples

    one_trunk = read_record(args.weights)[0].one_trunk
    for name in args.dataset:
        list_samples(name, root)  # refuses a set that is not there before anything is built
    if one_trunk:
        pair, record = build_gestures_from_weights(args.weights, batch=1)
    else:
        pair, record = build_from_weights(args.weights, batch=1)
    scores: dict[str, Any] = {"miou_at_1": _mask_scores(pair, root, args)}
    if pair.prior is not None:
        scores["within_pass_auc"] = _embedding_scores(pair, root, args)
    for kind, rows in scores.items():
        for name, row in rows.items():
            print(f"{kind} {name}: "
                  + ", ".join(f"{key} {_short(value)}" for key, value in row.items()))
    if args.out is not None:
        licence = {} if args.licence is None else {"licence": args.licence}
        save_weights(args.out, pair, {**record, "scores": scores, **licence})
        print(f"{args.out}: weights with their scores")
    return 0


def _samples(name: str, root: Path, limit: int | None) -> Any:
    from itertools import islice

    from oace_tf.samples.layouts import iter_samples

    return islice(iter_samples(name, root), limit)


def _forward(pair: Any) -> Any:
    if pair.config.one_trunk:
        from oace_tf.networks.gesture_predictor import GesturePredictor

        return GesturePredictor(pair)
    from oace_tf.networks.predictor import Forward

    return Forward(pair, _side(pair))


def _side(pair: Any) -> int:
    """Return the side of the square that the networks see, px."""
    if pair.config.one_trunk:
        return int(pair.encoder.input_shape[1])
    return int(pair.msfnet.input_shape[0][1])


def _embedding_scores(pair: Any, root: Path, args: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from oace_tf.evaluation.oace_auc import summarise, within_pass_auc

    forward = _forward(pair)
    rows, pooled = {}, []
    for name in args.dataset:
        with Progress(None, f"OACE, {name}", "object") as bar:
            records = within_pass_auc(forward.oace, _samples(name, root, args.limit),
                                      np.random.default_rng(args.seed), size=_side(pair),
                                      progress=lambda _: bar.update())
        rows[name] = summarise(records, np.random.default_rng(args.seed))
        pooled += records if name.lower() in VALIDATION else []
    if pooled:
        rows["validation"] = summarise(pooled, np.random.default_rng(args.seed))
    return rows


def _mask_scores(pair: Any, root: Path, args: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from oace_tf.evaluation.metrics import bootstrap_mean_ci
    from oace_tf.evaluation.protocol import evaluate_first_click

    forward, rows = _forward(pair), {}
    for name in args.dataset:
        with Progress(None, f"masks, {name}", "object") as bar:
            records = evaluate_first_click({"float": forward.mask},
                                           _samples(name, root, args.limit),
                                           progress=lambda _: bar.update())
        values = 100.0 * np.array([record.iou["float"] for record in records])
        low, high = bootstrap_mean_ci(values, np.random.default_rng(args.seed))
        rows[name] = {"n": len(values), "miou_at_1": float(values.mean()), "ci95": [low, high]}
    return rows


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_short(item) for item in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code."""
    return command(parse_args, run, argv, prog or typed(PROG), extra="train")


if __name__ == "__main__":
    raise SystemExit(main())
