"""Fuzz one parser for a while: `python tests/fuzz/run.py coco --seconds 1200`.

Prints how many inputs were refused and accepted, the longest time and the peak of memory, as JSON.
An input that breaks the property (another error, a signal, more than 10 s or 1 GB) is kept, as
fuzz_TARGET_NUMBER beside --keep, and ends the run with exit code 1. `all` runs every target in a
process of its own, one after the other: that is the nightly command.
"""
from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.fuzz.edits import damaged, drawn
from tests.fuzz.targets import REFUSED, TARGETS

MOST_S, MOST_MIB = 10.0, 1024


def fuzz(name: str, seconds: float, first: int, keep: Path) -> dict[str, float | int | str]:
    """Return the counts of one target.

    Args:
      name: of the target.
      seconds: how long.
      first: number of the first input; inputs of one number are alike.
      keep: where the input under way is kept; it stays where the process is ended by a signal.
    Raises:
      Whatever the parser raises that is none of our errors; AssertionError beyond the limits.
    """
    target = TARGETS[name]
    corpus = target.corpus()
    counts = {"refused": 0, "accepted": 0}
    begin, longest, number = time.monotonic(), 0.0, first
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{target.suffix}"
        for seed in corpus:  # sound files are accepted or refused, but warm up what is loaded once
            _once(target.read, path, seed, counts)
        before = _peak_mib()
        while time.monotonic() - begin < seconds:
            dice = random.Random(number)
            data = damaged(dice.choice(corpus), drawn(dice))
            kept = keep / f"fuzz_{name}_{number}"
            kept.write_bytes(data)
            start = time.monotonic()
            _once(target.read, path, data, counts)
            longest = max(longest, time.monotonic() - start)
            assert longest < MOST_S, f"{kept}: {longest:.1f} s"
            assert _peak_mib() < before + MOST_MIB, f"{kept}: {_peak_mib():.0f} MiB"
            kept.unlink()
            number += 1
    return {"target": name, "inputs": number - first, **counts, "longest_s": round(longest, 3),
            "peak_mib": round(_peak_mib()), "above_start_mib": round(_peak_mib() - before)}


def _once(read: Callable[[Path], Any], path: Path, data: bytes, counts: dict[str, int]) -> None:
    path.write_bytes(data)
    try:
        read(path)
        counts["accepted"] += 1
    except REFUSED as error:
        assert str(error)
        counts["refused"] += 1


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux


def main(argv: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description="Fuzz one parser, or all, for a while.",
        epilog="example: python tests/fuzz/run.py all --seconds 1200")
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()))
    args = parser.parse_args(argv)
    if args.target == "all":
        codes = [subprocess.run([sys.executable, __file__, name, "--seconds", str(args.seconds),
                                 "--first", str(args.first), "--keep", str(args.keep)]).returncode
                 for name in TARGETS]
        return 1 if any(codes) else 0
    warnings.simplefilter("ignore")
    print(json.dumps(fuzz(args.target, args.seconds, args.first, args.keep)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
