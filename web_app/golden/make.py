"""Command: write what the Python interpreter gives for pictures that the browser has as well.

scenes.json: pictures that both languages draw from whole numbers; part of the site, for its
benchmark. photographs.json: the samples; for the tests alone. Each case is a picture, taps on it,
the SHA-256 of its pixels and of the tensors `image` and `points`, and what the shipped file makes
of them: the mask of a scene, the SHA-256 of a photograph's tidied cutout.
"""
from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf import fileio, images, pictures
from oace_tf.cli import Parser
from oace_tf.clicks import Click
from oace_tf.errors import guarded
from oace_tf.geometry import Frame
from oace_tf.segmenter import DEFAULT_MODEL, TapSegmenter

PROG = "web_app/golden/make.py"
FOLDER = Path(__file__).parent
SAMPLES = Path(__file__).resolve().parents[2] / "docs" / "samples"
Taps = Sequence[tuple[float, float, bool]]

# Sizes for every way of resizing: across and down, whole blocks, by area, growing, none.
SCENES: dict[str, tuple[int, int, tuple[int, int, int, int], tuple[int, int, int], Taps]] = {
    "mixed": (640, 480, (300, 220, 120, 90), (200, 60, 40), ((300, 220, True),)),
    "blocks": (1024, 1024, (600, 500, 200, 260), (40, 60, 180), ((610.5, 480.25, True),)),
    "area": (1283, 777, (500, 400, 210, 190), (150, 40, 110),
             ((520, 380, True), (1100, 700, False))),
    "growing": (300, 451, (140, 230, 80, 60), (40, 120, 30), ((139.5, 231, True),)),
    "exact": (512, 512, (256, 256, 130, 100), (220, 200, 40), ((250, 256, True),)),
}
PHOTOGRAPHS = ("coffee.jpg", "cat.jpg", "camera.jpg")  # tapped in the middle


def draw_scene(width: int, height: int, ball: tuple[int, int, int, int],
               colour: tuple[int, int, int]) -> np.ndarray:
    """Return the scene of site/golden.js, (height, width, 3) uint8 RGB: a ball on a grained slope.

    Args:
      width, height: in pixels.
      ball: x and y of its middle, half its width, half its height.
      colour: red, green, blue of its darkest side.
    """
    y, x = np.mgrid[:height, :width].astype(np.int64)
    mixed = (x.astype(np.uint32) * np.uint32(73856093)) ^ (y.astype(np.uint32)
                                                           * np.uint32(19349663))
    grain = (mixed >> np.uint32(13)).astype(np.int64) & 15
    cx, cy, a, b = ball
    dx, dy = (x - cx) * b, (y - cy) * a
    inside = dx * dx + dy * dy <= a * a * b * b
    slope = (60 + 90 * x // width, 90 + 60 * y // height, np.full_like(x, 120))
    light = 60 * (cx + a - x) // (2 * a)
    channels = [np.where(inside, colour[c] + light, slope[c]) + grain for c in range(3)]
    return np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)


def golden() -> dict[str, dict[str, Any]]:
    """Return what the files hold, by their names, JSON values."""
    before = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)  # Intel's library rounds otherwise where masks are resized
    try:
        return _golden(TapSegmenter())
    finally:
        cv2.ipp.setUseIPP(before)


def _golden(segmenter: TapSegmenter) -> dict[str, dict[str, Any]]:
    scenes, photographs = [], []
    for name, (width, height, ball, colour, taps) in SCENES.items():
        scene = {"width": width, "height": height, "ball": list(ball), "colour": list(colour)}
        scenes.append({"name": name, "scene": scene,
                       **_answer(segmenter, draw_scene(width, height, ball, colour), taps)})
    for name in PHOTOGRAPHS:
        pixels = images.read_image(SAMPLES / name)
        middle = ((pixels.shape[1] - 1) / 2, (pixels.shape[0] - 1) / 2, True)
        case = {"name": Path(name).stem, "file": name, **_answer(segmenter, pixels, (middle,))}
        del case["mask"]  # as large as the rest together
        cutout = pictures.cutout(pixels, segmenter.segment(pixels, [Click(*middle)]))
        photographs.append({**case, "cutout_sha256": _sha256(cutout)})
    sha256 = fileio.sha256_bytes(fileio.read_bytes(DEFAULT_MODEL))
    return {name: {"model_sha256": sha256, "max_points": segmenter.model.max_points,
                   "cases": found}
            for name, found in (("scenes.json", scenes), ("photographs.json", photographs))}


def _answer(segmenter: TapSegmenter, pixels: np.ndarray, taps: Taps) -> dict[str, Any]:
    clicks = [Click(*tap) for tap in taps]
    frame = Frame(pixels.shape[0], pixels.shape[1], segmenter.model.size)
    _, mask = segmenter.answer(pixels, clicks)
    return {"taps": [list(tap) for tap in taps], "pixels_sha256": _sha256(pixels),
            "image_sha256": _sha256(frame.image(pixels)),
            "points_sha256": _sha256(segmenter.points(frame, clicks)),
            "mask": base64.b64encode(zlib.compress(mask.tobytes(), 9)).decode("ascii")}


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def run(args: argparse.Namespace) -> int:
    """Write the files; return 0."""
    for name, content in golden().items():
        text = json.dumps(content, indent=1) + "\n"
        fileio.atomic_write(args.out / name, text.encode())
        print(f"{args.out / name}: {len(text) / 1000:.0f} kB")
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; UsageError for wrong ones."""
    parser = Parser(prog=PROG, description="Write the golden tensors and masks of the browser app.",
                    epilog=f"example: python {PROG}")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR",
                        help="default: %(default)s")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return guarded(lambda: run(parse_args(argv)), PROG)


if __name__ == "__main__":
    raise SystemExit(main())
