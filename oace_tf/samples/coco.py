"""Object masks in COCO format (COCO, LVIS, and whatever is written like them), checked first.

pycocotools trusts its input: a run-length code that is too short comes back as uninitialised
memory, masks of different sizes merge into one of 0x0, a far-off polygon takes all memory. So every
record is checked here before a mask is made, and a fault is a `UsageError` with file and record id.
Run lengths are decoded here; pycocotools only fills polygons (its `decode` warns with numpy 2.4).
"""
from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from oace_tf.errors import UsageError, quoted
from oace_tf.fileio import PathLike, read_json
from oace_tf.images import read_photograph
from oace_tf.samples.contradictions import PercentWatch, contradiction, polygon_fault
from oace_tf.samples.photograph import (
    address_of,
    missing_words,
    refuse_one_file,
    warn_turned,
)
from oace_tf.samples.sample import FREQUENCIES

MAX_BYTES = 4 * 2**30  # LVIS' training file has 1.1 GB
MAX_PIXELS = 2**28
MOST_ID = 2**63  # the index keeps ids in 64 bits
_FIRST_CODE, _LAST_CODE = ord("0"), ord("o")  # six bits a character, from "0" on
_HUGE = 1e15  # beyond any coordinate or area; NaN fails the comparison too
_NAME_2014 = re.compile(r"COCO_\w+2014_\d{12}\.jpg")
_LONGEST_NAME, _LONGEST_PATH = 256, 4000  # bytes; file systems have no longer ones
_MAX_GROUP = 7  # characters of one run length; more would not fit into 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoAnnotation:
    """One object or crowd region; `segmentation` is as in the file, and was checked.

    `area` is in px, as in the file, or that of the mask where the file has none. A mask that cannot
    be used has a `fault`, which is raised where it is decoded.
    """

    id: int
    category: str
    iscrowd: bool
    area: float
    segmentation: Any
    fault: str = ""


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One image with the size that its annotations are in; the file itself is not opened yet."""

    id: int
    path: Path
    height: int
    width: int
    annotations: tuple[CocoAnnotation, ...]


@dataclass(frozen=True, slots=True)
class CocoDataset:
    """All images of one file, in its order, with their annotations in its order."""

    path: Path
    images: Sequence[CocoImage]
    categories: Mapping[int, str]
    frequencies: Mapping[str, str] = field(default_factory=dict)  # LVIS: rare, common, frequent


def load_coco(instances_json: PathLike, images_dir: PathLike | None = None,
              strict: bool = True) -> CocoDataset:
    """Return the images and annotations of a COCO file, every record checked.

    Args:
      instances_json: the file; `iscrowd`, `area` and `categories` may be missing, as in LVIS.
      images_dir: the folder of the images; default: `images` beside the file, or as COCO and LVIS
        are published: `val2017` (named by `coco_url`, else by the end of the file's own name)
        beside the file or beside its folder.
      strict: whether a mask that cannot be used is raised here; else it is kept with its fault,
        which is raised when it is decoded, so that one bad mask costs one image.
    Raises:
      UsageError: the file is missing or no strict JSON, lists no image, has an id twice, an
        annotation of an unknown image or category, or a wrong size. Of masks: run lengths that do
        not sum to H*W, a polygon of an odd count or fewer than 6 numbers, a number that is not
        finite, or a mask that contradicts its own area or bbox (`contradictions`).
    """
    path = Path(instances_json)
    folder = None if images_dir is None else Path(images_dir)
    content = read_json(path, MAX_BYTES)
    if not isinstance(content, dict):
        raise UsageError(f"{path} is not a COCO file: expected an object with images, annotations")
    categories, frequencies = read_categories(content, path)
    watch = PercentWatch()
    sizes: dict[int, tuple[Path, int, int]] = {}
    files: dict[Path, _Listed] = {}
    for number, record in enumerate(_records(content, "images", path)):
        where = Where(path, "image", record, number)
        image_id = where.new_id(sizes)
        sizes[image_id] = (image_path(where, folder), *size_hw_of(where))
        watch.picture(sizes[image_id][1:])
        listed = _Listed(image_id, str(file_name(where)), address_of(record), sizes[image_id][0])
        first = files.setdefault(listed.path, listed)
        if first is not listed:
            refuse_one_file(first, listed, str(path))
    if not sizes:
        raise UsageError(f"{path} lists no images; name a file that does")
    annotations: dict[int, list[CocoAnnotation]] = {image_id: [] for image_id in sizes}
    ids: set[int] = set()
    for number, record in enumerate(_records(content, "annotations", path)):
        where = Where(path, "annotation", record, number)
        ids.add(where.new_id(ids))
        image_id = where.integer("image_id")
        if image_id not in sizes:
            raise where.fault(f"image_id {image_id} is not among the images")
        annotations[image_id].append(checked_annotation(where, categories, sizes[image_id][1:],
                                                        strict))
        watch.label(record.get("segmentation"))
    watch.tell(path)
    images = (CocoImage(image_id, file, height, width, tuple(annotations[image_id]))
              for image_id, (file, height, width) in sizes.items())
    return CocoDataset(path, tuple(images), categories, frequencies)


def decode_mask(annotation: CocoAnnotation, height: int, width: int) -> np.ndarray:
    """Return the annotation's mask.

    Args:
      height, width: the size of its image, pixels.
    Returns:
      (H, W) uint8, 0 or 1.
    Raises:
      UsageError: the annotation has a fault, or does not fit that size.
    """
    if annotation.fault:
        raise UsageError(annotation.fault)
    try:
        return _decode(annotation.segmentation, height, width)
    except _Fault as fault:
        raise UsageError(f"annotation {annotation.id}: {fault}") from fault


def read_coco_image(image: CocoImage) -> np.ndarray:
    """Return the photograph, upright, in the size that its annotations are in.

    Labels are in the frame of the upright photograph. Where the file is stored in another one and
    the size cannot tell which was labelled (turned by 180 degrees, mirrored, or square), a warning
    says so.

    Returns:
      (H, W, 3) uint8 RGB.
    Raises:
      UsageError: the file is missing, no image, or of another size than its record says.
    """
    if not image.path.is_file():
        raise UsageError(missing_words(image.path))
    photograph = read_photograph(image.path)
    height, width = photograph.image.shape[:2]
    if (height, width) != (image.height, image.width):
        stored = photograph.is_turned and (width, height) == (image.height, image.width)
        words = ("its labels are in the frame of the stored picture, expected that of the upright "
                 "one: turn the file itself and remove its orientation, or turn the labels"
                 if stored else "replace the image or correct the record")
        raise UsageError(f"{image.path} has {width}x{height} pixels, its record (image {image.id}) "
                         f"says {image.width}x{image.height}; {words}")
    if photograph.is_turned and photograph.image.shape[:2] == photograph.stored_hw:
        warn_turned(image.path)
    return photograph.image


def run_lengths(code: str) -> np.ndarray:
    """Return the run lengths of a compressed COCO code, background first, column by column.

    Args:
      code: five bits a character, low first, the sixth says that more follow, the top bit of the
        last is the sign; from the fourth length on, differences to the last but one.
    Returns:
      (N,) int64.
    Raises:
      ValueError: a character outside "0" to "o", a code cut short, a length that is negative or
        does not fit into 32 bits.
    Source: the format of pycocotools (`rleToString`).
    """
    text = code.encode("ascii") if code.isascii() else b""
    chars = np.frombuffer(text, np.uint8).astype(np.int64)
    if not chars.size or chars.min() < _FIRST_CODE or chars.max() > _LAST_CODE:
        raise _Fault("the run-length code is empty or has a character that is none of it")
    chars -= _FIRST_CODE
    ends = np.flatnonzero(chars & 0x20 == 0)
    starts = np.concatenate([[0], ends + 1])
    if starts[-1] != chars.size:
        raise _Fault("the run-length code is cut short")
    sizes = np.diff(starts)
    if sizes.max() > _MAX_GROUP:
        raise _Fault("a run length does not fit into 32 bits")
    places = np.arange(chars.size) - np.repeat(starts[:-1], sizes)  # within its group
    values = np.add.reduceat((chars & 0x1F) << 5 * places, starts[:-1])
    values -= np.where(chars[ends] & 0x10, np.int64(1) << 5 * sizes, 0)  # negative numbers
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])  # the first length stands alone
    if values.min() < 0 or values.max() >= 2**32:
        raise _Fault("a run length is negative or does not fit into 32 bits")
    return values


@dataclass(frozen=True, slots=True)
class _Listed:
    """What tells one listed image from another; see `photograph`."""

    id: int
    name: str
    address: str
    path: Path


class _Fault(ValueError):
    """What is wrong with one record; whoever knows file and id makes a `UsageError` of it."""


class Where:
    """One record of a COCO file and the words that name it in an error.

    Raises:
      UsageError: the record is no object.
    """

    def __init__(self, path: Path, kind: str, record: Any, number: int) -> None:
        self.path, self.kind, self.record = path, kind, record
        self.name = f"number {number} of the list"
        if not isinstance(record, dict):
            raise self.fault("is no object")
        if "id" in record:
            self.name = quoted(repr(record["id"]), 40)

    def fault(self, text: str) -> UsageError:
        return UsageError(f"{self.path}: {self.kind} {self.name}: {text}; "
                          f"correct or remove that {self.kind}")

    def integer(self, key: str) -> int:
        value = self.record.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fault(f"{key} must be a whole number, got {value!r:.40}")
        if abs(value) >= MOST_ID:
            raise self.fault(f"{key} has more than 64 bits")
        return value

    def text(self, key: str) -> str:
        value = self.record.get(key)
        if not isinstance(value, str) or not value:
            raise self.fault(f"{key} must be a text, got {value!r:.40}")
        return value

    def new_id(self, known: Any) -> int:
        value = self.integer("id")
        if value in known:
            raise self.fault("the id stands twice")
        return value


def _records(content: dict[str, Any], key: str, path: Path, required: bool = True) -> list[Any]:
    records = content.get(key, None if required else [])
    if not isinstance(records, list):
        raise UsageError(f"{path} is not a COCO file: expected a list named {key}")
    return records


def read_categories(content: dict[str, Any], path: Path) -> tuple[dict[int, str], dict[str, str]]:
    """Return the categories' names by id, and LVIS' frequencies by name."""
    names: dict[int, str] = {}
    frequencies = {}
    for number, record in enumerate(_records(content, "categories", path, required=False)):
        where = Where(path, "category", record, number)
        name = names[where.new_id(names)] = where.text("name")
        if "frequency" in record:
            letter = record["frequency"]
            if letter not in tuple(FREQUENCIES):
                raise where.fault(f"frequency must be r, c or f, got {letter!r:.40}")
            frequencies[name] = FREQUENCIES[letter]
    return names, frequencies


def image_path(where: Where, folder: Path | None) -> Path:
    """Return where an image is to be found: in `folder`, else in the first folder that is there."""
    name = file_name(where)
    beside = where.path.parent
    if folder is not None or (beside / "images").is_dir():
        return (folder or beside / "images") / name
    url = where.record.get("coco_url")
    split = PurePosixPath(url).parent.name if isinstance(url, str) else ""
    split = (split if split.isalnum() and len(split) < _LONGEST_NAME
             else where.path.stem.rpartition("_")[2])
    for parent in (beside, beside.parent):
        if (parent / split).is_dir():
            return parent / split / name
    return beside / "images" / name


def file_name(where: Where) -> PurePosixPath:
    """Return the whole relative name of an image's file: any name that a file can have.

    Raises:
      UsageError: it leads out of the folder, or no file can have it.
    """
    url = where.record.get("coco_url")
    if "file_name" not in where.record:  # LVIS v1 names its images only by their address
        name = PurePosixPath(PurePosixPath(where.text("coco_url")).name)
    else:
        name = PurePosixPath(where.text("file_name"))
        if _NAME_2014.fullmatch(str(name)) and isinstance(url, str):
            # LVIS v0.5 gives the names of 2014 to images that lie under those of 2017.
            name = PurePosixPath(PurePosixPath(url).name)
    if name.is_absolute() or ".." in name.parts or not _can_be_named(name):
        raise where.fault(f"{quoted(str(name))!r} is no file name inside the folder of the images")
    return name


def _can_be_named(name: PurePosixPath) -> bool:
    """Return whether a file system can have that name."""
    try:
        parts = [os.fsencode(part) for part in name.parts]
    except UnicodeEncodeError:  # half a character
        return False
    return all(len(part) < _LONGEST_NAME for part in parts) and b"\0" not in b"".join(parts) and (
        len(b"/".join(parts)) < _LONGEST_PATH)


def size_hw_of(where: Where) -> tuple[int, int]:
    """Return height and width of an image's record (raises UsageError)."""
    height, width = where.integer("height"), where.integer("width")
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise where.fault(f"no image has {width}x{height} pixels")
    return height, width


def checked_annotation(where: Where, categories: Mapping[int, str], size_hw: tuple[int, int],
                       strict: bool = True) -> CocoAnnotation:
    """Return the annotation of a record, checked for an image of that size.

    Raises:
      UsageError: the record is broken; unless `strict`, a mask alone is kept with its fault.
    """
    record = where.record
    category_id = where.integer("category_id") if categories else None
    if categories and category_id not in categories:
        raise where.fault(f"category_id {category_id} is not among the categories")
    iscrowd = record.get("iscrowd", 0)
    if iscrowd not in (0, 1):
        raise where.fault(f"iscrowd must be 0 or 1, got {iscrowd!r:.40}")
    area = record.get("area")
    if area is not None and not _all_finite([area]):
        raise where.fault(f"area must be a number, got {area!r:.40}")
    number = where.integer("id")
    category = categories[category_id] if category_id is not None else ""
    segmentation = record.get("segmentation")
    try:
        _check(segmentation, size_hw, area, record.get("bbox"))
        if area is None:
            area = int(_decode(segmentation, *size_hw).sum())
    except _Fault as fault:
        error = where.fault(str(fault))
        if strict:
            raise error from fault
        return CocoAnnotation(id=number, category=category, iscrowd=bool(iscrowd),
                              area=float(area or 0), segmentation=None, fault=str(error))
    return CocoAnnotation(id=number, category=category, iscrowd=bool(iscrowd), area=float(area),
                          segmentation=segmentation)


def _check(segmentation: Any, size_hw: tuple[int, int], area: Any, bbox: Any) -> None:
    counts = None
    if isinstance(segmentation, dict):
        counts = _counts(segmentation, *size_hw)
    else:
        _check_polygons(segmentation, *size_hw)
    if words := contradiction(segmentation, counts, size_hw, area, bbox):
        raise _Fault(words)


def _counts(segmentation: dict[str, Any], height: int, width: int) -> np.ndarray:
    """Return the checked run lengths of a run-length mask, compressed or not."""
    if segmentation.get("size") != [height, width]:
        raise _Fault(f"the mask's size {segmentation.get('size')!r:.40} is not its image's "
                     f"[{height}, {width}]")
    code = segmentation.get("counts")
    if isinstance(code, str):
        counts = run_lengths(code)
    elif isinstance(code, list) and code and all(
            type(n) is int and 0 <= n <= MAX_PIXELS for n in code):
        counts = np.array(code, np.int64)
    else:
        raise _Fault("the run lengths must be a code or a list of whole numbers from 0 on")
    if counts.sum() != height * width:
        raise _Fault(f"the run lengths sum to {counts.sum()}, expected {height * width}")
    return counts


def _check_polygons(polygons: Any, height: int, width: int) -> None:
    if not isinstance(polygons, list) or not polygons:
        raise _Fault("there is no mask: expected polygons or run lengths")
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            count = len(polygon) if isinstance(polygon, list) else "no list of"
            raise _Fault(f"a polygon has {count} numbers, expected an even count of 6 or more")
        if not _all_finite(polygon):
            raise _Fault("a polygon holds something that is not a finite number")
    if words := polygon_fault(polygons, height, width):
        raise _Fault(words)
    far = max(height, width)  # real polygons leave the image by a pixel or so
    for polygon in polygons:
        if min(polygon) < -far or max(polygon) > 2 * far:
            raise _Fault(f"a polygon lies far outside its image of {width}x{height} pixels")


def _all_finite(values: list[Any]) -> bool:
    return all(type(v) in (int, float) and -_HUGE < v < _HUGE for v in values)


def _decode(segmentation: Any, height: int, width: int) -> np.ndarray:
    if isinstance(segmentation, dict):
        counts = _counts(segmentation, height, width)
    else:
        _check_polygons(segmentation, height, width)
        from pycocotools import mask as coding  # only where there are polygons

        filled = coding.merge(coding.frPyObjects(segmentation, height, width))
        counts = run_lengths(filled["counts"].decode("ascii"))
    runs = np.repeat(np.arange(counts.size) % 2 == 1, counts)  # background first, by columns
    return np.ascontiguousarray(runs.view(np.uint8).reshape(width, height).T)
