"""The command that makes the int8 file: weights -> float32 and int8 TFLite files, verified."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from tqdm import tqdm

from export import (
    calibrate,
    calibration_images,
    convert,
    facts,
    int8,
    interface_files,
    interfaces,
    metadata,
    plan,
    recipe,
    report,
    verify,
)
from oace_tf import __version__, fileio
from oace_tf.errors import UsageError, guarded
from oace_tf.evaluation import drift, pairs
from oace_tf.evaluation.gating import MOST_LOST, baseline_rows
from oace_tf.evaluation.protocol import Record
from oace_tf.tensor_file import PAIR_FORMAT, read_tensors
from oace_tf.workers import apart

ROOT = Path(__file__).resolve().parents[1]
INT8_NAME, FLOAT_NAME, REPORT_NAME = "oace_int8.tflite", "oace_float32.tflite", "report.json"
TRUNKS = ("efficientnet_lite0", "hrnet")
SHIPPED = ROOT / "oace_tf" / "weights" / "efficientnet_lite0.safetensors"
BUDGET = ROOT / "export" / "drift_budget.json"
LATENCY_RUNS = 11
# Trunks whose int8 file is written with equal vectors shared; the light one keeps its old bytes.
COMPACT = ("hrnet",)
NO_LABELS = (
    "NO LABELLED SET WAS AT HAND. The agreement of the two files' masks stands in place of the "
    "drift; the accuracy of neither file was measured. Set OACE_DATA or give --data."
)
NO_PHOTOGRAPHS = (
    "NO PHOTOGRAPH WAS AT HAND EITHER. The agreement was measured on drawn pictures; it says that "
    "the int8 file follows the float file, and nothing about photographs."
)

Item = TypeVar("Item")
_log = logging.getLogger("quantize")


@dataclass(frozen=True, slots=True)
class Job:
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


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(
        prog="quantize", description=__doc__,
        epilog="example: python export/quantize.py --int8 --images ~/photographs --out build/",
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
    add("--threads", type=int, default=min(4, cores or 1),
        help="worker processes, and threads of the latency measurement (default: %(default)s)")
    add("--max-points", type=int, default=20, metavar="N", help="taps the file takes at most")
    add("--recipe", default=recipe.DEFAULT, metavar="NAME",
        help=f"how: {', '.join(recipe.names())}, or a JSON file (default: %(default)s)")
    add("--size", type=int, default=512, help="side of the network's frame (512 in what ships)")
    add("--interface", action="append", default=[], choices=interfaces.NAMES,
        help="what else to make of the int8 file, which is always made and is the interface "
        "points; may be repeated")
    add("--budget", type=Path, default=BUDGET, metavar="FILE", help="largest accepted drift, JSON")
    add("--coco-host", default=calibration_images.HOST, metavar="URL",
        help="where the listed COCO images are fetched from")
    add("--record-statistics", action="store_true",
        help="keep the value ranges of this calibration in calibration_data/, for machines "
        "without photographs")
    return parser.parse_args(argv)


def check(args: argparse.Namespace) -> Job:
    """Return the job of the arguments.

    Raises:
      UsageError: something is missing, out of range or contradicts itself.
    """
    if not args.int8:
        raise UsageError("nothing to make: give --int8")
    for name, low, high in (("threads", 1, 256), ("max_points", 1, 256), ("size", 64, 4096)):
        if not low <= getattr(args, name) <= high:
            raise UsageError(f"--{name.replace('_', '-')} is {getattr(args, name)}; "
                             f"it must be {low} to {high}")
    if args.seed < 0:
        raise UsageError(f"--seed is {args.seed}; it must not be negative")
    if args.trunk == "hrnet" and args.weights is None:
        raise UsageError("no weights of hrnet are shipped; train them with "
                         "`python -m oace_tf.train` and give --weights FILE")
    weights = args.weights or SHIPPED
    if not weights.is_file():
        raise UsageError(f"{weights}: no such weights file; give --weights FILE or train one with "
                         "`python -m oace_tf.train`")
    read_tensors(weights, PAIR_FORMAT)  # damaged weights are named before images are looked for
    named = args.data or (Path(os.environ["OACE_DATA"]) if os.environ.get("OACE_DATA") else None)
    if named is not None and not named.is_dir():
        raise UsageError(f"{named}: no such folder; correct OACE_DATA or --data")
    return Job(weights, fileio.sha256_file(weights), args.trunk, args.out, args.images, named,
               args.seed, args.threads, args.max_points, args.size, args.coco_host,
               drift.read_budget(args.budget), args.record_statistics, recipe.load(args.recipe),
               tuple(args.interface))


def run(args: argparse.Namespace) -> int:
    """Make and verify the files; 0 where the gate passes, else 1."""
    begin = time.perf_counter()
    job = check(args)
    with staging(job.out) as folder:
        result = build(job, folder)
        result["seconds"] = round(time.perf_counter() - begin, 1)
        fileio.write_json(folder / REPORT_NAME, result)
        others = [Path(entry["path"]).name for entry in result["interfaces"]]
        for name in (INT8_NAME, FLOAT_NAME, *others, REPORT_NAME):  # last what vouches for them
            os.replace(folder / name, job.out / name)
    print(report.table(result))
    return 0 if result["passed"] else 1


def build(job: Job, folder: Path) -> dict[str, Any]:
    """Write both files into `folder` and return the report on them."""
    float_path, int8_path = folder / FLOAT_NAME, folder / INT8_NAME
    photographs, notes = calibration_images.choose(
        job.images, job.data, job.seed, host=job.host)
    recorded = None
    if photographs is None:
        recorded = _recorded(job, notes)
    _log.info("1/5 converting %s", job.weights)
    made = apart(convert.convert_weights, job.weights, job.trunk, job.max_points, job.size,
                 float_path)
    if photographs is not None:
        photographs = calibrate.chosen(photographs, job.recipe, job.seed)
        decided = calibrate.make_plan(float_path, photographs.photographs, job.recipe, job.size,
                                      job.max_points, job.threads, _progress)
        calibration = {**photographs.summary(), "notes": list(notes)}
        if job.record_statistics:
            _record(job, photographs, decided)
    else:
        assert recorded is not None
        decided, calibration = recorded
    dead = int8.dead_tensors(decided.ranges)
    if dead:
        _log.warning("%d tensors stayed zero on every calibration image, such as %s",
                     len(dead), dead[0])
    _log.info("3/5 quantizing")
    about = _description(job, made)
    fileio.atomic_write(int8_path, metadata.add_metadata(
        int8.quantize(decided.edit(float_path.read_bytes()), decided.ranges, job.recipe), about,
        compact=made.network["trunk"] in COMPACT))
    fileio.atomic_write(float_path, metadata.add_metadata(float_path.read_bytes(), about))
    described, faults = report.structure(int8_path.read_bytes(), job.threads)
    others, other_faults = interface_files.make_all(
        job.interfaces, int8_path, folder, job.out, job.threads)
    measured = _verify(job, float_path, int8_path, photographs)
    _log.info("5/5 timing")
    timing = facts.timing({"int8": int8_path, "float32": float_path}, job.threads, LATENCY_RUNS,
                          job.seed)
    failures = [*faults, *other_faults,
                *drift.gate(measured, job.budget, labelled=bool(measured["drift"]))]
    return {
        "passed": not failures,
        "failures": failures,
        "int8": report.file_entry(int8_path, job.out / INT8_NAME),
        "float32": report.file_entry(float_path, job.out / FLOAT_NAME),
        "interfaces": others,
        "params": made.params,
        "gmac": round(made.gmac, 3),
        **described,
        "calibration": calibration,
        **measured,
        "budget": {name: getattr(job.budget, name) for name in job.budget.__slots__},
        **report.latency_entries(timing, job.threads),
        "weights": {"path": str(job.weights), "sha256": job.weights_sha256},
        "network": made.network,
        "recipe": job.recipe.name,
        "settings": {"seed": job.seed, "threads": job.threads, "max_points": job.max_points,
                     "size": job.size},
        "versions": report.versions(),
    }


def _verify(
    job: Job, float_path: Path, int8_path: Path,
    photographs: calibration_images.CalibrationSet | None,
) -> dict[str, Any]:
    """Return the report's drift, agreement, baselines and notes."""
    files = pairs.labelled_files(job.data)
    if files:
        found = list(_progress(
            pairs.first_clicks(float_path, int8_path, files, job.threads),
            len(files), "4/5 verifying"))
        notes = [f"left out: {text}" for text in found if isinstance(text, str)]
        notes += [f"{name} was not found in {job.data}" for name in pairs.SETS
                  if name not in {file.dataset for file in files}]
        records = [record for record in found if isinstance(record, Record)]
        return {
            "drift": drift.drift_rows(records, job.seed),
            "agreement": {**drift.agreement([r.agreement or 0.0 for r in records]),
                          "on": "labelled sets"},
            "baselines": baseline_rows(records),
            "most_lost": drift.most_lost(records, MOST_LOST),
            "notes": notes,
        }
    notes = [NO_LABELS]
    if photographs is not None:
        pictures = [verify.Picture(p.path, p.clicks) for p in photographs.photographs]
        where = "calibration photographs"
    else:
        pictures = [verify.Picture(None, seed=(job.seed, k)) for k in range(verify.SYNTHETIC)]
        where, notes = "drawn pictures", [*notes, NO_PHOTOGRAPHS]
    seen = list(_progress(verify.agreements(float_path, int8_path, pictures, job.threads),
                          len(pictures), "4/5 verifying"))
    agreed = {**drift.agreement([iou for iou, _ in seen]), "on": where,
              "both_empty": sum(empty for _, empty in seen)}
    return {"drift": [], "agreement": agreed, "baselines": {}, "notes": notes}


def _recorded(job: Job, notes: Sequence[str]) -> tuple[plan.Plan, dict[str, Any]]:
    path = calibration_images.statistics_path(job.weights_sha256)
    if not path.is_file():
        raise UsageError(
            f"no calibration images ({'; '.join(notes)}) and no statistics recorded for these "
            f"weights ({path.name}); give --images DIR"
        )
    decided, calibration = plan.load(path, job.weights_sha256, job.recipe)
    source = f"statistics recorded earlier ({calibration['source']})"
    return decided, {**calibration, "source": source, "notes": list(notes)}


def _record(
    job: Job, photographs: calibration_images.CalibrationSet, decided: plan.Plan
) -> None:
    path = calibration_images.statistics_path(job.weights_sha256)
    plan.save(path, decided, job.weights_sha256, job.recipe, photographs.summary())
    _log.info("recorded %s", path)


def _description(job: Job, made: convert.Converted) -> metadata.Description:
    taps = "object taps" if made.click_channels == 1 else "object and background taps"
    return metadata.Description(
        interface="points",
        click_channels=made.click_channels,
        max_points=job.max_points,
        weights_sha256=job.weights_sha256,
        licence=str(made.record.get("licence", "code: Apache-2.0; weights: not stated")),
        version=__version__,
        description=f"Tap on a photograph, get the mask of the tapped object ({taps}, at most "
                    f"{job.max_points}). Trunk {made.network['trunk']}.",
        network=made.network,
    )


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Give a folder inside `out` to write into; it is gone afterwards, whatever happens.

    Raises:
      UsageError: `out` cannot be made or written.
    """
    fresh = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".making-", dir=out))
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); give another --out"
                         ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if fresh and not any(out.iterdir()):
            out.rmdir()


def _progress(items: Iterable[Item], total: int, text: str) -> Iterator[Item]:
    _log.info("%s (%d)", text, total)
    return iter(tqdm(items, total=total, desc=text, unit="image", disable=None, leave=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 1 over budget, 2 bad input."""
    args = parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    _log.setLevel(logging.INFO)
    return guarded(lambda: run(args), "quantize")


if __name__ == "__main__":
    raise SystemExit(main())
