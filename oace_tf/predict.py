"""Command: photographs + taps -> cutouts, masks, overlays or polygons, from the .tflite file alone.
"""
from __future__ import annotations

import argparse
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from oace_tf import pictures
from oace_tf.annotations import (
    CATEGORY,
    FORMATS,
    AnnotatedObject,
    AnnotatedPhotograph,
    as_coco,
    as_labelme,
    as_svg,
)
from oace_tf.cli import Parser, command, typed
from oace_tf.clicks import Click, parse_tap
from oace_tf.errors import MissedTapWarning, UsageError, printable, quoted
from oace_tf.fileio import atomic_write, json_bytes
from oace_tf.geometry import BYTE_SCALE
from oace_tf.images import Photograph, read_brightest, read_photograph, write_image
from oace_tf.outputs import KINDS, LABELS, POLYGON, Output, choose_output
from oace_tf.polygons import POINTS, check_precision, polygons_of
from oace_tf.quiet import quiet_libraries
from oace_tf.segmenter import TapSegmenter, taps_of

PROG = "python -m oace_tf.predict"
EXAMPLE = "example: %(prog)s photo.jpg --tap 240,310 -o cutout.png"
_OPTIONS = {"taps": "tap", "background": "background-tap"}  # keyword -> option of another name
# The numbers that each option takes.
_NUMBERS = {"--tap": 2, "--background-tap": 2, "--box": 4, "--extreme": 8, "--drag": 4,
            "--scribble": 1 << 30}
_OBJECT = 128  # of a mask's bytes, 256 p: from here on it is the object
_GREY = 32, 224  # what lies between is no mask's, where it is more than half
_NOUNS = {"cutout": "a cutout", "mask": "a mask", "overlay": "an overlay", LABELS: "labels"}
_ADDRESS = re.compile(r"(?:https?|ftp|file|data):", re.IGNORECASE)
_COORDINATES = re.compile(r"[-+]?[0-9.][-+0-9.,;]*")
_ABOUT = """Cut the tapped object out of a photograph.

The name of --out decides what is written: .png, .webp or .tif a cutout with transparency,
NAME_mask.png a mask, .jpg an overlay, .json a polygon in COCO's form, .svg a polygon as a drawing.
A mask that was written before is corrected with --previous, where the file takes one:
  %(prog)s photo.jpg --tap 240,310 -o photo_mask.png
  %(prog)s photo.jpg --tap 240,310 --background-tap 90,40 --previous photo_mask.png -o cutout.png
Many photographs are taken with --taps FILE.csv, whose first line is photo,x,y,label,object,category
(the last three may be left out): -o FILE.json writes all outlines into one COCO file, -o FOLDER a
file for each object.

Exit codes: 0 done, 1 some of many were left out, 2 bad input."""


def parse_args(argv: Sequence[str] | None, prog: str = PROG) -> argparse.Namespace:
    """Return the arguments; UsageError for wrong ones."""
    parser = Parser(prog=prog, description=_ABOUT, epilog=EXAMPLE,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, nargs="*",
                        help="the photograph; it is turned upright first")
    gesture = parser.add_argument_group("gesture", "in pixels of the upright photograph")
    gesture.add_argument("--tap", action="append", default=[], metavar="X,Y",
                         help="a tap on the object; repeatable")
    gesture.add_argument("--background-tap", action="append", default=[], metavar="X,Y",
                         help="a tap on what is not the object; repeatable")
    gesture.add_argument("--scribble", action="append", default=[], metavar="X,Y,X,Y,...",
                         help="a stroke along the object; repeatable")
    gesture.add_argument("--box", metavar="X0,Y0,X1,Y1", help="two corners of a box around it")
    gesture.add_argument("--extreme", metavar="X,Y,X,Y,X,Y,X,Y",
                         help="its leftmost, rightmost, top and bottom point, in any order")
    gesture.add_argument("--drag", metavar="X0,Y0,X1,Y1",
                         help="from the middle of the object to its nearest edge")
    gesture.add_argument("--previous", type=Path, metavar="MASK.png",
                         help="the mask that was answered before the last tap, as _mask.png holds "
                         "it; the gesture corrects it")
    gesture.add_argument("--taps", type=Path, metavar="FILE.csv",
                         help="the taps of many photographs, in place of all of these")
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--out", type=Path, metavar="FILE",
                        help="where to write; default: beside the photograph, PHOTO_KIND.png")
    output.add_argument("--kind", choices=KINDS, help="what to write; default: by the name of "
                        "--out. labels, with --taps: the objects of a photograph in one picture")
    output.add_argument("--format", choices=tuple(FORMATS),
                        help="of polygons; default: by the name of --out, .json is coco")
    output.add_argument("--points", type=int, metavar="N",
                        help=f"control points of a polygon, at most (default: {POINTS})")
    output.add_argument("--tolerance", type=float, metavar="PX",
                        help="in place of --points: how far a polygon may leave the mask's edge")
    output.add_argument("--category", metavar="NAME",
                        help=f"of polygons whose table names none (default: {CATEGORY})")
    parser.add_argument("--model", type=Path, metavar="FILE",
                        help="a .tflite file; default: the one in the package")
    parser.add_argument("--refine", action=argparse.BooleanOptionalAction, default=False,
                        help="draw the mask's edges along those of the photograph")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.set_defaults(prog=prog)
    return parser.parse_args(_in_one_word(sys.argv[1:] if argv is None else argv))


def run(args: argparse.Namespace) -> int:
    """Read, segment, write; return 0. Everything that can be refused is refused first."""
    words = _words(args)
    check_text(args.category or "", "--category")
    if args.taps is not None:
        from oace_tf.predict_many import predict_many

        if words:
            name = next(iter(words))
            raise UsageError(f"--taps {args.taps} holds the gestures; leave "
                             f"--{_OPTIONS.get(name, name)} out")
        if args.previous is not None:
            raise UsageError(f"--taps {args.taps} holds several gestures, --previous "
                             f"{args.previous} is the mask of one; leave one of them out")
        return predict_many(args)
    if not args.photo:
        raise UsageError("name a photograph; " + EXAMPLE % {"prog": args.prog})
    if len(args.photo) > 1:
        raise UsageError(f"{len(args.photo)} photographs: give the taps of each in a table, --taps "
                         "FILE.csv (its first line: photo,x,y,label)")
    if not set(words) - {"background"}:
        raise UsageError("say which object: at least one --tap X,Y on it, or --box, --scribble, "
                         "--extreme, --drag, or --taps FILE.csv; " + EXAMPLE % {"prog": args.prog})
    if args.kind == LABELS:
        raise UsageError("--kind labels is for several objects: give --taps FILE.csv")
    check_precision(points_of(args), args.tolerance)
    photo = args.photo[0]
    # Not `photo.exists()`, which raises OSError for names as long as those of data: addresses.
    if _ADDRESS.match(str(photo)) and not os.path.exists(photo):
        address = re.sub("(?<!file):/(?!/)", "://", str(photo), count=1)  # a path keeps one of two
        raise UsageError(f"{quoted(address)} is an address; fetch the photograph first and name "
                         "its file")
    if photo.is_dir():
        raise UsageError(f"{photo} is a folder; name a photograph, or take those of a folder with "
                         "--taps FILE.csv")
    output = choose_output(photo, args.out, args.kind, args.format)
    refuse_unused(output, args)
    photograph = read_photograph(photo)
    segmenter = open_segmenter(args)
    asked = segmenter.photograph(photograph)
    height, width = asked.size_hw
    try:
        previous = (None if args.previous is None else
                    _previous(args.previous, asked.size_hw, segmenter))
        start = time.perf_counter()
        with told(args.prog):
            mask = asked.segment(previous=previous, **words)
        milliseconds = 1000 * (time.perf_counter() - start)
        write_output(output, photo, photograph, mask, taps_of(asked.gesture(**words)), args)
    except MemoryError:
        raise UsageError(f"{photo}: memory does not suffice for its {width}x{height} pixels; make "
                         "it smaller") from None
    print(f"{printable(str(output.path))}: {output.kind}, {width}x{height}, object "
          f"{100 * mask.mean():.1f} % of the photograph, {milliseconds:.0f} ms")
    return 0


def points_of(args: argparse.Namespace) -> int:
    """Return how many control points a polygon has at most (raises UsageError)."""
    if args.points is not None and args.tolerance is not None:
        raise UsageError("--tolerance is in place of --points; leave one out")
    return POINTS if args.points is None else int(args.points)


def check_text(text: str, what: str) -> None:
    """Raise UsageError for a text, called `what` in the message, that JSON cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} {quoted(text)} has bytes that are no UTF-8, which JSON cannot "
                         "hold; write it anew") from None


def refuse_unused(output: Output, args: argparse.Namespace) -> None:
    """Raise UsageError for options of polygons where none are written."""
    for name in ("points", "tolerance", "category"):
        if getattr(args, name) is not None and output.kind != POLYGON:
            raise UsageError(f"--{name} is for polygons, {output.path} is to hold "
                             f"{_NOUNS[output.kind]}; leave it out, or name a .json or .svg")


def open_segmenter(args: argparse.Namespace) -> TapSegmenter:
    """Return the segmenter that the arguments ask for, without a word of its runtime."""
    with quiet_libraries():
        return TapSegmenter(args.model, args.threads, refine=args.refine)


def _previous(path: Path, size_hw: tuple[int, int], segmenter: TapSegmenter) -> np.ndarray:
    """Return the mask answered before, (H, W) bool or float16, as `segment` takes it.

    Raises:
      UsageError: the file takes none, or the picture is none of this photograph.
    """
    if not segmenter.model.takes_previous:
        raise UsageError(f"{segmenter.model.path} takes no previous mask; leave --previous {path} "
                         "out, or take a file that does, such as the one in the package")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name the mask's file behind --previous")
    picture, (height, width) = read_photograph(path), size_hw
    remedy = "write one with -o NAME_mask.png and give that"
    if picture.alpha is not None:
        raise UsageError(f"{path} is transparent in parts, as a cutout is, and no mask; {remedy}")
    grey = picture.image[..., 0]
    if not grey.any():  # of 16 bits, it may be, with the values of 8
        grey = read_brightest(path)
    elif not (picture.image == grey[..., None]).all():
        raise UsageError(f"{path} has colours and is no mask, which is white on the object and "
                         f"black elsewhere; {remedy}")
    if grey.shape != size_hw:
        raise UsageError(f"{path} has {grey.shape[1]}x{grey.shape[0]} pixels, the photograph "
                         f"{width}x{height}; give the mask of this photograph at its own size")
    if 0 < grey.max() < _OBJECT:
        raise UsageError(f"{path} is {grey.max()} at its brightest and is no mask, where the "
                         f"object is 255 and the rest 0; {remedy}")
    if np.count_nonzero((grey >= _GREY[0]) & (grey < _GREY[1])) > grey.size / 2:
        raise UsageError(f"{path} is grey in most places, as a photograph is, and no mask, which "
                         f"is 255 on the object and 0 elsewhere; {remedy}")
    if ((grey == 0) | (grey == 255)).all():
        return grey > 0  # as `segment` gave it
    # shares, and no bytes, which may be taken for a mask in the file's own frame
    return grey.astype(np.float16) / np.float16(BYTE_SCALE)


def write_output(output: Output, photo: Path, photograph: Photograph, mask: np.ndarray,
                 taps: Sequence[Click], args: argparse.Namespace) -> None:
    """Write one mask as it is asked for (raises UsageError)."""
    if output.kind == POLYGON:
        outlined = AnnotatedObject(polygons=polygons_of(mask, points_of(args), args.tolerance),
                                   category=args.category or CATEGORY)
        name = os.path.relpath(photo, output.path.parent).replace(os.sep, "/")
        write_polygons(output, AnnotatedPhotograph(
            file_name=name, height=mask.shape[0], width=mask.shape[1], objects=(outlined,)))
        return
    if output.kind == "cutout":
        picture = pictures.cutout(photograph.colours, mask, photograph.alpha)
    elif output.kind == "mask":
        picture = pictures.mask_picture(mask)
    else:
        picture = pictures.overlay(photograph.image, mask, taps)
    write_image(output.path, picture)


def write_polygons(output: Output, photograph: AnnotatedPhotograph) -> None:
    """Write the outlines of one photograph (raises UsageError)."""
    if output.format == "svg":
        atomic_write(output.path, as_svg(photograph).encode())
    else:
        write_compact(output.path, as_labelme(photograph) if output.format == "labelme"
                      else as_coco([photograph]))


def write_compact(path: Path, content: dict[str, Any]) -> None:
    """Write JSON without line breaks: a polygon has many numbers (raises UsageError)."""
    atomic_write(path, json_bytes(path, content, separators=(",", ":")))


@contextmanager
def told(prog: str = "") -> Iterator[list[str]]:
    """Catch where masks do not follow their taps; with `prog`, say so on standard error."""
    remarks: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MissedTapWarning)
        yield remarks
    for warning in caught:
        remarks.append(str(warning.message))
        if prog:
            print(printable(f"{prog}: note: {warning.message}"), file=sys.stderr)


def _words(args: argparse.Namespace) -> dict[str, Any]:
    """Return the gesture as keywords of `TapSegmenter.segment`; none where none is given."""
    words: dict[str, Any] = {
        "taps": [parse_tap(text) for text in args.tap],
        "background": [parse_tap(text, positive=False) for text in args.background_tap],
        "box": _numbers("--box", args.box, 2), "extreme": _numbers("--extreme", args.extreme, 4),
        "drag": _numbers("--drag", args.drag, 2),
        "scribble": [_numbers("--scribble", text, None) for text in args.scribble]}
    if words["box"] is not None:
        words["box"] = [number for pair in words["box"] for number in pair]
    return {name: value for name, value in words.items() if value}


def _numbers(option: str, text: str | None, count: int | None) -> list[tuple[float, float]] | None:
    """Return the points X,Y,X,Y,... of an option; None where it is not given."""
    if text is None:
        return None
    parts = [part for part in re.split(r"[,;\s]+", text.strip()) if part]
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    wanted = None if count is None else 2 * count
    if not numbers or len(numbers) % 2 or wanted not in (None, len(numbers)):
        example = "X,Y,X,Y,..." if count is None else ",".join(["X,Y"] * count)
        raise UsageError(f"{option} is written {example} in pixels, for example "
                         f"{','.join(['240,310', '300,90', '180,20', '260,400'][:count or 3])}; "
                         f"got {quoted(text)!r}")
    return list(zip(numbers[::2], numbers[1::2]))


def _in_one_word(argv: Sequence[str]) -> list[str]:
    """Return the arguments with the numbers of each gesture in one word: `--box=10,20,30,40`.

    So `--tap -5,3`, where argparse would see an option, and `--tap 290 120` are taken too.
    """
    words: list[str] = []
    wanted = 0  # numbers that the last option still takes
    for word in argv:
        if wanted > 0 and _COORDINATES.fullmatch(word):
            joint = "=" if "=" not in words[-1] else "" if words[-1].endswith(",") else ","
            words[-1] += f"{joint}{word}"  # `290, 120` has its comma
            wanted -= len([part for part in re.split("[,;]", word) if part])
            continue
        wanted = _NUMBERS.get(word, 0)
        words.append(word)
    return words


def silence_opencv() -> None:
    """Keep OpenCV's own warnings off standard error: what is wrong is said in one line, by us."""
    if hasattr(cv2, "setLogLevel"):  # OpenCV 4
        cv2.setLogLevel(0)
    else:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; return its exit code: 0 done, 1 some were left out, 2 bad input."""
    silence_opencv()
    return command(parse_args, run, argv, prog or typed(PROG))


if __name__ == "__main__":
    raise SystemExit(main())
