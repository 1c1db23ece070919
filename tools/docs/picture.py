"""Command: the result's picture: photograph with tap | OACE | mask over it | cutout.

The pictures of the documentation are made by this command, from the int8 file alone. Beside each
stands its record, NAME.json: of which file, with which taps.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

if __package__ in (None, ""):  # run as a script: find the package without installing it
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf import pictures
from oace_tf.cli import Parser
from oace_tf.clicks import Click, parse_tap
from oace_tf.errors import UsageError, guarded
from oace_tf.fileio import sha256_file, write_json
from oace_tf.geometry import Frame
from oace_tf.images import read_image, write_image
from oace_tf.runtime.oace_reader import OaceReader, oace_picture
from oace_tf.segmenter import TapSegmenter, model_file

GAP = 8  # px between panels
SQUARE = 10  # px, side of a square of the checkerboard


def result_panels(image: np.ndarray, mask: np.ndarray, clicks: Sequence[Click],
                  oace: np.ndarray | None = None) -> np.ndarray:
    """Return the panels side by side.

    Args:
      image: (H, W, 3) uint8 RGB.
      mask: (H, W) bool, True on the object.
      clicks: drawn in the panels of photograph and mask; pixels of `image`.
      oace: (h, w, 3) float32 in [-1, 1]; None to leave its panel out.
    Returns:
      (H, 4 W + 24, 3) uint8 RGB, white between the panels; (H, 3 W + 16, 3) without OACE.
    """
    panels = [draw_taps(image, clicks)]
    if oace is not None:
        panels.append(oace_picture(oace, mask.shape[:2]))
    panels += [pictures.overlay(image, mask, clicks), on_checkerboard(image, mask)]
    return side_by_side(panels)


def side_by_side(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Return pictures of one height, (H, W_i, 3) uint8, in a row with white between them."""
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    row = [panels[0]]
    for panel in panels[1:]:
        row += [gap, panel]
    return np.concatenate(row, axis=1)


def write_recorded(path: Path, picture: np.ndarray, record: Mapping[str, Any]) -> None:
    """Write the picture and, last, its record beside it.

    Raises:
      UsageError: one of them cannot be written.
    """
    write_image(path, picture)
    write_json(path.with_suffix(".json"), record)


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
    model = model_file(args.model)
    mask = TapSegmenter(model).segment(image, clicks)
    picture = result_panels(image, mask, clicks, _oace(model, image, clicks))
    write_recorded(args.out, shrink(picture, args.width), {
        "sha256": sha256_file(model), "photograph": args.photograph.name,
        "taps": [[click.x, click.y, click.positive] for click in clicks]})
    print(args.out)
    return 0


def _oace(model: Path, image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray | None:
    """Return the OACE, None where the file holds none: a network that takes the plain disk."""
    try:
        reader = OaceReader(model)
    except UsageError as error:
        print(f"no panel of the OACE: {error}", file=sys.stderr)
        return None
    frame = Frame(image.shape[0], image.shape[1], reader.model.size)
    points = frame.points(clicks, reader.model.max_points)
    return reader.read(frame.image(image), points)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = Parser(
        description="Draw photograph and tap, OACE, mask, and cutout side by side.",
        epilog="example:\n  python tools/docs/picture.py docs/samples/coffee.jpg --tap 290,120 "
               "--out docs/images/result.png",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--tap", action="append", required=True, metavar="X,Y",
                        help="on the object, in pixels of the photograph; may be repeated")
    parser.add_argument("--background-tap", action="append", default=[], metavar="X,Y",
                        help="beside the object; may be repeated")
    parser.add_argument("--model", type=Path, metavar="FILE",
                        help="int8 file (default: the one in the package)")
    parser.add_argument("--width", type=int, default=1200, metavar="PX",
                        help="of the picture, at most (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return guarded(lambda: run(parse_args(argv)), "python tools/docs/picture.py")


if __name__ == "__main__":
    raise SystemExit(main())
