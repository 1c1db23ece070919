"""Command: weights -> float32 and int8 TFLite files, verified."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oace_tf.cli import need_or_exit

    need_or_exit("export", "python export/quantize.py")

from export import rebuild_check, report
from export.build import REPORT_NAME, SHIPPED, BuildOptions, build, make, staging
from export.calibration import images as calibration_images
from export.convert import keras_pair
from export.interfaces import answers
from export.interfaces import build as interfaces
from export.quantization import recipe
from oace_tf import fileio
from oace_tf.cli import Parser, command, cpu_count, data_root
from oace_tf.errors import UsageError
from oace_tf.evaluation import drift
from oace_tf.tensor_file import read_tensors

PROG = "python export/quantize.py"
TRUNKS = ("efficientnet_lite0", "hrnet")
BUDGET = Path(__file__).resolve().with_name("drift_budget.json")
OF_GESTURES = (interfaces.SPLIT, answers.MULTI)  # made of a network of gestures alone
TAPS, GESTURE_ROWS = 20, 48  # rows of `points`: of a pair, of a network of gestures

_log = logging.getLogger("quantize")


def parse_args(argv: Sequence[str] | None, prog: str = PROG) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser(
        prog=prog,
        description="Turn weights into float32 and int8 TFLite files, and verify both.",
        epilog="example: %(prog)s --int8 --images ~/photographs --out build/",
    )
    add = parser.add_argument
    add("--int8", action="store_true", help="make the full-int8 file (the one kind there is)")
    add("--images", type=Path, metavar="DIR",
        help="calibration photographs; with an instances.json the taps lie on its objects "
        "(default: those of OACE_DATA, else of COCO's host, else recorded statistics)")
    add("--weights", type=Path, metavar="FILE", help="safetensors (default: what ships)")
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
    add("--interface", action="append", default=[], choices=(*interfaces.NAMES, *OF_GESTURES),
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
    of_gestures = [name for name in args.interface if name in OF_GESTURES]
    if of_gestures and not _knows_gestures(weights, kind):
        raise UsageError(f"--interface {of_gestures[0]} is made of a network of gestures; "
                         f"{weights.name} is of another one: it gives one answer, and the tap goes "
                         "through its trunk with the photograph")
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


def failed_name(name: str) -> str:
    """Return what a file of a build is called that fails the gate.

    It lies beside that of the last build that passed and does not replace it.
    """
    stem, suffix = os.path.splitext(name)
    return f"{stem}.failed{suffix}"


def mark_failed(result: dict[str, Any]) -> None:
    """Give the files in a report the names that they get where the gate is failed."""
    entries = [result[name] for name in ("int8", "float32", "float16") if name in result]
    for entry in (*entries, *result["interfaces"]):
        entry["path"] = failed_name(entry["path"])


def run(args: argparse.Namespace) -> int:
    """Make and verify the files; 0 where the gate passes, else 1."""
    begin = time.perf_counter()
    if args.check is not None:
        return rebuild_check.run(args.check, args, lambda given, folder: make(check(given), folder))
    options = check(args)
    with staging(options.out) as folder:
        result = build(options, folder)
        result["seconds"] = round(time.perf_counter() - begin, 1)
        if not result["passed"]:
            mark_failed(result)
        fileio.write_json(folder / REPORT_NAME, result)
        names = sorted(path.name for path in folder.iterdir() if path.name != REPORT_NAME)
        for name in (*names, REPORT_NAME):  # the report last: it vouches for them
            placed = name if result["passed"] else failed_name(name)
            os.replace(folder / name, options.out / placed)
    print(report.table(result))
    return 0 if result["passed"] else 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 1 over budget, 2 bad input."""
    return command(parse_args, run, argv, PROG, extra="export", logger=_log)


if __name__ == "__main__":
    raise SystemExit(main())
