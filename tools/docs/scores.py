"""Command: the shipped file measured on the four sets, its scores written into README.md."""
from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf import fileio
from oace_tf.cli import Parser, data_root
from oace_tf.errors import GateFailed, UsageError, guarded
from oace_tf.evaluate import report_entries
from oace_tf.evaluation import tables
from oace_tf.evaluation.journal import Journal
from oace_tf.evaluation.object_trials import EvaluationOptions
from oace_tf.evaluation.predictors import ModelFile, check_models, weights_of
from oace_tf.evaluation.runner import SetResult, name_of_run, photographs, run_sets
from oace_tf.samples.layouts import find_dataset, list_samples
from oace_tf.segmenter import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parents[2]
README, SCORES = ROOT / "README.md", ROOT / "docs" / "scores.json"
BEGIN, END = "<!-- scores:begin -->", "<!-- scores:end -->"
# Twenty clicks on 719 objects would take an hour and tell little: masks of coco_multi are small.
PLANS = {
    "grabcut": EvaluationOptions(clicks=20, spread_taps=10, baselines=("disk", "opencv_grabcut")),
    "coco_mval": EvaluationOptions(clicks=20, spread_taps=0, baselines=("disk",)),
    "ecssd": EvaluationOptions(clicks=20, spread_taps=0, baselines=("disk",)),
    "coco_multi": EvaluationOptions(clicks=1, spread_taps=0, baselines=("disk",)),
}
AGAIN = 3  # photographs of each set that --check measures again
# Kernels of another processor round otherwise: single outlines move a little, no object is lost.
TOLERANCE = 0.02  # mean absolute difference of IoU
_log = logging.getLogger("scores")


@dataclass(frozen=True, slots=True)
class Places:
    """The files that belong together."""

    model: Path = DEFAULT_MODEL
    readme: Path = README
    scores: Path = SCORES


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: OACE_DATA=data python tools/docs/scores.py --check")
    add = parser.add_argument
    add("--check", action="store_true", help="exit 1 unless README.md and docs/scores.json are "
        "those of the shipped file; a few photographs are measured again where the sets are")
    add("--data", type=Path, metavar="DIR", help="the sets (default: what OACE_DATA names)")
    add("--workers", type=int, default=2, metavar="N", help="processes (default: %(default)s)")
    return parser.parse_args(argv)


def run(args: argparse.Namespace, where: Places = Places(),
        plans: Mapping[str, EvaluationOptions] | None = None) -> int:
    """Measure and write, or check; 0 where everything is current."""
    plans = PLANS if plans is None else plans
    root = data_root(args.data)
    if not where.model.is_file():
        raise UsageError(f"{where.model}: no such file; nothing is shipped that could be measured")
    (model,) = check_models([where.model], max(plan.clicks for plan in plans.values()))
    if args.check:
        return check(model, root, where, plans, args.workers)
    scores = measure(model, root, plans, args.workers)
    text = with_table(where.readme, table(scores))
    fileio.write_json(where.scores, scores)
    fileio.atomic_write(where.readme, text.encode("utf-8"))
    print(table(scores))
    return 0


def measure(model: ModelFile, root: Path | None, plans: Mapping[str, EvaluationOptions],
            workers: int) -> dict[str, Any]:
    """Return the scores: sha256, one entry per set and model, and IoU of the first photographs.

    Raises:
      UsageError: a set is missing or broken.
    """
    entries: list[dict[str, Any]] = []
    again = {}
    origins = {model.name: weights_of(model)}
    for name, plan in plans.items():
        journal = Journal(ROOT / "build" / f"scores-{name}.journal", name_of_run([model], plan))
        done = False
        try:
            sets = {name: photographs(list_samples(name, root))}
            with tables.progress(sets) as step:
                results = run_sets([model], sets, plan, workers, journal, step)
            entries += map(_kept, report_entries([model], results, plan, workers, origins))
            groups = [group[0].group for group in sets[name][:AGAIN]]
            again[name] = _first_ious(results[name], model, groups)
            done = True
        finally:
            journal.close(done)
    return {"model": "oace_tf/weights/oace_int8.tflite", "sha256": model.sha256,
            "entries": entries, "again": again}


def check(model: ModelFile, root: Path | None, where: Places,
          plans: Mapping[str, EvaluationOptions], workers: int) -> int:
    """Return 0 where the scores are those of the file and stand in the README.

    Raises:
      GateFailed: they are not.
      UsageError: there are no scores.
    """
    scores = fileio.read_json(where.scores)
    if scores["sha256"] != model.sha256:
        raise GateFailed(f"{where.scores} is of a file with the SHA-256 "
                         f"{_short(scores['sha256'])}, {model.path} has {_short(model.sha256)}; "
                         "run python tools/docs/scores.py")
    if with_table(where.readme, table(scores)) != where.readme.read_text(encoding="utf-8"):
        raise GateFailed(f"the scores in {where.readme} are not those of {where.scores}; "
                         "run python tools/docs/scores.py")
    missing = [name for name in plans if find_dataset(name, root) is None]
    for name in missing:
        print(f"{name}: not measured again, the set is not at hand")
    for name, plan in plans.items():
        if name in missing:
            continue
        sets = {name: photographs(list_samples(name, root), AGAIN)}
        short = EvaluationOptions(clicks=1, spread_taps=0, baselines=(), seed=plan.seed)
        results = run_sets([model], sets, short, workers, Journal(None, {}))
        ious = _first_ious(results[name], model, [group[0].group for group in sets[name]])
        _compare(name, ious, scores["again"][name])
    print(f"the scores in {where.readme.name} are those of {where.model.name}")
    return 0


def _short(sha256: str) -> str:
    return f"{sha256[:12]}..."


def _compare(name: str, found: Mapping[str, float], kept: Mapping[str, float]) -> None:
    if found.keys() != kept.keys():
        raise GateFailed(f"{name} has other objects than when it was measured; "
                         "run python tools/docs/scores.py")
    difference = float(np.mean([abs(found[key] - kept[key]) for key in kept]))
    print(f"{name}: {len(kept)} objects measured again, mean difference of IoU {difference:.4f}")
    if not difference <= TOLERANCE:
        raise GateFailed(f"{name}: measured again, IoU differs by {difference:.4f} on average; "
                         f"at most {TOLERANCE} is rounding")


def _first_ious(result: SetResult, model: ModelFile, groups: Sequence[str]) -> dict[str, float]:
    return {record.id: round(record.answers[model.name].iou[0], 5)
            for record in result.records if record.group in groups}


def _kept(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry without what differs between two runs or two machines."""
    dropped = ("path", "harness", "ms_per_click")
    kept = {key: value for key, value in entry.items() if key not in dropped}
    kept["ci95"] = {key: ends for key, ends in entry["ci95"].items() if key != "ms_per_click"}
    return _rounded(kept)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


def table(scores: Mapping[str, Any]) -> str:
    """Return the scores as Markdown."""
    head = ["set", "objects", "", "mIoU@1", "95 %", "mIoU@3", "mIoU@20", "NoC@85", "NoC@90",
            "failed@90", "boundary@1", "own - other", "confused", "spread", "worst of ten"]
    crumbs = all("crumbs" in entry for entry in scores["entries"])  # not counted in older records
    head += ["crumbs"] if crumbs else []
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for entry in scores["entries"]:
        size = tables.size_text(entry["dataset"], entry["n"])
        name = "int8 file" if entry["kind"] == "int8" else entry["model"].replace("_", " ")
        cells = [entry["dataset"], size, name, *(tables.number(entry["miou_at"].get("1")),
                 tables.interval(entry["ci95"]["miou_at.1"])),
                 *(tables.number(entry["miou_at"].get(k)) for k in ("3", "20")),
                 *(tables.number(entry["noc"][k], 2) for k in ("85", "90")),
                 tables.number(entry["noc_failures"]["90"], 0),
                 tables.number(entry["boundary_iou_at"]["1"]),
                 *(tables.number(entry[key]) for key in
                   ("own_minus_other", "confusion", "click_spread", "worst_of_ten")),
                 *([tables.number(entry["crumbs"]["share"])] if crumbs else [])]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", f"SHA-256 of the file: `{scores['sha256']}`."]
    return "\n".join(lines)


def with_table(readme: Path, text: str) -> str:
    """Return the README with the table between its markers.

    Raises:
      UsageError: the markers are not there exactly once, in order.
    """
    whole = readme.read_text(encoding="utf-8")
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise UsageError(f"{readme} must hold {BEGIN} and {END}, in this order and once")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done or current, 1 not current, 2 bad input."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    return guarded(lambda: run(parse_args(argv)), "python tools/docs/scores.py")


if __name__ == "__main__":
    raise SystemExit(main())
