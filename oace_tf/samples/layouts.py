"""The evaluation sets on disk: which folders, which grey values, and one `Sample` per object.

Known by name are GrabCut, ECSSD and COCO_MVal (an image folder and a mask folder, same stems);
any other set is read from its `instances.json` (COCO format, one sample per object, no crowds).
Listing and reading are apart, so that one unreadable image does not end a run.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.fileio import PathLike, read_gray, read_image
from oace_tf.samples.coco import (
    CocoAnnotation,
    CocoImage,
    decode_mask,
    load_coco,
    read_coco_image,
)

OBJECT, BACKGROUND, IGNORED = 1, 0, -1
INSTANCES = "instances.json"
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a set keeps its images and masks, and which grey values of a mask mean what."""

    images: str
    masks: str
    object_above: int  # a pixel is object when its grey value is above this
    ignored: int | None = None  # this grey value is ignored


LAYOUTS = {  # DESIGN, 6
    "grabcut": Layout("data_GT", "boundary_GT", object_above=128, ignored=128),
    "ecssd": Layout("img", "gt", object_above=127),
    "coco_mval": Layout("img", "gt", object_above=0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One object of one photograph.

    `image` is (H, W, 3) uint8 RGB; `mask` is (H, W) int8: 1 object, 0 background, -1 ignored, with
    at least one object pixel.
    """

    id: str
    image: np.ndarray
    mask: np.ndarray
    dataset: str


@dataclass(frozen=True, slots=True)
class SampleFile:
    """A sample that was listed and not read yet."""

    id: str
    dataset: str
    read: Callable[[], Sample]  # raises UsageError when this one cannot be read


def find_dataset(name: str, root: PathLike | None) -> Path | None:
    """Return the folder ROOT/NAME or ROOT/val/NAME, upper and lower case alike, or None."""
    if root is None:
        return None
    for parent in (Path(root), Path(root) / "val"):
        if parent.is_dir():
            for folder in sorted(parent.iterdir()):
                if folder.name.lower() == name.lower() and folder.is_dir():
                    return folder
    return None


def list_samples(name_or_path: PathLike, root: PathLike | None = None) -> tuple[SampleFile, ...]:
    """Return the samples of a set, in a fixed order, not read yet.

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
        return _list_instances(path, path.resolve().parent.name)
    name = str(name_or_path)
    folder = find_dataset(name, root)
    if folder is None:
        raise UsageError(f"there is no set {name!r} in {root} or in val/ below it; "
                         "name a set that is there, or an instances.json")
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
        SampleFile(stem, dataset,
                   partial(_read_pair, images[stem], masks[stem], layout, dataset))
        for stem in images)


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UsageError(f"the folder {folder} is missing; put the set there as it is published")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _IMAGE_SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                raise UsageError(f"{path} and {found[path.stem].name} are one sample twice; "
                                 "remove one of them")
            found[path.stem] = path
    if not found:
        raise UsageError(f"the folder {folder} holds no images; put the set there")
    return found


def _read_pair(image_path: Path, mask_path: Path, layout: Layout, dataset: str) -> Sample:
    image, grey = read_image(image_path), read_gray(mask_path)
    if image.shape[:2] != grey.shape:
        raise UsageError(f"{mask_path} has {grey.shape[1]}x{grey.shape[0]} pixels, its image "
                         f"{image.shape[1]}x{image.shape[0]}; replace one of them")
    mask = (grey > layout.object_above).astype(np.int8)
    if layout.ignored is not None:
        mask[grey == layout.ignored] = IGNORED
    return _sample(image_path.stem, image, mask, dataset, mask_path)


def _list_instances(path: Path, dataset: str) -> tuple[SampleFile, ...]:
    files = [SampleFile(_object_id(image, annotation), dataset,
                        partial(_read_object, image, annotation, dataset, path))
             for image in load_coco(path).images
             for annotation in image.annotations if not annotation.iscrowd]
    if not files:
        raise UsageError(f"{path} has no object; name a file with annotations")
    return tuple(files)


def _read_object(image: CocoImage, annotation: CocoAnnotation, dataset: str,
                 path: Path) -> Sample:
    mask = decode_mask(annotation, image.height, image.width).astype(np.int8)
    sample_id = _object_id(image, annotation)
    return _sample(sample_id, read_coco_image(image), mask, dataset, path)


def _object_id(image: CocoImage, annotation: CocoAnnotation) -> str:
    return f"{image.path.stem}:{annotation.id}"


def _sample(sample_id: str, image: np.ndarray, mask: np.ndarray, dataset: str,
            mask_path: Path) -> Sample:
    if not (mask == OBJECT).any():
        raise UsageError(f"{mask_path}: the mask of {sample_id} has no object pixel; leave it out")
    return Sample(sample_id, image, mask, dataset)
