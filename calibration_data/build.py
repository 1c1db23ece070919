"""List of calibration images (coco.json): id, URL, SHA-256, and taps on their objects.

    OACE_DATA=FOLDER python calibration_data/build.py

reads FOLDER/coco_calibration (images and instances.json as COCO publishes them) and writes
coco.json beside this file. It was run once; the list is committed and the images are not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from oace_tf import fileio
from oace_tf.cli import Parser, required_data_root
from oace_tf.errors import UsageError, guarded
from oace_tf.samples.coco import CocoAnnotation, CocoImage, decode_mask, load_coco, read_coco_image
from oace_tf.samples.taps import KINDS, draw_taps

HOST = "http://images.cocodataset.org"
MIN_SHARE = 0.01  # of the frame: what an object to tap must cover
SEED = 0


def entry(image: CocoImage, split: str, kind: str, rng: np.random.Generator) -> dict[str, Any]:
    """Return one image's entry; its taps are on an object drawn among the large enough ones.

    Args:
      image: with at least one annotation that is no crowd.
      split: `train2017` or `val2017`.
      kind: of the taps, one of `taps.KINDS`.
      rng: where object and taps are drawn from.
    Raises:
      UsageError: the image cannot be read, has another size, or no object.
    """
    read_coco_image(image)
    objects = [a for a in image.annotations if not a.iscrowd]
    if not objects:
        raise UsageError(f"{image.path}: no object to tap; leave it out of the set")
    large = [a for a in objects if a.area >= MIN_SHARE * image.height * image.width]
    chosen: CocoAnnotation = (
        large[int(rng.integers(len(large)))] if large else max(objects, key=lambda a: a.area)
    )
    taps = draw_taps(decode_mask(chosen, image.height, image.width), kind, rng)
    return {
        "id": image.id,
        "url": f"{HOST}/{split}/{image.path.name}",
        "sha256": fileio.sha256_file(image.path),
        "width": image.width,
        "height": image.height,
        "kind": kind,
        "taps": [[tap.x, tap.y, int(tap.positive)] for tap in taps],
    }


def build(folder: Path, seed: int) -> dict[str, Any]:
    """Return the content of coco.json for the images of a folder."""
    instances = folder / "instances.json"
    urls = {record["id"]: record["coco_url"] for record in fileio.read_json(instances)["images"]}
    images = sorted(load_coco(instances).images, key=lambda image: image.id)
    streams = np.random.SeedSequence(seed).spawn(len(images))
    return {
        "seed": seed,
        "images": [
            entry(image, urls[image.id].split("/")[-2], KINDS[place % len(KINDS)],
                  np.random.default_rng(stream))
            for place, (image, stream) in enumerate(zip(images, streams))
        ],
    }


def run(args: argparse.Namespace) -> int:
    """Write coco.json and say how many images it lists."""
    content = build(required_data_root(args.data) / "coco_calibration", args.seed)
    fileio.write_json(args.out, content)
    print(f"{args.out}: {len(content['images'])} images, seed {args.seed}")
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser(
        description="Make the list of calibration images.",
        epilog="example: OACE_DATA=~/data python calibration_data/build.py",
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="holds coco_calibration/")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("coco.json"))
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 2 on bad input."""
    return guarded(lambda: run(parse_args(argv)), "python calibration_data/build.py")


if __name__ == "__main__":
    raise SystemExit(main())
