"""Where calibration photographs and their taps come from; the first source that can be had wins.

1. a folder (`--images`): with an instances.json, taps on its objects; else taps at random;
2. the images of calibration_data/coco.json, in DATA/coco_calibration;
3. the same, downloaded from COCO's public host and checked, kept in an ignored cache.

Sources 2 and 3 hold the same bytes and taps, so they give the same file. Where none can be had
(None), statistics recorded from these images take their place: see `statistics_path`.
"""

from __future__ import annotations

import concurrent.futures
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from oace_tf import fileio
from oace_tf.clicks import Click, pack_points
from oace_tf.errors import UsageError, quoted
from oace_tf.geometry import Frame, normalise
from oace_tf.images import SUFFIXES, read_image
from oace_tf.samples.coco import CocoImage, decode_mask, load_coco, read_coco_image
from oace_tf.samples.taps import KINDS, draw_taps, random_taps

LIST = Path(__file__).resolve().parents[2] / "calibration_data" / "coco.json"
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "coco_calibration"
COUNT = 128  # images at most
HOST = "http://images.cocodataset.org"
_TIMEOUT_S = 20
_DOWNLOADS = 8  # at a time
_MIN_SHARE = 0.01  # of the frame: what an object to tap should cover
_FLAT = 0.6  # share of pixels that equal their neighbour; see `is_flat`
_NAMED = 3  # images that a note names
_ENTRY_KEYS = frozenset({"id", "url", "sha256", "width", "height", "kind", "taps"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Photograph:
    """One calibration image and its taps, in pixels of the upright photograph."""

    path: Path
    sha256: str
    clicks: tuple[Click, ...]
    kind: str = ""  # of the taps, see `samples.taps.KINDS`
    on_object: bool = True  # whether the taps lie on a labelled object, or at random
    flat: bool = False  # whether it looks like a drawing or a screenshot


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """The photographs of one source, and what the report says of it."""

    source: str  # "folder", "local COCO images" or "downloaded COCO images"
    taps: str  # where the taps come from
    photographs: tuple[Photograph, ...]
    skipped: tuple[str, ...] = ()  # file and reason of what could not be read
    notes: tuple[str, ...] = field(default=())  # why earlier sources were passed over

    @property
    def sha256(self) -> str:
        """Return the SHA-256 over the images' SHA-256 and taps, in order."""
        content = [
            [photo.sha256, [[c.x, c.y, int(c.positive)] for c in photo.clicks]]
            for photo in self.photographs
        ]
        return fileio.sha256_bytes(json.dumps(content, separators=(",", ":")).encode())

    def summary(self) -> dict[str, Any]:
        """Return the report's entry on the calibration."""
        on_objects = sum(photo.on_object for photo in self.photographs)
        return {
            "images": len(self.photographs),
            "source": self.source,
            "sha256": self.sha256,
            "taps": self.taps,
            "tapped_on_objects": on_objects,
            "tapped_at_random": len(self.photographs) - on_objects,
            "skipped": list(self.skipped),
            "notes": list(self.notes),
        }


def choose(
    images: Path | None, data: Path | None, seed: int, *, listing: Path = LIST,
    cache: Path = CACHE, host: str = HOST,
) -> tuple[CalibrationSet | None, tuple[str, ...]]:
    """Return the calibration images of the first source that has them, and notes on the others.

    Args:
      images: folder named by the user, or None; if named, it is the only source.
      data: folder of data sets, or None.
      seed: of drawn objects and taps, and of the choice among more than `COUNT` images.
      listing: coco.json.
      cache: folder for downloads.
      host: scheme and host that stand in for those of the list's URLs.
    Returns:
      (set, notes); the set is None where no image can be had.
    Raises:
      UsageError: `images` is named and holds no readable image, or a broken instances.json.
    """
    if images is not None:
        return from_folder(images, seed), ()
    notes = []
    entries = read_list(listing)
    local = None if data is None else data / "coco_calibration" / "images"
    if local is None:
        notes.append("OACE_DATA names no folder")
    else:
        try:
            return _listed(entries, local, "local COCO images"), tuple(notes)
        except UsageError as error:
            notes.append(str(error))
    try:
        download(entries, cache, host)
        return _listed(entries, cache, "downloaded COCO images"), tuple(notes)
    except UsageError as error:
        notes.append(str(error))
    return None, tuple(notes)


def from_folder(folder: Path, seed: int) -> CalibrationSet:
    """Return up to `COUNT` images of a folder, chosen by the seed if there are more.

    With an instances.json (images in `images` beside it, or in the folder itself) the taps lie on
    its objects; plain photographs are tapped at random.

    Raises:
      UsageError: no such folder, no readable image in it, or a broken instances.json.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name one that holds photographs")
    instances = folder / "instances.json"
    inner = folder / "images"
    places = inner if inner.is_dir() else folder
    records: list[CocoImage | Path] = []
    if instances.is_file():
        listed: list[CocoImage] = list(load_coco(instances, places, strict=False).images)
        listed.sort(key=lambda image: image.path.name)
        records += listed
    else:
        records += sorted(path for path in places.iterdir() if path.suffix.lower() in SUFFIXES)
    if not records:
        raise UsageError(f"{folder} holds no photograph ({', '.join(SUFFIXES)}); add some")
    rng = np.random.default_rng(seed)
    if len(records) > COUNT:
        records = [records[k] for k in sorted(rng.permutation(len(records))[:COUNT])]
    photographs, skipped = [], []
    for index, record in enumerate(records):
        try:
            photographs.append(_tapped(record, KINDS[index % len(KINDS)], rng))
        except UsageError as error:
            _log.warning("skipped: %s", error)
            skipped.append(str(error))
    if not photographs:
        raise UsageError(f"{folder}: none of the {len(records)} images can be read "
                         f"({skipped[0]}); replace them")
    _log.info("calibrating on %d images of %s", len(photographs), folder)
    return CalibrationSet(f"folder {folder.name}", _taps_in_words(photographs, instances.is_file()),
                          tuple(photographs), tuple(skipped), _drawn_in_words(photographs))


def read_list(path: Path) -> list[dict[str, Any]]:
    """Return the entries of coco.json.

    Raises:
      UsageError: the file is missing or not of this form.
    """
    content = fileio.read_json(path)
    try:
        entries = list(content["images"])
        for entry in entries:
            name = _name(entry)
            if set(entry) != _ENTRY_KEYS or "/" in name or not name or name.startswith("."):
                raise ValueError(f"entry {entry.get('id')!r} is malformed")
            _clicks(entry)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"{path}: not a list of calibration images ({quoted(str(error))}); "
                         "make it anew with calibration_data/build.py") from error
    if not entries:
        raise UsageError(f"{path}: lists no image")
    return entries


def download(entries: Sequence[dict[str, Any]], cache: Path, host: str = HOST) -> None:
    """Bring the listed images into the cache, each checked by its SHA-256; what is there stays.

    The first one goes alone, so that a machine without network is found out at once.

    Raises:
      UsageError: an image cannot be had or has other bytes than listed; says which and why.
    """
    import pooch
    import requests

    registry = {_name(entry): f"sha256:{entry['sha256']}" for entry in entries}
    urls = {_name(entry): host.rstrip("/") + urlsplit(entry["url"]).path for entry in entries}
    store = pooch.create(cache, base_url=host, registry=registry, urls=urls)
    fetcher = pooch.HTTPDownloader(timeout=_TIMEOUT_S)
    pooch.get_logger().setLevel(logging.WARNING)

    def fetch(name: str) -> None:
        try:
            store.fetch(name, downloader=fetcher)
        except requests.exceptions.RequestException as error:
            raise UsageError(f"cannot download {urls[name]}: {_reason(error)}") from error
        except ValueError as error:  # pooch's word for other bytes than listed
            raise UsageError(f"{urls[name]} has not the listed SHA-256; "
                             "it was damaged on the way or changed") from error
        except OSError as error:
            raise UsageError(f"cannot write to {cache}: {error}") from error

    names = list(registry)
    fetch(names[0])
    with concurrent.futures.ThreadPoolExecutor(_DOWNLOADS) as pool:
        try:
            list(pool.map(fetch, names[1:]))
        except UsageError:
            pool.shutdown(cancel_futures=True)
            raise


def feeds(
    photographs: Sequence[Photograph], size: int, max_points: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yield what the float file is fed with for each photograph.

    Args:
      photographs: what `choose` gave.
      size: side of the network's frame, pixels.
      max_points: N; further taps are left out.
    Returns:
      {"image": (1, S, S, 3) float32 in [-1, 1), "points": (1, N, 3) float32}.
    """
    for photo in photographs:
        image = read_image(photo.path)
        frame = Frame(image.shape[0], image.shape[1], size)
        clicks = [frame.click(click) for click in photo.clicks[:max_points]]
        yield {
            "image": normalise(frame.image(image))[None],
            "points": pack_points(clicks, max_points)[None],
        }


def statistics_path(weights_sha256: str, folder: Path = LIST.parent) -> Path:
    """Return where the statistics recorded for these weights lie."""
    return folder / f"statistics-{weights_sha256[:12]}.json"


def _listed(entries: Sequence[dict[str, Any]], folder: Path, source: str) -> CalibrationSet:
    photographs = []
    for entry in entries:
        path = folder / _name(entry)
        sha256 = fileio.sha256_file(path)
        if sha256 != entry["sha256"]:
            raise UsageError(f"{path} has not the SHA-256 that {LIST.name} lists")
        photographs.append(Photograph(path, sha256, _clicks(entry), str(entry["kind"])))
    return CalibrationSet(source, f"on objects, listed in {LIST.name}", tuple(photographs))


def _clicks(entry: dict[str, Any]) -> tuple[Click, ...]:
    clicks = tuple(Click(float(x), float(y), bool(label)) for x, y, label in entry["taps"])
    if not clicks or not clicks[0].positive:
        raise ValueError(f"entry {entry['id']!r} has no object tap first")
    return clicks


def _name(entry: dict[str, Any]) -> str:
    return urlsplit(entry["url"]).path.rsplit("/", 1)[-1]


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    return f"HTTP {response.status_code}" if response is not None else type(error).__name__


def _taps_in_words(photographs: Sequence[Photograph], labelled: bool) -> str:
    """Return where the taps of a folder come from, for the report."""
    if not labelled:
        return "at random (no masks here)"
    on_objects = sum(photo.on_object for photo in photographs)
    if on_objects == len(photographs):
        return "on objects of instances.json"
    others = len(photographs) - on_objects
    words = f"at random on {others} of {len(photographs)} photographs (no object to tap on there)"
    _log.warning("taps %s", words)
    return words if not on_objects else f"on objects of instances.json on {on_objects}, {words}"


def _drawn_in_words(photographs: Sequence[Photograph]) -> tuple[str, ...]:
    """Return what to say of images that are no photographs; nothing where all are."""
    flat = [photo.path.name for photo in photographs if photo.flat]
    if not flat:
        return ()
    named = ", ".join(flat[:_NAMED]) + (", ..." if len(flat) > _NAMED else "")
    words = (f"{len(flat)} of {len(photographs)} calibration images look like drawings or "
             f"screenshots, not photographs ({named}); give photographs as people take them")
    _log.warning("%s", words)
    return (words,)


def is_flat(pixels: np.ndarray) -> bool:
    """Return whether most pixels are exactly as their neighbours, as in drawings and screenshots.

    Of 378 photographs in COCO, ECSSD and GrabCut two were, of eleven plots and pictures nine.

    Args:
      pixels: (H, W, 3) uint8.
    """
    same = (pixels[:, 1:] == pixels[:, :-1]).all(axis=-1)
    return bool(same.size and same.mean() > _FLAT)


def _tapped(record: CocoImage | Path, kind: str, rng: np.random.Generator) -> Photograph:
    path = record if isinstance(record, Path) else record.path
    pixels = read_image(path) if isinstance(record, Path) else read_coco_image(record)
    height, width = pixels.shape[:2]
    objects = [] if isinstance(record, Path) else [
        a for a in record.annotations if not a.iscrowd
    ]
    large = [a for a in objects if a.area >= _MIN_SHARE * height * width] or objects
    mask = decode_mask(large[int(rng.integers(len(large)))], height, width) if large else None
    if mask is None or not mask.any():
        return Photograph(path, fileio.sha256_file(path), random_taps(height, width, kind, rng),
                          kind, False, is_flat(pixels))
    return Photograph(path, fileio.sha256_file(path), draw_taps(mask, kind, rng), kind,
                      flat=is_flat(pixels))
