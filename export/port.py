"""Command: a PyTorch checkpoint brought to Keras, every tensor mapped, and the port proved."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oace_tf.cli import need_or_exit

    need_or_exit("port", "python export/port.py")

from export import report
from export.porting.checkpoint import read_checkpoint
from oace_tf import fileio
from oace_tf.cli import Parser, command
from oace_tf.config import RESIZES
from oace_tf.errors import GateFailed, UsageError

NETWORKS = ("hrnet18", "hrnet18s", "efficientnet_lite0", "prior", "msfnet", "ritm_hrnet18",
            "ritm_hrnet18s")
TRUNKS = ("efficientnet_lite0", "hrnet")
REPORT_SUFFIX = ".port.json"
PROG = "python export/port.py"
EXAMPLE = ("example: %(prog)s ritm.onnx --network ritm_hrnet18s "
           "--out build/ritm.safetensors")
_log = logging.getLogger("port")


def parse_args(argv: Sequence[str] | None, prog: str = PROG) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser(prog=prog, description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help=".onnx, or a state dict: .pth, .safetensors")
    add("--network", choices=NETWORKS, help="what the checkpoint is")
    add("--out", type=Path, metavar="FILE", help="the .safetensors to write; the report goes "
        f"beside it (FILE{REPORT_SUFFIX})")
    add("--trunk", choices=TRUNKS, default="hrnet",
        help="of a prior or msfnet: that of our preset (default: %(default)s)")
    add("--preset", metavar="NAME", help="of a prior or msfnet: our preset (default: --trunk)")
    add("--resize", choices=RESIZES, help="how an HRNet enlarges (default: as the ONNX graph "
        "does; of a state dict: as its source is known to)")
    add("--allow", action="append", default=[], metavar="PATTERN",
        help="names that may be missing or extra, such as 'last_layer.*'; may be repeated")
    add("--proof", type=Path, metavar="FILE.onnx", help="of a state dict: the same model as ONNX; "
        "every tensor must be equal, and the graph's results too")
    add("--cross-check", action="store_true",
        help="convert the graph with onnx2tf too; all three roads must agree")
    add("--seed", type=int, default=0, help="of the random inputs of the proof")
    other = parser.add_argument_group("a graph that is not of this project")
    other.add_argument("--via", choices=("onnx2tf",), help="make a .tflite file of any click "
                       "model; --out is a folder then, more arguments are those of quantize.py")
    other.add_argument("--int8", action="store_true", help="with --via: the full-int8 file")
    args, rest = parser.parse_known_args(argv)
    if rest and args.via is None:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.rest = rest
    return args


def run(args: argparse.Namespace) -> int:
    """Port, prove and write; 0 where all is well.

    Raises:
      UsageError: bad input.
      GateFailed: graph and Keras model differ; the report is written, the weights are not.
    """
    if args.via is not None:
        return _via(args)
    _check(args)
    checkpoint = read_checkpoint(args.model)
    proof = checkpoint
    if args.proof is not None:
        proof = read_checkpoint(args.proof)
        if proof.graph is None:
            raise UsageError(f"{args.proof}: the proof needs an ONNX graph; export the model")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from export.porting import port_network

    ported = port_network.describe(args, checkpoint, proof)
    _log.info("1/3 %s: %d tensors, network %s, resize %s", args.model, len(checkpoint.tensors),
              args.network, ported.resize)
    made = port_network.port(ported, checkpoint, args.allow, proof)
    stages: list[Any] = []
    if proof.graph is not None:
        _log.info("2/3 proof: onnxruntime against Keras")
        stages = port_network.prove(made, proof, args.seed)
    failures = [row for row in stages if not row.holds]
    roads: list[Any] = []
    if args.cross_check and not failures:
        if proof.graph is None:
            raise UsageError(f"{args.model}: --cross-check needs an ONNX graph; give --proof")
        _log.info("2/3 cross-check: onnx2tf")
        roads = port_network.cross_check(made, proof, args.seed)
    apart = [row for row in roads if not row.holds]
    result = {
        "passed": not failures and not apart,
        "network": ported.to_json(),
        "source": {"path": str(args.model), "sha256": fileio.sha256_file(args.model)},
        "tensors": {"counts": made.counts, "prefix": made.prefix,
                    "rows": [dataclasses.asdict(row) for row in made.rows]},
        "proof": [dataclasses.asdict(row) for row in stages] or None,
        "cross_check": [dataclasses.asdict(row) for row in roads] or None,
        "versions": report.versions(),
    }
    if failures or apart:
        fileio.write_json(_report_path(args.out), _finite(result))
        print(port_network.table(made, stages, roads))
        raise GateFailed(_differs(args, failures, apart))
    _log.info("3/3 writing %s", args.out)
    port_network.save(args.out, made, args.model, stages)
    fileio.write_json(_report_path(args.out), result)
    print(port_network.table(made, stages, roads))
    if not stages:
        print("NOT PROVED: a state dict has no graph; give --proof FILE.onnx")
    print(f"{args.out}: {made.counts['ported']} tensors ported")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse arguments that do not go together, before anything is read."""
    if args.int8:
        raise UsageError("--int8 goes with --via onnx2tf; ported weights are quantized by "
                         "export/quantize.py --int8 --weights FILE")
    if args.network is None or args.out is None:
        raise UsageError(f"give --network and --out; {EXAMPLE}")
    if args.out.suffix != ".safetensors":
        raise UsageError(f"{args.out}: ported weights are written as .safetensors; "
                         "name --out accordingly")
    if args.seed < 0:
        raise UsageError(f"--seed is {args.seed}; it must not be negative")
    fileio.refuse_overwriting([args.out, _report_path(args.out)], [args.model, args.proof])


def _differs(args: argparse.Namespace, failures: Sequence[Any], apart: Sequence[Any]) -> str:
    """Say where the port is off: between the three roads, or else in a stage of the proof."""
    more = f"the report says more: {_report_path(args.out)}"
    if apart:
        return (f"{args.model}: the three roads differ on {apart[0].input}, result "
                f"{apart[0].result}; {more}")
    first = failures[0]
    return (f"{args.model}: graph and Keras model differ by {first.deviation:.2e} in stage "
            f"{first.stage}, first at {first.first_bad}; {more}")


def _via(args: argparse.Namespace) -> int:
    """Make an int8 file of a graph through onnx2tf; all after the conversion is quantize's."""
    from export import quantize
    from export.convert import onnx_graph

    if not args.int8:
        raise UsageError("nothing to make: give --int8 with --via onnx2tf")
    if args.network is not None:
        raise UsageError("--network and --via are two roads; give one of them")
    if args.model.suffix != ".onnx":
        raise UsageError(f"{args.model}: --via onnx2tf takes an ONNX file")
    onnx_graph.read_click_graph(args.model)  # bad graphs are named before anything long begins
    out = [] if args.out is None else ["--out", str(args.out)]
    seed = ["--seed", str(args.seed)]
    return quantize.run(quantize.parse_args(
        ["--int8", "--weights", str(args.model), *out, *seed, *args.rest]))


def _report_path(out: Path) -> Path:
    return out.with_name(out.name + REPORT_SUFFIX)


def _finite(value: Any) -> Any:
    """Return the value with None for numbers that JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 1 the proof failed, 2 bad input."""
    return command(parse_args, run, argv, PROG, extra="port", logger=_log)


if __name__ == "__main__":
    raise SystemExit(main())
