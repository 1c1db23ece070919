"""Command: the cost of the networks per stage: shapes, parameters, GMAC, share."""
from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oace_tf.cli import Parser, command, typed
from oace_tf.config import PRESETS, NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.fileio import write_json

if TYPE_CHECKING:
    from oace_tf.networks.cost import StageCost, Totals

PROG = "python -m oace_tf.summary"
EXAMPLE = "example: %(prog)s --preset hrnet --size 512"
SIZE_MULTIPLE = 64  # the coarsest features of any preset
STEM_STRIDES = (4, 2, 1)
HEADER = ("stage", "output", "parameters", "GMAC", "share of GMAC")


@dataclass(frozen=True, slots=True)
class PairCost:
    """The costs of a pair: `prior`, where there is one, and `msfnet`, each stage by stage."""

    config: NetworkConfig
    networks: Mapping[str, Sequence[StageCost]]

    def totals(self) -> dict[str, Totals]:
        """Return the totals of each network and, under `together`, of the pair."""
        from oace_tf.networks.cost import add_up

        sums = {name: add_up(stages) for name, stages in self.networks.items()}
        return {**sums, "together": add_up(row for rows in self.networks.values() for row in rows)}


def pair_cost(config: NetworkConfig, size: int) -> PairCost:
    """Return the costs of a configuration's networks for a file whose square has side `size`."""
    from oace_tf.networks.build import build_networks
    from oace_tf.networks.cost import network_costs

    pair = build_networks(config, config.network_side(size))
    return PairCost(config, network_costs(pair))


def parse_args(argv: Sequence[str] | None, prog: str = PROG) -> argparse.Namespace:
    """Return the arguments; UsageError for wrong ones."""
    parser = Parser(prog=prog, description="Print what the networks of each preset cost: shapes, "
                    "parameters and GMAC per stage.", epilog=EXAMPLE)
    parser.add_argument("--preset", nargs="+", metavar="NAME", choices=tuple(PRESETS),
                        default=[name for name in PRESETS if not name.startswith("tiny")],
                        help=f"which, of {', '.join(PRESETS)}; default: all but the tiny ones")
    parser.add_argument("--size", type=int, default=512, metavar="PIXELS",
                        help=f"side of the frame, a multiple of {SIZE_MULTIPLE}; "
                        "default: %(default)s")
    parser.add_argument("--json", metavar="FILE",
                        help="write the figures there as well; - for standard output, without "
                        "tables")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Build the networks and print their costs; return 0."""
    if args.size < SIZE_MULTIPLE or args.size % SIZE_MULTIPLE:
        raise UsageError(f"--size is {args.size}, expected a multiple of {SIZE_MULTIPLE}")
    tables = args.json != "-"
    costs = {}
    for name in dict.fromkeys(args.preset):
        costs[name] = pair_cost(NetworkConfig.preset(name), args.size)
        if tables:
            print_table(f"{name}, {args.size}x{args.size}", HEADER, stage_lines(costs[name]))
    strides = {}
    if "hrnet" in costs:
        for stride in STEM_STRIDES:
            config = dataclasses.replace(costs["hrnet"].config, stem_stride=stride)
            known = config == costs["hrnet"].config
            cost = costs["hrnet"] if known else pair_cost(config, args.size)
            strides[stride] = cost.totals()
        if tables:
            print_table(f"hrnet by stem stride, {args.size}x{args.size}",
                        ("stem stride", "network", "parameters", "GMAC"), stride_lines(strides))
    report = as_json(args.size, costs, strides)
    if not tables:
        print(json.dumps(report, indent=2))
    elif args.json:
        write_json(args.json, report)
    return 0


def stage_lines(cost: PairCost) -> list[tuple[str, ...]]:
    """Return the rows of a preset's table: its stages, then the totals."""
    totals = cost.totals()
    whole = totals["together"].macs

    def line(name: str, output: str, costs: StageCost | Totals) -> tuple[str, ...]:
        return (name, output, f"{costs.params:,}", f"{costs.gmac:.3f}",
                f"{100 * costs.macs / whole:.1f} %")

    def shapes(row: StageCost) -> str:
        return ", ".join("x".join(map(str, shape)) for shape in row.output_shapes)

    stages = [line(row.name, shapes(row), row) for rows in cost.networks.values() for row in rows]
    return stages + [line(f"= {name}", "", total) for name, total in totals.items()]


def stride_lines(strides: Mapping[int, Mapping[str, Totals]]) -> list[tuple[str, ...]]:
    """Return the rows of the table of stem strides."""
    return [(str(stride), name, f"{total.params:,}", f"{total.gmac:.1f}")
            for stride, totals in strides.items() for name, total in totals.items()]


def as_json(size: int, costs: Mapping[str, PairCost],
            strides: Mapping[int, Mapping[str, Totals]]) -> dict[str, Any]:
    """Return all figures as one JSON object."""
    def figures(totals: Mapping[str, Totals]) -> dict[str, Any]:
        return {name: {"params": total.params, "macs": total.macs, "gmac": total.gmac}
                for name, total in totals.items()}

    return {
        "size": size,
        "presets": {name: {"config": cost.config.to_json(),
                           "stages": [{**dataclasses.asdict(row), "gmac": row.gmac}
                                      for rows in cost.networks.values() for row in rows],
                           "totals": figures(cost.totals())} for name, cost in costs.items()},
        "hrnet_stem_strides": {str(stride): figures(totals) for stride, totals in strides.items()},
    }


def print_table(title: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn by rich on a terminal, aligned plain text in a pipe or without rich.

    The columns after the first two are numbers and stand to the right.
    """
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.table import Table
        except ImportError:  # not in every extra
            pass
        else:
            table = Table(*header, title=title, title_justify="left")
            for index, column in enumerate(table.columns):
                column.justify = "left" if index < 2 else "right"
            for line in lines:
                table.add_row(*line)
            Console().print(table)
            return
    widths = [max(map(len, column)) for column in zip(header, *lines)]
    print(title)
    for line in (header, *lines):
        cells = (cell.ljust(width) if index < 2 else cell.rjust(width)
                 for index, (cell, width) in enumerate(zip(line, widths)))
        print("  ".join(cells).rstrip())
    print()


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; return its exit code: 0 done, 2 bad input."""
    return command(parse_args, run, argv, prog or typed(PROG), extra="train")


if __name__ == "__main__":
    raise SystemExit(main())
