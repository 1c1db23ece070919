"""Check that the int8 file also answers in tflite-runtime, in an environment of its own.

`record` runs in the main environment: photograph and tap -> the inputs and LiteRT's mask, one .npz.
`compare` runs where only tflite-runtime and numpy are: the same inputs -> the same mask, nearly.
The two runtimes round differently, so the masks may differ in a few bytes.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

if __package__ in (None, ""):  # run as a script: find the package without installing it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

LEAST_IOU = 0.9  # of the two masks at one half; far above what a wrong kernel would give
HALF = 128  # byte = round(256 p)


def record(model: Path, photograph: Path, tap: str, out: Path) -> int:
    """Write the model's inputs for one tap, and LiteRT's mask, to an .npz file; return 0.

    Args:
      tap: `X,Y` in pixels of the photograph.
      out: arrays image (S, S, 3) uint8, points (N, 3) float32, mask (S, S) uint8.
    """
    from oace_tf.clicks import pack_points, parse_tap
    from oace_tf.geometry import Frame
    from oace_tf.images import read_image
    from oace_tf.runtime.model import open_model

    image = read_image(photograph)
    network = open_model(model)
    frame = Frame(image.shape[0], image.shape[1], network.size)
    points = pack_points([frame.click(parse_tap(tap))], network.max_points)
    small = frame.image(image)
    np.savez(out, image=small, points=points, mask=network.run(small, points))
    return 0


def compare(model: Path, recorded: Path) -> int:
    """Print how the mask of tflite-runtime differs from the recorded one; return 1 if too much."""
    from tflite_runtime.interpreter import Interpreter

    with np.load(recorded) as arrays:
        image, points, expected = arrays["image"], arrays["points"], arrays["mask"]
    interpreter = Interpreter(model_path=str(model))
    run = interpreter.get_signature_runner("serving_default")
    feed = {"image": image[None], "points": points[None]}
    if "previous" in run.get_input_details():  # zeros at the first tap
        feed["previous"] = np.zeros((1, *expected.shape, 1), np.uint8)
    answer = run(**feed)
    got = answer["mask"].reshape(expected.shape)
    difference = np.abs(got.astype(int) - expected.astype(int))
    object_got, object_expected = got >= HALF, expected >= HALF
    union = np.count_nonzero(object_got | object_expected)
    iou = np.count_nonzero(object_got & object_expected) / union if union else 0.0
    print(f"tflite-runtime against LiteRT, numpy {np.__version__}: "
          f"{np.mean(difference > 0):.2%} of the bytes differ, by at most {difference.max()}; "
          f"IoU of the masks {iou:.4f}; object {np.mean(object_expected):.1%} of the frame")
    if not object_expected.any():
        print("the recorded mask is empty: nothing was compared; record another tap")
    return 0 if iou >= LEAST_IOU else 1


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        description="Check that the int8 file answers in tflite-runtime as it does in LiteRT.",
        epilog="example:\n  python tests/tflite_runtime_check.py compare build/oace_int8.tflite "
               "build/ci/litert.npz",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("record", help="in the main environment: write inputs and mask")
    one.add_argument("model", type=Path)
    one.add_argument("photograph", type=Path)
    one.add_argument("--tap", required=True, metavar="X,Y")
    one.add_argument("--out", required=True, type=Path, metavar="FILE.npz")
    two = commands.add_parser("compare", help="in the other environment: run and compare")
    two.add_argument("model", type=Path)
    two.add_argument("recorded", type=Path)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    if args.command == "record":
        from oace_tf.errors import guarded
        return guarded(lambda: record(args.model, args.photograph, args.tap, args.out),
                       "tflite_runtime_check.py")
    return compare(args.model, args.recorded)


if __name__ == "__main__":
    raise SystemExit(main())
