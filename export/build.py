"""Build options: the arguments of `quantize.py`, and what they ask for once they are checked."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.calibration import images as calibration_images
from export.convert import keras_pair
from export.interfaces import build as interfaces
from export.quantization import recipe
from oace_tf import fileio
from oace_tf.cli import Parser, cpu_count, data_root
from oace_tf.errors import UsageError
from oace_tf.evaluation import drift
from oace_tf.tensor_file import read_tensors

ROOT = Path(__file__).resolve().parents[1]
TRUNKS = ("efficientnet_lite0", "hrnet")
SHIPPED = ROOT / "oace_tf" / "weights" / "efficientnet_lite0.safetensors"
BUDGET = ROOT / "export" / "drift_budget.json"
TAPS, GESTURE_ROWS = 20, 48  # rows of `points`: of a pair, of a network of gestures


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What is to be made, checked before anything long begins."""

    weights: Path
    weights_sha256: str
    trunk: str | None
    out: Path
    images: Path | None
    data: Path | None
    seed: int
    threads: int
    max_points: int
    size: int
    host: str
    budget: drift.Budget
    record_statistics: bool
    recipe: recipe.Recipe
    interfaces: tuple[str, ...]
    float16: bool
    analyze: int | None  # objects of each set that blocks are weighed on; None: no analysis


def parse_args(argv: Sequence[str] | None, about: str | None,
               prog: str = "python export/quantize.py") -> argparse.Namespace:
    """Return the command's arguments; `about` says what the command does."""
    parser = Parser(
        prog=prog, description=about,
        epilog="example: %(prog)s --int8 --images ~/photographs --out build/",
    )
    add = parser.add_argument
    add("--int8", action="store_true", help="make the full-int8 file (the one kind there is)")
    add("--images", type=Path, metavar="DIR",
        help="calibration photographs; with an instances.json the taps lie on its objects "
        "(default: those of OACE_DATA, else of COCO's host, else recorded statistics)")
    add("--weights", type=Path, metavar="FILE", help="safetensors (default: the shipped pair)")
    add("--trunk", choices=TRUNKS, help="which network (default: that of the weights)")
    add("--out", type=Path, default=Path("build"), metavar="DIR", help="default: build/")
    add("--data", type=Path, metavar="DIR", help="data sets (default: what OACE_DATA names)")
    add("--seed", type=int, default=0, help="of drawn taps and of the bootstrap")
    add("--threads", type=int, default=min(4, cpu_count()),
        help="worker processes, and threads of the latency measurement (default: %(default)s)")
    add("--max-points", type=int, metavar="N", help="rows of points the file takes at most "
        "(default: 20 taps, 48 for a network of gestures)")
    add("--recipe", default=recipe.DEFAULT, metavar="NAME",
        help=f"how: {', '.join(recipe.names())}, or a JSON file (default: %(default)s)")
    add("--float16", action="store_true",
        help="also make oace_float16.tflite: half precision, for GPUs, where int8 gains nothing")
    add("--analyze", nargs="?", type=int, const=12, metavar="N",
        help="also say where int8 loses: noise of every tensor, blocks ranked by their cost on N "
        "objects of each of ecssd and coco_mval (default: 12); analysis.json and .png in --out")
    add("--check", type=Path, metavar="REPORT",
        help="build again what a report.json tells of and compare the SHA-256; writes nothing")
    add("--size", type=int, default=512, help="side of the network's frame (512 in what ships)")
    add("--interface", action="append", default=[], choices=(*interfaces.NAMES, interfaces.SPLIT),
        help="what else to make of the int8 file (float16: of the float file), which is always "
        "made and is the interface points; may be repeated")
    add("--budget", type=Path, default=BUDGET, metavar="FILE", help="largest accepted drift, JSON")
    add("--coco-host", default=calibration_images.HOST, metavar="URL",
        help="where the listed COCO images are fetched from")
    add("--record-statistics", action="store_true",
        help="keep the value ranges of this calibration in calibration_data/, for machines "
        "without photographs")
    return parser.parse_args(argv)


def check(args: argparse.Namespace) -> BuildOptions:
    """Return the options of the arguments.

    Raises:
      UsageError: something is missing, out of range or contradicts itself.
    """
    if not args.int8:
        raise UsageError("nothing to make: give --int8")
    if args.analyze is not None and not 1 <= args.analyze <= 10_000:
        raise UsageError(f"--analyze is {args.analyze}; it must be 1 to 10000")
    for name, low, high in (("threads", 1, 256), ("max_points", 1, 256), ("size", 64, 4096)):
        value = getattr(args, name)
        if value is not None and not low <= value <= high:
            raise UsageError(f"--{name.replace('_', '-')} is {value}; it must be {low} to {high}")
    if args.seed < 0:
        raise UsageError(f"--seed is {args.seed}; it must not be negative")
    if args.trunk == "hrnet" and args.weights is None:
        raise UsageError("no weights of hrnet are shipped; train them with "
                         "`python -m oace_tf.train` and give --weights FILE")
    weights = args.weights or SHIPPED
    if not weights.is_file():
        raise UsageError(f"{weights}: no such weights file; give --weights FILE or train one with "
                         "`python -m oace_tf.train`")
    kind = keras_pair.kind_of(weights)  # damaged weights are named before images are looked for
    if kind == keras_pair.PORTED_FORMAT and args.interface:
        raise UsageError(f"--interface {args.interface[0]} has no place for the previous mask that "
                         "RITM takes; leave it out")
    if interfaces.SPLIT in args.interface and not _knows_gestures(weights, kind):
        raise UsageError(f"--interface {interfaces.SPLIT} is made of a network of gestures; in "
                         f"{weights.name} the tap goes through the trunk with the photograph")
    data = data_root(args.data)
    return BuildOptions(
        weights=weights, weights_sha256=fileio.sha256_file(weights), trunk=args.trunk,
        out=args.out, images=args.images, data=data, seed=args.seed, threads=args.threads,
        max_points=_max_points(args.max_points, weights, kind), size=args.size,
        host=args.coco_host, budget=drift.read_budget(args.budget),
        record_statistics=args.record_statistics, recipe=recipe.load(args.recipe),
        interfaces=tuple(args.interface), float16=args.float16, analyze=args.analyze)


def _max_points(asked: int | None, weights: Path, kind: str) -> int:
    """Return the rows of `points`: as asked, else as many as such weights are shipped with."""
    if asked is not None:
        return asked
    return GESTURE_ROWS if _knows_gestures(weights, kind) else TAPS


def _knows_gestures(weights: Path, kind: str) -> bool:
    if kind != keras_pair.PAIR_FORMAT:
        return False
    _, metadata = read_tensors(weights, keras_pair.PAIR_FORMAT)
    return bool(json.loads(metadata["network"]).get("one_trunk"))
