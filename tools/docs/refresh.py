"""Command: all of the documents that depends on the shipped weights, made anew.

    python export/quantize.py --int8      first, and copy build/oace_int8.tflite into the package
    python tools/docs/scores.py                 the long part: the labelled sets
    python tools/docs/refresh.py                pictures, figures, limits, model card: seconds

`--scores` runs the second as well. `--check` changes nothing and exits 1 where something is old.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf import fileio
from oace_tf.cli import Parser
from oace_tf.errors import GateFailed, OaceError, guarded
from tools.docs import blocks, figures, limits, model_card, picture, scores

ROOT = Path(__file__).resolve().parents[2]
README, CARD = ROOT / "README.md", ROOT / "MODEL_CARD.md"
IMAGES = ROOT / "docs" / "images"
RESULT = ("docs/samples/otter.jpg", "--tap", "560,340", "--out", "docs/images/result.png")


class StepFailed(OaceError):
    """A step ended with another exit code than 0; it has said why."""


def bodies() -> dict[Path, dict[str, str]]:
    """Return the generated parts by document, but for those of figures.py and scores.py.

    Raises:
      UsageError: figures or scores are missing, or a source's terms are.
    """
    measured = fileio.read_json(scores.SCORES)
    weights = model_card.weights_of(fileio.read_json(figures.Places().figures)["weights_sha256"])
    record = model_card.record_block(weights.name, model_card.read_record(weights),
                                     model_card.LICENCE.read_text(encoding="utf-8"))
    by_group = limits.table(measured)
    return {README: {"limits": by_group},
            CARD: {"limits": by_group, "scores": scores.table(measured), "record": record}}


def check(report: Path | None) -> int:
    """Return 0 where pictures and documents are of the shipped file.

    Raises:
      GateFailed: they are not.
    """
    shipped = fileio.sha256_file(figures.Places().model)
    for name in ("result.json", "limits.json"):
        if fileio.read_json(IMAGES / name)["sha256"] != shipped:
            raise GateFailed(f"{IMAGES / name}: the picture is of another file than the shipped "
                             "one; run python tools/docs/refresh.py")
    figures.check(figures.Places(), report)
    if fileio.read_json(scores.SCORES)["sha256"] != shipped:
        raise GateFailed(f"{scores.SCORES} is of another file than the shipped one; run python "
                         "tools/docs/scores.py and then python tools/docs/refresh.py")
    for document, parts in bodies().items():
        blocks.check_blocks(document, parts, "python tools/docs/refresh.py")
    print("pictures, figures and tables are of the shipped file")
    return 0


def refresh(report: Path | None, with_scores: bool, workers: int) -> int:
    """Make everything anew; return 0."""
    steps = [("tools/docs/picture.py", picture.main,
              [str(ROOT / part) if part.startswith("docs/") else part for part in RESULT]),
             ("tools/docs/limits.py", limits.main, []),
             ("tools/docs/figures.py", figures.main, ["--report", str(report)] if report else [])]
    if with_scores:
        steps.insert(0, ("tools/docs/scores.py", scores.main, ["--workers", str(workers)]))
    for name, step, arguments in steps:
        print(f"== {name}", flush=True)
        if step(arguments):
            raise StepFailed(f"{name} failed; nothing after it was made")
    for document, parts in bodies().items():
        blocks.write_blocks(document, parts)
    return check(None)


def run(args: argparse.Namespace) -> int:
    """Make or check; return 0."""
    if args.check:
        return check(args.report)
    return refresh(args.report, args.scores, args.workers)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python tools/docs/refresh.py --report build/report.json")
    add = parser.add_argument
    add("--report", type=Path, metavar="FILE",
        help="of the main job (default: build/report.json); with --check: compared if named")
    add("--scores", action="store_true", help="measure the labelled sets too (needs OACE_DATA)")
    add("--workers", type=int, default=2, metavar="N", help="processes that measure")
    add("--check", action="store_true", help="exit 1 unless everything is current")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done or current, 1 not current, 2 bad input."""
    return guarded(lambda: run(parse_args(argv)), "python tools/docs/refresh.py")


if __name__ == "__main__":
    raise SystemExit(main())
