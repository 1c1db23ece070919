"""A second trunk beside a trained one: weights to start the training of both from.

The neck takes, at 1/8, 1/16 and 1/32, the sum of what each trunk brings. What the second one brings
is fitted to the first's own share by least squares over training photographs, and takes over a part
of it. So the networks answer nearly as before, and gradients reach the second trunk at once.
"""
from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf.cli import Parser, command
from oace_tf.errors import UsageError

PROG = "python experiments/candidates/second_trunk.py"
_EPILOG = """example:
  %(prog)s build/mean.safetensors experiments/candidates/mobilenet.safetensors \\
      --photographs DATA/train/duts --share 0.25 -o build/start.safetensors
"""
SIDE = 384  # px, of the photographs that are looked at
CELLS = 200  # of each photograph and stride, for the fit
RIDGE = 1e-3  # of the mean square of the features
EPSILON = 1e-5  # of the neck's normalisations
_FIRST = {8: ("in8", "in8_bn"), 16: ("in16", "in16_bn"), 32: ("in32.conv", "in32.bn")}
_NECK, _TRUNK, _SECOND = "shared.neck.", "shared.trunk.", "shared.second_trunk."


def parse_args(argv: Sequence[str] | None = None, prog: str = PROG) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(prog=prog, description=__doc__, epilog=_EPILOG,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path, help="weights of one trunk")
    parser.add_argument("second", type=Path, help="weights whose trunk is added")
    parser.add_argument("--photographs", type=Path, required=True, metavar="DIR",
                        help="a folder of JPEG files, also below it")
    parser.add_argument("--limit", type=int, default=300, help="of them (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.25,
                        help="that the second trunk takes over, in [0, 1) (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE")
    return parser.parse_args(argv)


def fitted(features: np.ndarray, wanted: np.ndarray, share: float) -> dict[str, np.ndarray]:
    """Return a 1x1 convolution and its normalisation that bring a share of what is wanted.

    Args:
      features: (N, C).
      wanted: (N, W), what the first trunk brings.
      share: of it.
    Returns:
      `weight` (1, 1, C, W), and `gamma`, `beta`, `mean`, `variance` (W,), all float32.
    """
    x, y = features.astype(np.float64), wanted.astype(np.float64)
    middle = x.mean(axis=0)
    x = x - middle
    gram = x.T @ x / len(x)
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weight = np.linalg.solve(gram, x.T @ (y - y.mean(axis=0)) / len(x))
    variance = (x @ weight).var(axis=0)
    arrays = {"weight": weight[None, None], "gamma": share * np.sqrt(variance + EPSILON),
              "beta": share * y.mean(axis=0), "mean": middle @ weight, "variance": variance}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def explained(features: np.ndarray, wanted: np.ndarray) -> float:
    """Return the share of the variance of what is wanted that the fit explains."""
    fit = fitted(features, wanted, 1.0)
    answer = features @ fit["weight"][0, 0] - fit["mean"] + fit["beta"]
    return float(1.0 - ((answer - wanted) ** 2).sum() / ((wanted - wanted.mean(axis=0)) ** 2).sum())


def run(args: argparse.Namespace) -> int:
    """Write the weights; returns the exit code.

    Raises:
      UsageError: weights of another kind, or no photographs.
    """
    from oace_tf.networks.gesture_networks import build_gesture_networks
    from oace_tf.networks.one_trunk import build_encoder
    from oace_tf.networks.weights import get_arrays, read_arrays, save_weights, set_arrays

    if not 0.0 <= args.share < 1.0:
        raise UsageError(f"--share {args.share:g}: expected a number in [0, 1)")
    config, _, first = read_arrays(args.first)
    other, _, second = read_arrays(args.second)
    if not (config.one_trunk and other.one_trunk):
        raise UsageError(f"{args.first}, {args.second}: expected weights of one trunk each")
    if config.second_trunk is not None:
        raise UsageError(f"{args.first}: has a second trunk already; give weights of before")
    if args.limit < 1:
        raise UsageError(f"--limit {args.limit}: expected at least 1")
    config = dataclasses.replace(config, second_trunk=other.trunk)
    networks = build_gesture_networks(config, None)
    arrays = {name: array for name, array in get_arrays(networks).items() if name not in first}
    arrays |= first
    arrays |= {_SECOND + name.removeprefix(_TRUNK): array for name, array in second.items()
               if name.startswith(_TRUNK)}
    set_arrays(networks, arrays, str(args.first))
    looked_at = build_encoder(config, SIDE)
    for variable, theirs in zip(looked_at.weights, networks.encoder.weights):
        variable.assign(theirs)
    for stride, (x, y) in _features(looked_at, args).items():
        part, norm = _NECK + f"second{stride}", _NECK + _FIRST[stride][1]
        fit = fitted(x, y, args.share)
        print(f"1/{stride}: {100.0 * explained(x, y):.0f} % of the variance explained")
        arrays |= {f"{part}.weight": fit["weight"], f"{part}_bn.weight": fit["gamma"],
                   f"{part}_bn.bias": fit["beta"], f"{part}_bn.running_mean": fit["mean"],
                   f"{part}_bn.running_var": fit["variance"]}
        for name in (f"{norm}.weight", f"{norm}.bias"):
            arrays[name] = arrays[name] * (1.0 - args.share)
    set_arrays(networks, arrays, str(args.out))
    save_weights(args.out, networks, {"first": str(args.first.name), "share": args.share,
                                      "second": str(args.second.name), "seed": args.seed})
    return 0


def _features(encoder: Any, args: argparse.Namespace) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return, by stride, features of the second trunk and what the first brings to the neck."""
    import cv2
    import keras

    from oace_tf.geometry import normalise
    from oace_tf.networks.layers import keras_name

    outputs: dict[str, Any] = {}
    for stride, (_, norm) in _FIRST.items():
        outputs[f"x{stride}"] = encoder.get_layer(keras_name(f"{_NECK}second{stride}")).input
        outputs[f"y{stride}"] = encoder.get_layer(keras_name(_NECK + norm)).output
    model = keras.Model(encoder.input, outputs)
    rng = np.random.default_rng(args.seed)
    paths = sorted(args.photographs.rglob("*.jpg"))
    if not paths:
        raise UsageError(f"{args.photographs}: no .jpg file below it")
    rows: dict[str, list[np.ndarray]] = {name: [] for name in outputs}
    for path in rng.permutation(np.array(paths, dtype=object))[:args.limit]:
        photograph = cv2.imread(str(path))
        if photograph is None:
            print(f"{path}: cannot be read; skipped", file=sys.stderr)
            continue
        image = cv2.cvtColor(cv2.resize(photograph, (SIDE, SIDE), interpolation=cv2.INTER_AREA),
                             cv2.COLOR_BGR2RGB)
        found = {name: np.asarray(x)[0] for name, x in
                 model.predict_on_batch(normalise(image)[None]).items()}
        for stride in _FIRST:
            cells = rng.permutation(found[f"x{stride}"].shape[0] ** 2)[:CELLS]
            for name in (f"x{stride}", f"y{stride}"):
                rows[name].append(found[name].reshape(-1, found[name].shape[-1])[cells])
    if not rows["x8"]:
        raise UsageError(f"{args.photographs}: none of its photographs can be read")
    joined = {name: np.concatenate(parts) for name, parts in rows.items()}
    return {stride: (joined[f"x{stride}"], joined[f"y{stride}"]) for stride in _FIRST}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return command(parse_args, run, argv, PROG)


if __name__ == "__main__":
    raise SystemExit(main())
