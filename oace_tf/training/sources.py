"""Sources of training images: folders of COCO format, and files of COCO or LVIS."""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oace_tf.errors import UsageError
from oace_tf.fileio import sha256_file
from oace_tf.samples.coco import CocoDataset, load_coco
from oace_tf.samples.merged_coco import MergedCoco

STREAMED_FROM = 2**26  # bytes: larger files are read through an index on disk
_JOINT = re.compile(r"(?<=\.json)\+")


@dataclass(frozen=True, slots=True)
class Source:
    """Training images that are drawn with one share of the scenes."""

    name: str
    dataset: CocoDataset
    share: float  # of the scenes

    def record(self) -> dict[str, Any]:
        """Return what the weights' record says of the source; no paths, so that data may move."""
        images = self.dataset.images
        sha256 = (list(images.sha256) if isinstance(images, MergedCoco)
                  else sha256_file(self.dataset.path))
        return {"name": self.name, "images": len(images), "share": round(self.share, 4),
                "sha256": sha256[0] if isinstance(sha256, list) and len(sha256) == 1 else sha256,
                "categories": sorted(self.dataset.categories.values())}


def find_sources(folders: list[Path], shares: Mapping[str, float]) -> list[Source]:
    """Find every source in the folders or one level below.

    A source is a file `instances.json` in a folder, named after the folder. Further files
    `instances_X.json` beside it (or instead of it) are sources of their own, named FOLDER_X, and
    only used where `shares` names them: masks proposed by a teacher, for example. A file that is
    named itself is a source, named after the file; several joined by + are one, see
    `samples.merged_coco`.

    Args:
      folders: each a source (`instances.json`, `images/`), a folder of sources, a file `A.json`, or
        files to be joined, `A.json+B.json`.
      shares: share of the scenes by name; sources of one name part it by their images. A source
        without one gets its share of images, unless shares are given at all: then it is left out.
    Raises:
      UsageError: a folder without a source, a share for a source that is not there, no share
        above zero, or a file that is none in COCO format.
    """
    sources: dict[str, list[list[Path]]] = {}
    for folder in folders:
        for name, paths in _sources_in(folder, shares):
            sources.setdefault(name, []).append(paths)
    missing = sorted(set(shares) - set(sources))
    if missing:
        raise UsageError(f"no source named {missing[0]!r} in {', '.join(map(str, folders))}")
    chosen = [(name, paths) for name, lists in sources.items() for paths in lists
              if not shares or shares.get(name, 0.0) > 0.0]
    if not chosen:
        raise UsageError("no source has a share above zero; no scene could be drawn")
    datasets = [_dataset(paths) for _, paths in chosen]
    images = [len(dataset.images) for dataset in datasets]
    of_name: dict[str, int] = {}
    for (name, _), count in zip(chosen, images):
        of_name[name] = of_name.get(name, 0) + count
    weights = [shares[name] * count / max(1, of_name[name]) if name in shares else float(count)
               for (name, _), count in zip(chosen, images)]
    total = sum(weights)
    return [Source(name, dataset, weight / total)
            for (name, _), dataset, weight in zip(chosen, datasets, weights)]


def source_name(path: Path) -> str:
    """Return the name of the source in FOLDER/instances.json or FOLDER/instances_X.json."""
    return path.parent.name + path.stem.removeprefix("instances")


def named_files(given: Path) -> list[Path]:
    """Return the files that `A.json` or `A.json+B.json` names; none for a folder."""
    if given.suffix != ".json" or given.is_dir():
        return []
    return [Path(part) for part in _JOINT.split(str(given))]


def _sources_in(given: Path, shares: Mapping[str, float]) -> list[tuple[str, list[Path]]]:
    files = named_files(given)
    if files:
        return [("+".join(path.stem for path in files), files)]
    here = sorted(given.glob("instances*.json")) or sorted(given.glob("*/instances*.json"))
    here = [path for path in here if path.stem == "instances" or source_name(path) in shares]
    if not here:
        raise UsageError(f"{given}: no instances.json here or one folder below; "
                         "expected data in COCO format")
    return [(source_name(path), [path]) for path in here]


def _dataset(paths: list[Path]) -> CocoDataset:
    """Return images with an object; whole in memory where the file is small."""
    if len(paths) == 1 and (not paths[0].is_file() or paths[0].stat().st_size < STREAMED_FROM):
        dataset = load_coco(paths[0], strict=False)  # as of a large file: a bad mask, an image
        images = tuple(image for image in dataset.images
                       if any(not annotation.iscrowd for annotation in image.annotations))
        if not images:
            raise UsageError(f"{dataset.path}: no image with an object")
        return CocoDataset(dataset.path, images, dataset.categories)
    joined = MergedCoco(paths)
    return CocoDataset(paths[0], joined, joined.categories)
