"""Both converters once, side by side: TensorFlow's own int8 and ai-edge-quantizer.

Same weights, same calibration photographs, same objects. TensorFlow's converter cannot leave the
drawing of the taps in float (it would quantize the coordinates), so its file takes the disk maps as
an input, drawn by `clicks.draw_disks`: the same pixels.
"""
from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import cv2
import numpy as np

from export.calibration import images as calibration_images
from export.convert import keras_pair
from export.quantization import calibrate, int8, recipe
from export.quantization.on_objects import bar, compare, fill, float_masks, objects
from export.tflite import memory, metadata
from export.tflite import model as tflite
from export.tflite.delegation import delegation
from oace_tf import __version__, fileio
from oace_tf.cli import Parser
from oace_tf.clicks import NEGATIVE, POSITIVE, Click, draw_disks, pack_points
from oace_tf.errors import UsageError, guarded
from oace_tf.geometry import Frame, normalise
from oace_tf.segmenter import TapSegmenter
from oace_tf.workers import apart

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "oace_tf" / "weights" / "efficientnet_lite0.safetensors"
SIZE, MAX_POINTS, RUNS = 512, 20, 11
_log = logging.getLogger("routes")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser(
        prog="routes", description=(__doc__ or "").split("\n")[0],
        epilog="example: python export/routes.py --out docs/routes.json --objects 40")
    add = parser.add_argument
    add("--out", type=Path, default=ROOT / "docs" / "routes.json", metavar="FILE",
        help="JSON of rows (default: docs/routes.json)")
    add("--weights", type=Path, default=WEIGHTS, metavar="FILE", help="default: the shipped pair")
    add("--data", type=Path, metavar="DIR", help="data sets (default: what OACE_DATA names)")
    add("--page", type=Path, metavar="FILE",
        help="also put the table between the page's `routes` markers")
    add("--images", type=int, default=32, metavar="N", help="calibration photographs (default: 32)")
    add("--objects", type=int, default=60, metavar="N", help="of each set (default: %(default)s)")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Make both files, measure them, write and print the rows.

    Raises:
      UsageError: no weights, no data.
    """
    data = args.data or (Path(os.environ["OACE_DATA"]) if os.environ.get("OACE_DATA") else None)
    if data is None:
        raise UsageError("the routes are measured on photographs: set OACE_DATA or give --data")
    photographs, notes = calibration_images.choose(None, data, 0)
    if photographs is None:
        raise UsageError(f"no calibration images ({'; '.join(notes)})")
    files = objects(data, args.objects)
    digest = fileio.sha256_file(args.weights)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds, peak, made = apart(_timed, keras_pair.convert_weights, args.weights, None,
                                    MAX_POINTS, SIZE, folder / "float.tflite")
        about = metadata.Description("points", made.click_channels, MAX_POINTS, digest,
                                     "as weights", __version__, "for measuring", made.network)
        float_path = folder / "float.tflite"
        float_path.write_bytes(metadata.add_metadata(float_path.read_bytes(), about))
        truth = float_masks(float_path, files)
        rows = []
        for chosen in ("plain", recipe.DEFAULT):
            path = folder / f"{chosen}.tflite"
            more, high, _ = apart(_timed, ai_edge, float_path, photographs, chosen, args.images,
                                  about, path)
            rows.append(_row(f"ai-edge-quantizer, {chosen}", path, seconds + more,
                             max(peak or 0.0, high or 0.0),
                             compare(TapSegmenter(path).probability, files, truth)))
        path = folder / "tensorflow.tflite"
        more, high, _ = apart(_timed, tensorflow, args.weights, photographs, args.images, path)
        rows.append(_row("TensorFlow's converter", path, more, high,
                         compare(predictor(path, made.click_channels), files, truth)))
        timing = _timing({row["route"]: path for row, path in zip(rows, (
            folder / "plain.tflite", folder / f"{recipe.DEFAULT}.tflite", path))})
        for row in rows:
            row["ms"] = timing[row["route"]]
    fileio.write_json(args.out, {"weights_sha256": digest, "images": args.images,
                                 "objects": len(files), "rows": rows})
    print(table(rows))
    if args.page is not None:
        fill(args.page, "routes", table(rows))
    return 0


def ai_edge(
    float_path: Path, photographs: calibration_images.CalibrationSet, name: str, images: int,
    about: metadata.Description, out: Path,
) -> None:
    """Write the int8 file of this project's route."""
    chosen = recipe.Recipe.from_json({**recipe.load(name).to_json(), "images": images}, name)
    some = calibrate.chosen(photographs, chosen, 0).photographs
    decided = calibrate.make_plan(float_path, some, chosen, SIZE, MAX_POINTS, 1, bar)
    edited = decided.edit(float_path.read_bytes(), chosen.float_layers)
    content = int8.quantize(edited, decided.ranges, chosen)
    out.write_bytes(metadata.add_metadata(content, about, compact=True))


def tensorflow(
    weights: Path, photographs: calibration_images.CalibrationSet, images: int, out: Path
) -> None:
    """Write the int8 file of TensorFlow's converter: uint8 image and disks in, uint8 mask out."""
    keras_pair.require_tensorflow_backend()
    import keras
    import tensorflow as tf

    from oace_tf.networks.weights import build_from_weights

    pair, _ = build_from_weights(weights, SIZE)
    side = pair.config.network_side(SIZE)
    chosen = recipe.Recipe(images=images)
    some = calibrate.chosen(photographs, chosen, 0).photographs

    def call(image: Any, disks: Any) -> Any:
        seen = image if side == SIZE else tf.image.resize(image, (side, side))
        logits = pair.forward(seen, disks)[1]
        return {"mask": keras.ops.sigmoid(
            logits if side == SIZE else tf.image.resize(logits, (SIZE, SIZE)))}

    def inputs() -> Any:
        for feed in calibration_images.feeds(some, SIZE, MAX_POINTS):
            yield [feed["image"], disks_of(feed["points"][0], side, pair.config.click_channels)]

    channels = pair.config.click_channels
    specs = [tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32, name="image"),
             tf.TensorSpec((1, side, side, channels), tf.float32, name="disks")]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [tf.function(call, autograph=False).get_concrete_function(*specs)])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = inputs
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    with warnings.catch_warnings():
        # It asks for statistics of the inputs, which it takes from the photographs itself.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs", UserWarning)
        out.write_bytes(converter.convert())


def disks_of(points: np.ndarray, side: int, channels: int) -> np.ndarray:
    """Return the disk maps of packed points of the 512-frame in a square of `side` px."""
    moved = points.copy()
    moved[:, :2] = (points[:, :2] + 0.5) * (side / SIZE) - 0.5
    return np.stack([draw_disks(moved, (side, side), label)
                     for label in (POSITIVE, NEGATIVE)[:channels]], -1)[None]


def predictor(path: Path, channels: int) -> Callable[[np.ndarray, Sequence[Click]], np.ndarray]:
    """Return photograph + clicks -> (H, W) probability of a file of TensorFlow's converter."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    ends = {entry["shape"][3]: entry for entry in interpreter.get_input_details()}
    made = interpreter.get_output_details()[0]

    def predict(image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
        frame = Frame(image.shape[0], image.shape[1], SIZE)
        points = pack_points([frame.click(click) for click in clicks], MAX_POINTS)
        disks = ends[channels]
        for entry, value in ((ends[3], normalise(frame.image(image))[None]),
                             (disks, disks_of(points, int(disks["shape"][1]), channels))):
            scale, zero = entry["quantization"]
            interpreter.set_tensor(entry["index"], np.clip(
                np.rint(value / scale) + zero, 0, 255).astype(np.uint8))
        interpreter.invoke()
        scale, zero = made["quantization"]
        mask = interpreter.get_tensor(made["index"])[0, ..., 0]
        return frame.mask_back(((mask.astype(np.float32) - zero) * scale).astype(np.float32))

    return predict


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    heads = ("route", "drop", "95 %", "agreement", "MB", "ms", "seconds", "peak MB", "delegates",
             "outside")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        low, high = row["drop_ci95"]
        lines.append(f"| {row['route']} | {row['drop_points']:.2f} | {low:.2f} to {high:.2f} | "
                     f"{row['agreement']:.4f} | {row['size_mb']:.2f} | {row['ms']:.1f} | "
                     f"{row['seconds']:.0f} | {row['peak_mb']:.0f} | {row['delegates']} | "
                     f"{', '.join(row['outside'])} |")
    return "\n".join(lines)


def _row(
    route: str, path: Path, seconds: float, peak: float | None, scores: dict[str, Any]
) -> dict[str, Any]:
    content = path.read_bytes()
    found = delegation(content)
    return {"route": route, **scores, "size_mb": round(path.stat().st_size / 1e6, 3),
            "seconds": round(seconds, 1), "peak_mb": peak, "delegates": len(found.partitions),
            "outside": list(found.outside), "operators": len(
                tflite.graph(tflite.parse(content)).operators)}


def _timed(function: Callable[..., Any], *args: Any) -> tuple[float, float | None, Any]:
    """Return CPU seconds, the process's peak memory in MB, and the function's result."""
    cv2.setNumThreads(1)
    begin = time.process_time()
    result = function(*args)
    return time.process_time() - begin, memory.resident_mb(peak=True), result


def _timing(files: dict[str, Path]) -> dict[str, float]:
    """Return the least time of one answer of each file, measured in turns, ms."""
    from ai_edge_litert.interpreter import Interpreter

    least = dict.fromkeys(files, float("inf"))
    opened = {}
    for name, path in files.items():
        opened[name] = Interpreter(model_path=str(path), num_threads=1)
        opened[name].allocate_tensors()
    for _ in range(RUNS):
        for name, interpreter in opened.items():
            begin = time.perf_counter()
            interpreter.invoke()
            least[name] = min(least[name], 1e3 * (time.perf_counter() - begin))
    return {name: round(ms, 2) for name, ms in least.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 2 bad input."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    _log.setLevel(logging.INFO)
    return guarded(lambda: run(parse_args(argv)), "routes")


if __name__ == "__main__":
    raise SystemExit(main())
