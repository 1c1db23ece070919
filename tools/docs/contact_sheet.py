"""Draw everyday photographs before and after: two .tflite files on the taps of docs/everyday.json.

Crumbs (pieces and holes that the object does not have) are counted on all of the list, and printed;
the first 24 are drawn, a pair of pictures each: what is not the object dimmed, outline and tap on
top, IoU with the annotated object and crumbs below.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf import pictures
from oace_tf.cli import Parser, data_root
from oace_tf.clicks import Click
from oace_tf.errors import UsageError, guarded
from oace_tf.evaluation.crumbs import Crumbs, count_crumbs
from oace_tf.evaluation.metrics import iou
from oace_tf.fileio import read_json, sha256_file
from oace_tf.images import read_image
from oace_tf.samples.layouts import list_samples
from oace_tf.segmenter import TapSegmenter
from tools.docs.picture import write_recorded

ROOT = Path(__file__).resolve().parents[2]
LIST, SAMPLES, OUT = ROOT / "docs" / "everyday.json", "samples", ROOT / "docs/images/everyday.jpg"
DRAWN, COLUMNS = 24, 3
WIDTH, HEIGHT, TEXT, GAP, MARGIN = 300, 225, 34, 6, 18  # px of a picture, its text, the spaces
PAPER, INK, FAINT, BAD, GOOD = ((250, 250, 248), (35, 35, 35), (120, 120, 120), (190, 60, 30),
                                (0, 120, 60))
_SMOOTH = 3  # text is drawn so many times as large and made smaller


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Photograph:
    """One of the list: image (H, W, 3) uint8 RGB, taps, and the object's mask where it has one."""

    name: str
    image: np.ndarray
    taps: tuple[Click, ...]
    mask: np.ndarray | None  # (H, W) integer: 1 object, 0 background, -1 ignored


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cutout:
    """What a file made of a photograph: mask (H, W) bool, its crumbs, its IoU if that is known."""

    mask: np.ndarray
    crumbs: Crumbs
    iou: float | None


def read_list(path: Path, root: Path | None) -> list[Photograph]:
    """Return the photographs of a list, [{set, id, taps: [[x, y], ...]}, ...], in its order.

    Args:
      path: the list; photographs of the set `samples` are those of docs/samples.
      root: where the labelled sets lie.
    Raises:
      UsageError: the list, a set or a photograph cannot be read, or the list is of another form.
    """
    try:
        rows = [(str(row["set"]), str(row["id"]),
                 tuple(Click(float(x), float(y)) for x, y in row["taps"]))
                for row in read_json(path)]
    except (TypeError, ValueError, KeyError) as error:
        raise UsageError(f"{path}: no list of photographs with set, id and taps") from error
    files = {(name, file.id): file for name in dict.fromkeys(row[0] for row in rows)
             if name != SAMPLES for file in list_samples(name, root)}
    photographs = []
    for name, key, taps in rows:
        mask = None
        if name == SAMPLES:
            image = read_image(path.parent / SAMPLES / key)
        elif (name, key) not in files:
            raise UsageError(f"{path}: {name} has no {key}; correct the list or fetch the set")
        else:
            sample = files[name, key].read()
            image, mask = sample.image, sample.mask
        photographs.append(Photograph(name=key, image=image, taps=taps, mask=mask))
    return photographs


def cut_out(segmenter: TapSegmenter, photograph: Photograph) -> Cutout:
    """Return what a file makes of a photograph's taps."""
    mask = segmenter.segment(photograph.image, photograph.taps)
    truth = photograph.mask
    return Cutout(mask=mask, crumbs=count_crumbs(mask, truth),
                  iou=None if truth is None else iou(mask, truth))


def figures(cutouts: Sequence[Cutout]) -> dict[str, Any]:
    """Return n, share of masks with any crumb in percent, pieces and holes a mask, mean IoU."""
    known = [cutout.iou for cutout in cutouts if cutout.iou is not None]
    return {"n": len(cutouts),
            "with_crumbs": 100 * float(np.mean([cutout.crumbs.any for cutout in cutouts])),
            "pieces": float(np.mean([cutout.crumbs.pieces for cutout in cutouts])),
            "holes": float(np.mean([cutout.crumbs.holes for cutout in cutouts])),
            "miou": 100 * float(np.mean(known)) if known else None}


def draw_sheet(photographs: Sequence[Photograph], before: Sequence[Cutout],
               after: Sequence[Cutout], headings: tuple[str, str]) -> np.ndarray:
    """Return the sheet, (H, W, 3) uint8 RGB: `COLUMNS` pairs a row, in the order of the list."""
    pairs = [draw_pair(*one) for one in zip(photographs, before, after)]
    high, wide = pairs[0].shape[:2]
    rows = -(-len(pairs) // COLUMNS)
    top = 2 * TEXT
    sheet = np.full((top + rows * (high + MARGIN), COLUMNS * (wide + MARGIN) + MARGIN, 3), PAPER,
                    np.uint8)
    for row, (text, colour) in enumerate(zip(headings, (FAINT, INK))):
        write(sheet, text, MARGIN, (row + 1) * TEXT - 8, colour, 0.62)
    for number, pair in enumerate(pairs):
        y, x = top + number // COLUMNS * (high + MARGIN), number % COLUMNS * (wide + MARGIN)
        sheet[y:y + high, x + MARGIN:x + MARGIN + wide] = pair
    return sheet


def draw_pair(photograph: Photograph, before: Cutout, after: Cutout) -> np.ndarray:
    """Return one photograph's two pictures side by side, with a line of figures below each."""
    pair = np.full((HEIGHT + TEXT, 2 * WIDTH + GAP, 3), PAPER, np.uint8)
    for number, cutout in enumerate((before, after)):
        x = number * (WIDTH + GAP)
        picture = _fitted(photograph, cutout.mask)
        high, wide = picture.shape[:2]
        left = x + (WIDTH - wide) // 2
        pair[HEIGHT - high:HEIGHT, left:left + wide] = picture
        quality = "" if cutout.iou is None else f"IoU {100 * cutout.iou:.0f}"
        end = write(pair, quality, x + 2, HEIGHT + 22, INK, 0.5)
        write(pair, crumbs_text(cutout.crumbs), end + (14 if quality else 0), HEIGHT + 22,
              BAD if cutout.crumbs.any else GOOD, 0.5)
    return pair


def crumbs_text(crumbs: Crumbs) -> str:
    """Return how many crumbs there are, in words."""
    parts = [f"{count} {word}{'s' if count > 1 else ''}"
             for count, word in ((crumbs.pieces, "piece"), (crumbs.holes, "hole")) if count]
    return ", ".join(parts) or "no crumbs"


def write(picture: np.ndarray, text: str, x: int, y: int, colour: tuple[int, int, int],
          size: float) -> int:
    """Write text from (x, y) on, the baseline's left end; return where it ends."""
    if not text:
        return x
    scale, thick = size * _SMOOTH, max(1, round(2 * size * _SMOOTH))
    (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    large = np.zeros(((high + below + thick) // _SMOOTH * _SMOOTH + _SMOOTH,
                      wide // _SMOOTH * _SMOOTH + _SMOOTH), np.uint8)
    cv2.putText(large, text, (0, high + thick // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick,
                cv2.LINE_AA)
    small = cv2.resize(large, None, fx=1 / _SMOOTH, fy=1 / _SMOOTH, interpolation=cv2.INTER_AREA)
    top = max(0, y - high // _SMOOTH)
    part = picture[top:top + small.shape[0], x:x + small.shape[1]]
    share = small[:part.shape[0], :part.shape[1], None].astype(np.float32) / 255
    part[:] = np.rint(part * (1 - share) + np.array(colour, np.float32) * share)
    return x + small.shape[1]


def _fitted(photograph: Photograph, mask: np.ndarray) -> np.ndarray:
    """Return the overlay of a mask, at most WIDTH x HEIGHT px, as sharp as that allows."""
    high, wide = mask.shape
    scale = min(WIDTH / wide, HEIGHT / high)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = cv2.resize(photograph.image, size, interpolation=method)
    soft = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    taps = [Click((tap.x + 0.5) * scale - 0.5, (tap.y + 0.5) * scale - 0.5, tap.positive)
            for tap in photograph.taps]
    return pictures.overlay(image, soft >= 0.5, taps)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  OACE_DATA=data python tools/docs/contact_sheet.py old.tflite "
        "oace_tf/weights/oace_int8.tflite")
    add = parser.add_argument
    add("before", type=Path, help="a .tflite file")
    add("after", type=Path, help="another, or the same with another --tidy")
    add("--out", type=Path, default=OUT, metavar="FILE", help="the sheet; its record goes beside "
        "it, as .json (default: docs/images/everyday.jpg)")
    add("--list", type=Path, default=LIST, metavar="FILE", help="default: docs/everyday.json")
    add("--count", type=int, default=DRAWN, metavar="N",
        help="photographs that are drawn, from the head of the list (default: %(default)s)")
    add("--tidy", choices=("none", "after", "both"), default="after", help="whose masks are in one "
        "piece without small holes, as the library gives them (default: %(default)s)")
    add("--data", type=Path, metavar="DIR", help="the sets (default: what OACE_DATA names)")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Count, draw and write; return 0."""
    root = data_root(args.data)
    if args.count < 1:
        raise UsageError(f"--count is {args.count}; it must be at least 1")
    photographs = read_list(args.list, root)
    record: dict[str, Any] = {}
    cutouts: dict[str, list[Cutout]] = {}
    headings = []
    for when, path, tidy in (("before", args.before, args.tidy == "both"),
                             ("after", args.after, args.tidy != "none")):
        segmenter = TapSegmenter(path, tidy=tidy)
        cutouts[when] = [cut_out(segmenter, photograph) for photograph in photographs]
        summary = figures(cutouts[when])
        record[when] = {"file": path.name, "sha256": sha256_file(path), "tidy": tidy, **summary}
        quality = "" if summary["miou"] is None else f", mean IoU {summary['miou']:.1f}"
        headings.append(f"{when}: {path.name}{', tidy' if tidy else ''}: crumbs in "
                        f"{summary['with_crumbs']:.0f} % of {summary['n']} masks, "
                        f"{summary['pieces']:.2f} pieces and {summary['holes']:.2f} holes a mask"
                        f"{quality}")
    print("\n".join(headings))
    drawn = photographs[:args.count]
    sheet = draw_sheet(drawn, cutouts["before"], cutouts["after"], (headings[0], headings[1]))
    record["photographs"] = [
        {"id": photograph.name, **{when: _row(cutouts[when][k]) for when in cutouts}}
        for k, photograph in enumerate(photographs)]
    write_recorded(args.out, sheet, record)
    print(args.out)
    return 0


def _row(cutout: Cutout) -> dict[str, Any]:
    return {"iou": None if cutout.iou is None else round(cutout.iou, 4),
            "pieces": cutout.crumbs.pieces, "holes": cutout.crumbs.holes}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 2 bad input."""
    return guarded(lambda: run(parse_args(argv)), "tools/docs/contact_sheet.py")


if __name__ == "__main__":
    raise SystemExit(main())
