"""The evaluation sets on disk: which folders, which grey values, and one `Sample` per object.

Known by name are GrabCut, Berkeley, DAVIS, COCO_MVal and ECSSD (an image folder and a mask folder,
same stems) and SBD, each as published by RITM; any other set is read from its `instances.json`
(COCO or LVIS format, one sample per object, no crowds). Listing and reading are apart, so that one
unreadable image does not end a run.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from oace_tf.clicker import IGNORED
from oace_tf.errors import UsageError
from oace_tf.fileio import PathLike
from oace_tf.images import SUFFIXES, read_brightest
from oace_tf.samples import sbd
from oace_tf.samples.coco import (
    CocoAnnotation,
    CocoImage,
    decode_mask,
    load_coco,
    read_coco_image,
)
from oace_tf.samples.photograph import read_labelled
from oace_tf.samples.sample import Sample, SampleFile, checked_sample

INSTANCES = "instances.json"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a set keeps its images and masks, and which grey values of a mask mean what.

    The grey value of a coloured mask is the greatest of its channels, as in RITM.
    """

    images: str
    masks: str
    object_above: int  # a pixel is object when its grey value is above this
    ignored: int | None = None  # this grey value is ignored
    category: str | None = None  # group 1 of this pattern, found in the stem, is the category


LAYOUTS = {
    "grabcut": Layout("data_GT", "boundary_GT", object_above=128, ignored=128),
    "berkeley": Layout("images", "masks", object_above=128, ignored=128),
    "davis": Layout("img", "gt", object_above=0),
    "coco_mval": Layout("img", "gt", object_above=0, category=r"^(.+?)\d\d_\d{12}$"),
    "ecssd": Layout("img", "gt", object_above=127),
}
KNOWN = ("grabcut", "berkeley", "davis", "sbd", "coco_mval", "ecssd")
PUBLISHED_SIZE = {"grabcut": 50, "berkeley": 100, "davis": 345, "sbd": 6671, "coco_mval": 800,
                  "ecssd": 1000}  # objects


def find_dataset(name: str, root: PathLike | None) -> Path | None:
    """Return the folder ROOT/NAME or ROOT/val/NAME, upper and lower case alike, or None.

    Raises:
      UsageError: several differ in their case alone, and none is called as asked for.
    """
    if root is None:
        return None
    for parent in (Path(root), Path(root) / "val"):
        if not parent.is_dir():
            continue
        folders = [folder for folder in sorted(parent.iterdir())
                   if folder.name.lower() == name.lower() and folder.is_dir()]
        exact = [folder for folder in folders if folder.name == name]
        if len(folders) > 1 and not exact:
            raise UsageError(f"{' and '.join(map(str, folders))} are both {name!r}; name one of "
                             "them as it is written, or rename it")
        if folders:
            return (exact or folders)[0]
    return None


@dataclass(frozen=True, slots=True)
class Found:
    """A set that may be evaluated: where it is, its objects, or what is wrong with it."""

    name: str
    folder: Path | None  # None where it is not there
    objects: int = 0
    fault: str = ""


def available(root: PathLike | None) -> list[Found]:
    """Return the sets known by name, found or not, then every other folder with an instances.json.

    Args:
      root: the folder of the sets; it and `val` below it are searched.
    """
    names = list(KNOWN)
    for parent in () if root is None else (Path(root), Path(root) / "val"):
        names += sorted(path.parent.name.lower() for path in parent.glob(f"*/{INSTANCES}"))
    sets = []
    for name in dict.fromkeys(names):
        folder = None
        try:
            folder = find_dataset(name, root)
            count = len(list_samples(name, root)) if folder else 0
            sets.append(Found(name, folder, count))
        except UsageError as error:
            sets.append(Found(name, folder, fault=str(error)))
    return sets


def list_samples(name_or_path: PathLike, root: PathLike | None = None) -> tuple[SampleFile, ...]:
    """Return the samples of a set, in a fixed order, not read yet.

    A mask that cannot be used is a sample too: reading it says what is wrong with it.

    Args:
      name_or_path: the name of a set below `root`, or the path of a COCO file (`*.json`), whose
        images are in `images` beside it.
      root: the folder of the sets.
    Raises:
      UsageError: the set is not there, has no samples, an image without a mask, or a broken
        `instances.json`.
    """
    path = Path(name_or_path)
    if path.suffix == ".json":
        own_name = path.name != INSTANCES  # such as annotations/instances_val2017.json
        return _list_instances(path, path.stem if own_name else path.resolve().parent.name)
    name = str(name_or_path)
    folder = find_dataset(name, root)
    if folder is None:
        if root is None:
            raise UsageError(f"there is no set {name!r}: no folder of sets is named; give --data "
                             "DIR, set OACE_DATA, or name an instances.json")
        raise UsageError(f"there is no set {name!r} in {root} or in val/ below it; "
                         "name a set that is there, or an instances.json")
    if name.lower() == sbd.DATASET:
        return sbd.list_sbd(folder)
    layout = LAYOUTS.get(name.lower())
    if layout is not None:
        return _list_folders(folder, layout, name.lower())
    return _list_instances(folder / INSTANCES, name.lower())


def iter_samples(name_or_path: PathLike, root: PathLike | None = None,
                 on_unreadable: Callable[[UsageError], None] | None = None) -> Iterator[Sample]:
    """Yield the samples of a set, one in memory at a time.

    Args:
      name_or_path, root: as in `list_samples`.
      on_unreadable: told of a sample that cannot be read, which is then left out; without it the
        error is raised.
    Raises:
      UsageError: as in `list_samples`, or a sample that cannot be read.
    """
    for file in list_samples(name_or_path, root):
        try:
            sample = file.read()
        except UsageError as error:
            if on_unreadable is None:
                raise
            on_unreadable(error)
            continue
        yield sample


def _list_folders(folder: Path, layout: Layout, dataset: str) -> tuple[SampleFile, ...]:
    images = _by_stem(folder / layout.images)
    masks = _by_stem(folder / layout.masks)
    for stem in images.keys() - masks.keys():
        raise UsageError(f"{images[stem]} has no mask in {folder / layout.masks}; add or remove it")
    return tuple(
        SampleFile(id=stem, dataset=dataset,
                   read=partial(_read_pair, images[stem], masks[stem], layout, dataset), group=stem,
                   category=_category(stem, layout), files=(images[stem], masks[stem]))
        for stem in images)


def _category(stem: str, layout: Layout) -> str:
    match = None if layout.category is None else re.search(layout.category, stem)
    return "" if match is None else match[1]


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UsageError(f"the folder {folder} is missing; put the set there as it is published")
    by_stem: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            if path.stem in by_stem:
                raise UsageError(f"{path} and {by_stem[path.stem].name} are one sample twice; "
                                 "remove one of them")
            by_stem[path.stem] = path
    if not by_stem:
        raise UsageError(f"the folder {folder} holds no images; put the set there")
    return by_stem


def _read_pair(image_path: Path, mask_path: Path, layout: Layout, dataset: str) -> Sample:
    image, grey = read_labelled(image_path), read_brightest(mask_path)
    mask = (grey > layout.object_above).astype(np.int8)
    if layout.ignored is not None:
        mask[grey == layout.ignored] = IGNORED
    return checked_sample(image_path.stem, image, mask, dataset, mask_path, image_path.stem)


def _list_instances(path: Path, dataset: str) -> tuple[SampleFile, ...]:
    content = load_coco(path, strict=False)
    files = [SampleFile(id=_object_id(image, annotation), dataset=dataset,
                        read=partial(_read_object, image.path, image.height, image.width, image.id,
                                     annotation, dataset, path),
                        group=str(image.id), category=annotation.category,
                        frequency=content.frequencies.get(annotation.category, ""),
                        files=(image.path, path))
             for image in content.images
             for annotation in image.annotations if not annotation.iscrowd]
    if not files:
        raise UsageError(f"{path} has no object; name a file with annotations")
    for folder in sorted({image.path.parent for image in content.images}):
        if not folder.is_dir():
            raise UsageError(f"the folder {folder} is missing; put the images of {path} there")
    return tuple(files)


def _read_object(image_path: Path, height: int, width: int, image_id: int,
                 annotation: CocoAnnotation, dataset: str, path: Path) -> Sample:
    image = CocoImage(image_id, image_path, height, width, ())  # a task carries one object only
    mask = decode_mask(annotation, height, width).astype(np.int8)
    return checked_sample(_object_id(image, annotation), _last_image(image, _changed(image_path)),
                          mask, dataset, path, str(image_id))


@lru_cache(maxsize=1)  # the objects of one photograph are read one after the other
def _last_image(image: CocoImage, changed_ns: int) -> np.ndarray:
    return read_coco_image(image)


def _changed(path: Path) -> int:
    """Return when a file was changed; 0 where it is not there, so that reading says so."""
    return path.stat().st_mtime_ns if path.is_file() else 0


def _object_id(image: CocoImage, annotation: CocoAnnotation) -> str:
    return f"{image.path.stem}:{annotation.id}"
