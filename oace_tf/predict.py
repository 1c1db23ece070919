"""Command: photograph + taps -> cutout, mask or overlay, from the .tflite file alone."""
from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from oace_tf import pictures
from oace_tf.cli import Parser, command, typed
from oace_tf.clicks import Click, parse_tap
from oace_tf.errors import MissedTapWarning, UsageError, printable
from oace_tf.geometry import Frame
from oace_tf.images import Photograph, read_photograph, write_image
from oace_tf.segmenter import TapSegmenter

PROG = "python -m oace_tf.predict"
KINDS = ("cutout", "mask", "overlay")
WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")
DEFAULT_SUFFIX = {"cutout": ".png", "mask": ".png", "overlay": ".jpg"}
EXAMPLE = "example: %(prog)s photo.jpg --tap 240,310 -o cutout.png"


def parse_args(argv: Sequence[str] | None, prog: str = PROG) -> argparse.Namespace:
    """Return the arguments; UsageError for wrong ones."""
    parser = Parser(prog=prog, description="Cut the tapped object out of a photograph.",
                    epilog=EXAMPLE)
    parser.add_argument("photo", type=Path, help="the photograph; it is turned upright first")
    parser.add_argument("--tap", action="append", default=[], metavar="X,Y",
                        help="a tap on the object, pixels of the upright photograph; repeatable")
    parser.add_argument("--background-tap", action="append", default=[], metavar="X,Y",
                        help="a tap on what is not the object; repeatable")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE",
                        help="where to write; default: beside the photograph, PHOTO_KIND.png")
    parser.add_argument("--kind", choices=KINDS,
                        help="what to write; default by the name of --out: *_mask.png a mask, "
                        ".png a cutout with transparency, .jpg an overlay")
    parser.add_argument("--model", type=Path, metavar="FILE",
                        help="a .tflite file; default: the one in the package")
    parser.add_argument("--refine", action=argparse.BooleanOptionalAction, default=False,
                        help="draw the mask's edges along those of the photograph")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.set_defaults(prog=prog)
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Read, segment, write; return 0. Everything that can be refused is refused first."""
    clicks = [parse_tap(text) for text in args.tap]
    clicks += [parse_tap(text, positive=False) for text in args.background_tap]
    if not args.tap:
        raise UsageError("give at least one --tap X,Y on the object; "
                         + EXAMPLE % {"prog": args.prog})
    out, kind = choose_output(args.photo, args.out, args.kind)
    photograph = read_photograph(args.photo)
    image = photograph.image
    frame = Frame(image.shape[0], image.shape[1])
    for click in clicks:
        frame.click(click)
    segmenter = TapSegmenter(args.model, args.threads, refine=args.refine)
    start = time.perf_counter()
    try:
        with warnings.catch_warnings(record=True) as remarks:
            warnings.simplefilter("always", MissedTapWarning)
            mask = segmenter.segment(image, clicks)
        milliseconds = 1000 * (time.perf_counter() - start)
        write_image(out, _picture(kind, photograph, mask, clicks))
    except MemoryError:
        raise UsageError(f"{args.photo}: memory does not suffice for its {image.shape[1]}x"
                         f"{image.shape[0]} pixels; make it smaller") from None
    for remark in remarks:
        print(f"{args.prog}: note: {remark.message}", file=sys.stderr)
    print(f"{printable(str(out))}: {kind}, {image.shape[1]}x{image.shape[0]}, object "
          f"{100 * mask.mean():.1f} % of the photograph, {milliseconds:.0f} ms")
    return 0


def choose_output(photo: Path, out: Path | None, kind: str | None) -> tuple[Path, str]:
    """Return where to write and what.

    Args:
      photo: the photograph's path.
      out: the path asked for, or None.
      kind: cutout, mask, overlay, or None for what the name says.
    Raises:
      UsageError: the suffix is unknown or cannot hold the kind, the place is the photograph
        itself, or its folder cannot be written.
    """
    if out is None:
        kind = kind or "cutout"
        out = photo.with_name(f"{photo.stem}_{kind}{DEFAULT_SUFFIX[kind]}")
    suffix = out.suffix.lower()
    if not suffix or not cv2.haveImageWriter(f"image{suffix}"):
        raise UsageError(f"{out}: cannot write images of this kind; name it .png, .jpg or .webp")
    if kind is None:
        kind = ("mask" if out.stem.endswith("_mask") and suffix == ".png"
                else "cutout" if suffix in WITH_ALPHA else "overlay")
    if kind == "cutout" and suffix not in WITH_ALPHA:
        raise UsageError(f"{out}: a cutout needs transparency; name it .png or .webp")
    if out.exists() and photo.exists() and os.path.samefile(out, photo):
        raise UsageError(f"{out} is the photograph itself; name another file with -o")
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    try:
        tempfile.TemporaryFile(dir=folder).close()  # the only sure test of a folder
    except OSError as error:
        raise UsageError(f"cannot write {out}: {folder}: {error.strerror}; "
                         "name another place with -o") from error
    return out, kind


def _picture(kind: str, photograph: Photograph, mask: np.ndarray,
             clicks: Sequence[Click]) -> np.ndarray:
    if kind == "cutout":
        return pictures.cutout(photograph.colours, mask, photograph.alpha)
    if kind == "mask":
        return pictures.mask_picture(mask)
    return pictures.overlay(photograph.image, mask, clicks)


def silence_opencv() -> None:
    """Keep OpenCV's own warnings off standard error: what is wrong is said in one line, by us."""
    if hasattr(cv2, "setLogLevel"):  # OpenCV 4
        cv2.setLogLevel(0)
    else:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; return its exit code: 0 done, 2 bad input."""
    silence_opencv()
    return command(parse_args, run, argv, prog or typed(PROG))


if __name__ == "__main__":
    raise SystemExit(main())
