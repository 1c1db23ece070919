"""Command: every row of an ablation trained and measured; it goes on where it stopped."""
from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from experiments.ablation.table import AblationTable, read_table
from oace_tf.cli import Parser, required_data_root
from oace_tf.errors import UsageError, guarded
from oace_tf.fileio import atomic_write, read_json, write_json
from oace_tf.workers import apart

RESULTS, TABLE = "results.json", "table.md"
_MOST_BYTES = 2**28
_log = logging.getLogger("ablate")
_EPILOG = """example:
  OACE_DATA=data python experiments/ablation/ablate.py experiments/ablation/table.json \\
      --out build/ablations
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        prog="python experiments/ablation/ablate.py", description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="JSON: what all rows share, and what each changes")
    parser.add_argument("--data", type=Path, metavar="DIR",
                        help="with train/ and the labelled sets (default: OACE_DATA)")
    parser.add_argument("--out", type=Path, default=Path("build/ablations"), metavar="DIR",
                        help=f"checkpoints, {RESULTS}, {TABLE} (default: %(default)s)")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="only these (default: all)")
    parser.add_argument("--results", type=Path, metavar="FILE",
                        help=f"read and written in place of {RESULTS} in --out; with this, rows "
                        "that another machine made are kept")
    parser.add_argument("--table", action="store_true",
                        help="only write the table of what was measured")
    parser.add_argument("--workers", type=int, default=1, metavar="N",
                        help="processes that prepare scenes; 0: none (default: %(default)s)")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Run the rows that are missing; returns the exit code.

    Raises:
      UsageError: a bad plan, no data, or results of another plan.
    """
    plan = read_table(args.plan)
    if args.workers < 0:
        raise UsageError("--workers must not be negative")
    wanted = [plan.row(name).name for name in args.rows or [row.name for row in plan.rows]]
    path = args.results or args.out / RESULTS
    results = _known(path, plan)
    if not args.table:
        data = _data(args.data)
        for name in wanted:
            if name in results:
                _log.info("%s: done before", name)
                continue
            _log.info("%s: %s", name, plan.row(name).what)
            results[name] = in_process(plan, name, data, args.out, args.workers)
            write_json(path, results)
    from experiments.ablation.results import markdown

    table = markdown(plan, results)
    atomic_write(args.out / TABLE, table.encode())
    print(table, end="")
    return 0


def in_process(plan: AblationTable, name: str, data: Path, out: Path, workers: int) -> Any:
    """Return the results of one row, run in a process of its own, whose memory is then free."""
    from experiments.ablation.row import run_row

    return apart(run_row, plan, name, data, out, workers)


def _known(path: Path, plan: AblationTable) -> dict[str, Any]:
    """Return the rows that were measured before."""
    if not path.is_file():
        return {}
    results = read_json(path, _MOST_BYTES)
    if not isinstance(results, dict):
        raise UsageError(f"{path}: not the results of an ablation; choose another --out")
    for row in plan.rows:
        if row.name in results and results[row.name].get("fingerprint") != row.fingerprint:
            raise UsageError(f"{path}: row {row.name} was made by another plan; take it out of "
                             "the file, or choose another --out")
    return results


def _data(named: Path | None) -> Path:
    data = required_data_root(named)
    if not (data / "train").is_dir():
        raise UsageError(f"{data}: no folder train in it; name the folder of the data with --data")
    return data


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    _log.setLevel(logging.INFO)
    return guarded(lambda: run(parse_args(argv)), "python experiments/ablation/ablate.py")


if __name__ == "__main__":
    raise SystemExit(main())
