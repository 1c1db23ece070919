"""Writes a COCO file of many images, indexes it, reads some; prints the peak of memory as JSON.

usage: python tests/oace_tf/samples/index_memory.py FILE IMAGES

The file is written by a child process, so that only reading counts.
"""
from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[3])

READ = 500  # images, at random


def write(path: Path, images: int) -> None:
    """Write a file of `images` images with two polygons each, images last, as LVIS has them."""
    rng = random.Random(0)
    with path.open("w") as file:
        file.write('{"info": {"year": 2017}, "annotations": [')
        polygons = []
        for _ in range(64):
            x, y = rng.uniform(0, 400), rng.uniform(0, 300)
            polygons.append(json.dumps([[round(c + rng.uniform(0, 90), 2) for _ in range(6)
                                         for c in (x, y)]]))
        for number in range(2 * images):
            file.write(f'{", " if number else ""}{{"id": {number}, "image_id": {number // 2}, '
                       '"category_id": 1, '
                       f'"segmentation": {polygons[number % 64]}}}')
        file.write('], "images": [')
        for number in range(images):
            file.write(f'{", " if number else ""}{{"id": {number}, "file_name": '
                       f'"{number:012d}.jpg", "height": 480, "width": 640}}')
        file.write('], "categories": [{"id": 1, "name": "thing"}]}')


def main(name: str, count: str, part: str = "read") -> int:
    """Write in a child process, or index and read."""
    path = Path(name)
    if part == "write":
        write(path, int(count))
        return 0
    subprocess.run([sys.executable, __file__, name, count, "write"], check=True)
    from oace_tf.samples.merged_coco import MergedCoco

    images = MergedCoco([path])
    rng = random.Random(1)
    objects = sum(len(images[rng.randrange(len(images))].annotations) for _ in range(READ))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
    print(json.dumps({"images": len(images), "read": objects // 2, "peak_mib": peak}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
