"""Command: a file's milliseconds by stage of the network, and by kind of operator.

The file is cut at every tensor where one stage ends: each piece runs as a file of its own, and so
does the file up to there. Then every kind of operator (with its shapes) runs alone, and counts as
often as it occurs. All figures are the least of several interleaved rounds: other work on the
machine only adds. At one thread they are processor time, which other work lengthens least. Pieces
run with random input; the work does not depend on it.
"""
from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oace_tf.cli import need_or_exit

    need_or_exit("export", "python export/profile_operators.py")

import numpy as np

from export import report as build_report
from export.tflite import extract
from export.tflite import model as tflite
from export.tflite.interpreter import fill
from export.tflite.operators import multiply_adds
from oace_tf import fileio
from oace_tf.cli import Parser, command
from oace_tf.errors import UsageError
from oace_tf.progress import progress
from oace_tf.runtime.interpreter import open_interpreter

_log = logging.getLogger("profile_operators")
PROG = "python export/profile_operators.py"
EXAMPLE = ("example: %(prog)s build/oace_int8.tflite "
           "--float build/oace_float32.tflite --json build/profile.json")
LEAST_S = 0.02  # a piece repeats within a round until this time has passed: short ones are noisy
READING_S = 1e-4  # shorter runs are counted together until a reading takes this


@dataclass(frozen=True, slots=True)
class Piece:
    """A stage of the network, as far as its operators stand together."""

    stage: str
    operators: int
    gmac: float
    ms: float  # run as a file of its own
    until_ms: float  # the file cut off at the piece's last tensor


@dataclass(frozen=True, slots=True)
class Kind:
    """Operators that are alike in name, types and shapes."""

    operator: str
    shapes: str
    count: int
    gmac: float  # of all of them
    ms: float  # of all of them: one, run alone, times their number


def pieces_of(layers: Sequence[str], most: int) -> list[tuple[str, list[int]]]:
    """Return (stage, operators) of consecutive operators of one stage.

    Where that makes more than `most` pieces, the smallest are joined to the one before them.
    """
    runs = [(stage, [index for index, _ in group]) for stage, group in groupby(
        enumerate(map(extract.stage_of, layers)), key=lambda item: item[1])]
    while len(runs) > most:
        small = min(range(1, len(runs)), key=lambda place: len(runs[place][1]))
        stage, indices = runs.pop(small)
        before, earlier = runs[small - 1]
        owner = before if len(earlier) >= len(indices) else stage
        runs[small - 1] = (owner, earlier + indices)
    return runs


def kinds_of(model: Any) -> dict[tuple[str, str], list[int]]:
    """Return (operator, shapes) -> places of the operators that are alike."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index, operator in enumerate(tflite.graph(model).operators):
        groups.setdefault((tflite.operator_name(model, operator), _shapes(model, operator)),
                          []).append(index)
    return groups


def _shapes(model: Any, operator: Any) -> str:
    tensors = tflite.graph(model).tensors

    def text(index: int) -> str:
        tensor = tensors[int(index)]
        sides = [] if tensor.shape is None else list(map(int, tensor.shape))
        return f"{tflite.type_name(tensor)} {'x'.join(map(str, sides)) or '1'}"

    inputs = [text(i) for i in operator.inputs if i >= 0 and tflite.type_name(
        tensors[int(i)]) != "int32"]  # biases and sizes say nothing more
    return f"{', '.join(inputs)} -> {', '.join(map(text, operator.outputs))}"


def least_ms(files: Mapping[str, bytes], threads: int, rounds: int, text: str,
             least_s: float = LEAST_S) -> dict[str, float]:
    """Return the shortest time of one run of each file, measured in turns.

    Every file is opened anew in each round: all open at once would not fit the memory.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    best: dict[str, float] = {}
    order = [name for _ in range(rounds) for name in files]
    for name in progress(order, text, "file"):
        interpreter = open_interpreter(files[name], threads)
        fill(interpreter, seed=0)
        interpreter.invoke()  # packs the weights
        until, turns = clock() + least_s, 1
        while True:
            begin = clock()
            for _ in range(turns):
                interpreter.invoke()
            end = clock()
            if end - begin < READING_S:
                turns *= 2
                continue
            best[name] = min(best.get(name, np.inf), 1e3 * (end - begin) / turns)
            if end >= until:
                break
    return best


def profile(content: bytes, named: bytes | None, threads: int = 1, rounds: int = 5,
            most: int = 40) -> dict[str, Any]:
    """Return the profile of a file.

    Args:
      content: the file.
      named: its float twin, for the names of the layers; None for a file that has names.
      threads: of the interpreter.
      rounds: each piece runs in as many.
      most: how many pieces at most.
    Returns:
      {"ms" of the whole file, "stages": [Piece as dict], "operators": [Kind as dict, dearest
      first], "sum_of_stages_ms", "sum_of_operators_ms"}.
    Raises:
      UsageError: no TFLite file, or the two are not twins.
    """
    model = tflite.parse(content)
    layers = extract.layers_of(model, None if named is None else tflite.parse(named))
    runs = pieces_of(layers, most)
    files = {"whole": extract.part(model, range(len(layers)))}
    for index, (_, indices) in enumerate(runs):
        files[f"alone {index}"] = extract.part(model, indices)
        files[f"until {index}"] = extract.part(model, range(indices[-1] + 1))
    stage_ms = least_ms(files, threads, rounds, "stages")
    kinds = kinds_of(model)
    alone = {f"{name} {shapes}": extract.part(model, places[:1])
             for (name, shapes), places in kinds.items()}
    kind_ms = least_ms(alone, threads, rounds, "operators", LEAST_S / 4)
    pieces = [Piece(stage, len(indices),
                    multiply_adds(files[f"alone {index}"]) / 1e9,
                    round(stage_ms[f"alone {index}"], 6), round(stage_ms[f"until {index}"], 6))
              for index, (stage, indices) in enumerate(runs)]
    rows = [Kind(name, shapes, len(places),
                 len(places) * multiply_adds(alone[f"{name} {shapes}"]) / 1e9,
                 round(len(places) * kind_ms[f"{name} {shapes}"], 6))
            for (name, shapes), places in kinds.items()]
    rows.sort(key=lambda row: -row.ms)
    return {
        "ms": round(stage_ms["whole"], 3),
        "sum_of_stages_ms": round(sum(piece.ms for piece in pieces), 3),
        "sum_of_operators_ms": round(sum(row.ms for row in rows), 3),
        "stages": [asdict(piece) for piece in pieces],
        "operators": [asdict(row) for row in rows],
    }


def table(report: Mapping[str, Any], most: int = 20) -> str:
    """Return the profile as text; the `most` dearest kinds of operators."""
    whole = report["ms"]

    def rate(row: Mapping[str, Any]) -> str:
        return f"{row['gmac'] / row['ms'] * 1e3:8.0f}" if row["gmac"] and row["ms"] else " " * 8

    lines = [f"{report['cpu']}, {report['threads']} thread(s), {report['clock']}: {whole:.1f} ms; "
             f"the stages alone add up to {report['sum_of_stages_ms']:.1f}, the operators alone "
             f"to {report['sum_of_operators_ms']:.1f}", "",
             f"{'stage':<28}{'operators':>10}{'GMAC':>8}{'ms':>9}{'share':>8}{'GMAC/s':>8}"
             f"{'until here':>12}"]
    lines += [f"{row['stage']:<28}{row['operators']:>10}{row['gmac']:>8.3f}{row['ms']:>9.2f}"
              f"{100 * row['ms'] / whole:>7.1f}%{rate(row)}{row['until_ms']:>12.2f}"
              for row in report["stages"]]
    lines += ["", f"{'ms':>8}{'count':>7}{'GMAC':>8}{'GMAC/s':>8}  operator"]
    lines += [f"{row['ms']:>8.2f}{row['count']:>7}{row['gmac']:>8.3f}{rate(row)}  "
              f"{row['operator']} {row['shapes']}" for row in report["operators"][:most]]
    if len(report["operators"]) > most:
        rest = sum(row["ms"] for row in report["operators"][most:])
        lines.append(f"{rest:>8.2f}  {len(report['operators']) - most} further kinds")
    return "\n".join(lines)


def parse_args(argv: Sequence[str] | None, prog: str = PROG) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser(prog=prog, epilog=EXAMPLE,
                    description="Time the operators of a TFLite file on this machine.")
    add = parser.add_argument
    add("file", type=Path, help="a .tflite file that export/quantize.py made")
    add("--float", dest="named", type=Path, metavar="FILE",
        help="the float file of the same build, which has the names of the layers (default: "
        "oace_float32.tflite beside an int8 file)")
    add("--threads", type=int, default=1, help="of the interpreter (default: %(default)s)")
    add("--rounds", type=int, default=5, help="each piece runs in as many (default: %(default)s)")
    add("--most", type=int, default=40, metavar="N", help="pieces at most (default: %(default)s)")
    add("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Measure and print; return 0."""
    for name, low, high in (("threads", 1, 256), ("rounds", 1, 1000), ("most", 2, 1000)):
        if not low <= getattr(args, name) <= high:
            raise UsageError(f"--{name} is {getattr(args, name)}; it must be {low} to {high}")
    fileio.refuse_overwriting([args.json], [args.file, args.named])
    content = fileio.read_bytes(args.file, 2**29)
    twin = args.named
    if twin is None and "float32" not in args.file.name:
        twin = args.file.with_name("oace_float32.tflite")
        if not twin.is_file():
            raise UsageError(f"{args.file}: an int8 file has no names of layers, and there is no "
                             f"{twin}; give the float file of the same build with --float")
    named = None if twin is None else fileio.read_bytes(twin, 2**29)
    report = {"file": str(args.file), "sha256": fileio.sha256_bytes(content), **build_report.host(),
              "threads": args.threads, "rounds": args.rounds,
              "clock": "processor time" if args.threads == 1 else "wall clock",
              **profile(content, named, args.threads, args.rounds, args.most)}
    if args.json:
        fileio.write_json(args.json, report)
    print(table(report))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 2 bad input."""
    return command(parse_args, run, argv, PROG, extra="export")


if __name__ == "__main__":
    raise SystemExit(main())
