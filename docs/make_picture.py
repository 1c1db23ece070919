"""Draw a result: photograph with the tap | mask over it | cutout on a checkerboard.

The pictures of the documentation are made by this command, from the int8 file alone.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

if __package__ in (None, ""):  # run as a script: find the package without installing it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from oace_tf import pictures
from oace_tf.clicks import Click, parse_tap
from oace_tf.errors import guarded
from oace_tf.fileio import read_image, write_image
from oace_tf.segmenter import TapSegmenter

GAP = 8  # px between panels
SQUARE = 10  # px, side of a square of the checkerboard


def result_panels(image: np.ndarray, mask: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
    """Return the three panels side by side.

    Args:
      image: (H, W, 3) uint8 RGB.
      mask: (H, W) bool, True on the object.
      clicks: drawn in the first two panels; pixels of `image`.
    Returns:
      (H, 3 W + 16, 3) uint8 RGB, white between the panels.
    """
    height, width = mask.shape
    gap = np.full((height, GAP, 3), 255, np.uint8)
    panels = (draw_taps(image, clicks), pictures.overlay(image, mask, clicks),
              on_checkerboard(image, mask))
    return np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)


def on_checkerboard(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the object on the grey squares that stand for transparency; (H, W, 3) uint8."""
    rows, columns = np.indices(mask.shape) // SQUARE
    board = np.where((rows + columns) % 2, 204, 255).astype(np.uint8)[..., None]
    return np.where(mask[..., None], image, board)


def draw_taps(image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
    """Return a copy of the image with a ring around each click; (H, W, 3) uint8 as `image`."""
    drawn = image.copy()
    radius = max(6, min(image.shape[:2]) // 40)
    for click in clicks:
        centre = (round(click.x), round(click.y))
        cv2.circle(drawn, centre, radius, (255, 255, 255), radius // 2 + 2, cv2.LINE_AA)
        cv2.circle(drawn, centre, radius, pictures.TAP_COLOURS[click.positive], radius // 2,
                   cv2.LINE_AA)
    return drawn


def shrink(picture: np.ndarray, width: int) -> np.ndarray:
    """Return the picture, (H, W, 3) uint8, no wider than `width` px."""
    height = round(picture.shape[0] * width / picture.shape[1])
    if picture.shape[1] <= width or height < 1:
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def run(args: argparse.Namespace) -> int:
    """Segment the photograph and write the picture; return 0."""
    clicks = ([parse_tap(text) for text in args.tap]
              + [parse_tap(text, positive=False) for text in args.background_tap])
    image = read_image(args.photograph)
    mask = TapSegmenter(args.model).segment(image, clicks)
    write_image(args.out, shrink(result_panels(image, mask, clicks), args.width))
    print(args.out)
    return 0


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        description="Draw photograph and tap, mask, and cutout side by side.",
        epilog="example:\n  python docs/make_picture.py docs/samples/coffee.jpg --tap 290,120 "
               "--out docs/images/result.png",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--tap", action="append", required=True, metavar="X,Y",
                        help="on the object, in pixels of the photograph; may be repeated")
    parser.add_argument("--background-tap", action="append", default=[], metavar="X,Y",
                        help="beside the object; may be repeated")
    parser.add_argument("--model", type=Path, metavar="FILE",
                        help="int8 file (default: the one in the package)")
    parser.add_argument("--width", type=int, default=960, metavar="PX",
                        help="of the picture, at most (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    return guarded(lambda: run(args), "make_picture.py")


if __name__ == "__main__":
    raise SystemExit(main())
