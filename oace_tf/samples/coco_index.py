"""An index on disk of a COCO or LVIS file, so that memory does not grow with its images.

The index is an SQLite file in a folder `.oace-index` beside the JSON: for each image its place, for
each annotation the bytes of the JSON where it lies. It is built once by a streaming reader, and
again when the JSON has changed. Ids, images and categories are checked then; a mask is checked when
its image is read, by the same rules as `coco.load_coco` has.
"""
from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from oace_tf.errors import UsageError
from oace_tf.fileio import PathLike, clear_leftovers, sha256_file
from oace_tf.samples.coco import (
    MOST_ID,
    CocoAnnotation,
    Where,
    checked_annotation,
    file_name,
    image_path,
    read_categories,
    size_hw_of,
)
from oace_tf.samples.contradictions import PercentWatch
from oace_tf.samples.json_stream import element_at, list_elements
from oace_tf.samples.photograph import address_of, refuse_one_file, same_photograph

FOLDER = ".oace-index"
FORMAT = "oace-coco-index-3"
_NAMES = ("file_name", "coco_url")  # from them the image's path is found
_ONE_OF = {"images": "image", "annotations": "annotation", "categories": "category"}
_ROWS = 10000  # written at a time
_ABANDONED_S = 24 * 3600  # nobody builds an index for so long
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE images (id INTEGER PRIMARY KEY, stem TEXT, name TEXT, address TEXT, names TEXT,
                     height INTEGER, width INTEGER);
CREATE TABLE annotations (id INTEGER PRIMARY KEY, image INTEGER, category INTEGER, crowd INTEGER,
                          start INTEGER, length INTEGER);
"""
# After all rows are in: then they are sorted once.
_FINISH = """
CREATE INDEX of_image ON annotations (image);
CREATE TABLE places (place INTEGER PRIMARY KEY, image INTEGER);
INSERT INTO places (image) SELECT id FROM images WHERE EXISTS
    (SELECT 1 FROM annotations WHERE image = images.id AND crowd = 0) ORDER BY id;
CREATE INDEX of_stem ON images (stem);
CREATE INDEX of_address ON images (address);
CREATE INDEX of_name ON images (name);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedImage:
    """One image of an index.

    `name` is its file's name with the folders in front of it; `address` says which published
    photograph it is (`photograph.address_of`), or is empty.
    """

    id: int
    name: str
    address: str
    path: Path
    height: int
    width: int


class CocoIndex:
    """Looks images and annotations up, one image in memory at a time.

    Args:
      path: the JSON; its index is built where it is missing or no longer fits.
    Raises:
      UsageError: the JSON cannot be read or is no COCO file, or nowhere is room for the index.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self.index_path = _fitting_index(self.path)
        # Read only, and never locked: several workers look into one index.
        self._base = sqlite3.connect(f"{self.index_path.resolve().as_uri()}?mode=ro&immutable=1",
                                     uri=True)
        facts = dict(self._base.execute("SELECT name, value FROM facts"))
        self.sha256 = facts["sha256"]
        names = json.loads(facts["categories"])
        self.categories: Mapping[int, str] = {int(key): name for key, name in names.items()}
        self.frequencies: Mapping[str, str] = json.loads(facts["frequencies"])
        self._count = int(self._one("SELECT COUNT(*) FROM places")[0])
        if (twice := self.twice()) is not None:
            one, other = (self._image(self._one("SELECT * FROM images WHERE id = ?", number))
                          for number in twice[1:])
            refuse_one_file(one, other, str(self.path))
        try:
            self._json = self.path.open("rb")
        except OSError as error:
            raise UsageError(f"cannot read {self.path}: {error.strerror or error}") from error

    def __len__(self) -> int:
        """Return the number of images with an object; crowds do not count."""
        return self._count

    def close(self) -> None:
        """Close both files."""
        self._base.close()
        self._json.close()

    def __del__(self) -> None:
        """Close what is open; a list of images that goes out of use needs no further word."""
        for name in ("_base", "_json"):
            if hasattr(self, name):
                getattr(self, name).close()

    def at(self, place: int) -> IndexedImage:
        """Return image number `place` (from 0) of those that have an object."""
        row = self._one("SELECT images.* FROM images, places WHERE place = ? AND id = image",
                        place + 1)
        if row is None:
            raise IndexError(place)
        return self._image(row)

    def same(self, image: IndexedImage) -> IndexedImage | None:
        """Return the image here that is the same photograph as one of another index, or None.

        Raises:
          UsageError: both have one file, but addresses that differ.
        """
        rows = self._base.execute(
            "SELECT * FROM images WHERE stem = ? OR (address = ? AND address != '') ORDER BY id",
            (PurePosixPath(image.name).stem, image.address)).fetchall()
        return next((other for other in map(self._image, rows)
                     if same_photograph(image, other, str(self.path))), None)

    def places_without(self, others: Sequence[CocoIndex]) -> Iterator[int]:
        """Yield the places (from 0) whose photograph no other index has with an object."""
        rows = self._base.execute("SELECT place, images.* FROM places, images WHERE id = image "
                                  "ORDER BY place")
        for number, *row in rows:
            image = self._image(row)
            if not any(other.has_object(image) for other in others):
                yield number - 1

    def has_object(self, image: IndexedImage) -> bool:
        """Return whether the photograph of another index is here with an object."""
        other = self.same(image)
        return other is not None and self._one("SELECT 1 FROM places WHERE image = ?",
                                               other.id) is not None

    def twice(self) -> tuple[str, int, int] | None:
        """Return a file name that two images have, and their ids; None where all differ.

        Where addresses tell the two apart, those come first.
        """
        return self._one("SELECT name, MIN(id), MAX(id) FROM images GROUP BY name HAVING "
                         "COUNT(*) > 1 ORDER BY COUNT(DISTINCT address) DESC LIMIT 1")

    def annotations(self, image: IndexedImage) -> tuple[CocoAnnotation, ...]:
        """Return the annotations of an image, checked.

        Raises:
          UsageError: a broken mask, or a JSON that was changed meanwhile; names file and record.
        """
        rows = self._base.execute("SELECT id, start, length FROM annotations WHERE image = ? "
                                  "ORDER BY start", (image.id,)).fetchall()
        return tuple(self._annotation(image, *row) for row in rows)

    def _image(self, row: Any) -> IndexedImage:
        number, _, name, address, names, height, width = row
        # Looked for now: the folder of the images may have been put there after the index.
        file = image_path(Where(self.path, "image", json.loads(names), number), None)
        return IndexedImage(id=number, name=name, address=address, path=file, height=height,
                            width=width)

    def _annotation(self, image: IndexedImage, number: int, start: int,
                    length: int) -> CocoAnnotation:
        try:
            record = element_at(self._json, start, length)
        except ValueError as error:
            record = error
        if not isinstance(record, dict) or record.get("id") != number:
            raise UsageError(f"{self.path} was changed while it was in use; start again")
        return checked_annotation(Where(self.path, "annotation", record, number), self.categories,
                                  (image.height, image.width))

    def _one(self, query: str, *values: Any) -> Any:
        return self._base.execute(query, values).fetchone()


def _storable(text: str) -> str:
    """Return a text as SQLite takes it: bytes that are no UTF-8, as in some file names, escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _fitting_index(path: Path) -> Path:
    """Return the index of a JSON, built now where none fits."""
    try:
        state = path.stat()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    size, changed = str(state.st_size), str(state.st_mtime_ns)
    places = _places(path)
    for index_path in places:
        facts = _facts(index_path)
        if [facts.get(key) for key in ("format", "size", "changed")] == [FORMAT, size, changed]:
            return index_path
    digest = sha256_file(path)
    facts = {"format": FORMAT, "size": size, "changed": changed, "sha256": digest}
    failed = ""
    for index_path in places:
        try:
            index_path.parent.mkdir(parents=True, exist_ok=True)
            _build(path, index_path, facts)
            return index_path
        except (OSError, sqlite3.OperationalError) as error:
            failed = str(error)
    raise UsageError(f"no place for the index of {path} ({failed}); make its folder writable, or "
                     "set XDG_CACHE_HOME to a folder with room")


def _places(path: Path) -> tuple[Path, Path]:
    """Return where the index may lie: beside the JSON, else in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oace-tf"
    full = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]
    return path.parent / FOLDER / f"{path.name}.sqlite", cache / f"{full}.sqlite"


def _facts(index_path: Path) -> dict[str, str]:
    """Return what an index says of itself; nothing where it is missing or damaged."""
    if not index_path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"{index_path.resolve().as_uri()}?mode=ro", uri=True)) as base:
            return dict(base.execute("SELECT name, value FROM facts"))
    except (sqlite3.Error, ValueError):
        return {}


def _build(path: Path, index_path: Path, facts: dict[str, str]) -> None:
    """Write the index beside its place and move it there."""
    clear_leftovers(index_path.parent, _ABANDONED_S)
    handle, beside = tempfile.mkstemp(dir=index_path.parent, prefix=f".{index_path.name}.")
    os.close(handle)
    try:
        with closing(sqlite3.connect(beside)) as base:
            # A half-written index is thrown away as a whole: no journal is needed.
            base.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                               "PRAGMA temp_store = FILE;" + _TABLES)
            base.execute("BEGIN")
            facts = {**facts, **_fill(base, path)}
            base.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
            base.commit()
            base.executescript(_FINISH)
            _check(base, path)
        os.chmod(beside, 0o644)
        os.replace(beside, index_path)
    finally:
        Path(beside).unlink(missing_ok=True)


def _fill(base: sqlite3.Connection, path: Path) -> dict[str, str]:
    """Write images and annotations; returns the facts on categories."""
    categories: list[Any] = []
    lists = ("images", "annotations", "categories")
    counts, watch = dict.fromkeys(lists, 0), PercentWatch()
    rows: dict[str, list[tuple[Any, ...]]] = {"images": [], "annotations": []}
    queries = {"images": "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
               "annotations": "INSERT INTO annotations VALUES (?, ?, ?, ?, ?, ?)"}

    def write(key: str) -> None:
        for row in rows[key]:
            try:
                base.execute(queries[key], row)
            except sqlite3.IntegrityError as error:
                where = Where(path, _ONE_OF[key], {"id": row[0]}, 0)
                raise where.fault("the id stands twice") from error
        rows[key].clear()

    for key, record, start, length in list_elements(path, lists, lists[:2]):
        where = Where(path, _ONE_OF[key], record, counts[key])
        counts[key] += 1
        if key == "categories":
            categories.append(record)
            continue
        if key == "images":
            file = file_name(where)
            names = {name: record[name] for name in _NAMES if name in record}
            rows[key].append((where.integer("id"), _storable(file.stem), _storable(str(file)),
                              _storable(address_of(record)), json.dumps(names),
                              *size_hw_of(where)))
            watch.picture(rows[key][-1][-2:])
        else:
            watch.label(record.get("segmentation"))
            crowd = record.get("iscrowd", 0)
            if crowd not in (0, 1):
                raise where.fault(f"iscrowd must be 0 or 1, got {crowd!r:.40}")
            category = record.get("category_id")
            fits = type(category) is int and abs(category) < MOST_ID
            rows[key].append((where.integer("id"), where.integer("image_id"),
                              category if fits else None, crowd, start, length))
        if len(rows[key]) >= _ROWS:
            write(key)
    for key in rows:
        write(key)
    if not counts["images"]:
        raise UsageError(f"{path} lists no images; name a file that does")
    watch.tell(path)
    category_names, frequencies = read_categories({"categories": categories}, path)
    return {"categories": json.dumps(category_names), "frequencies": json.dumps(frequencies)}


def _check(base: sqlite3.Connection, path: Path) -> None:
    """Refuse annotations of an unknown image or category, and a file without objects."""
    row = base.execute("SELECT id, image FROM annotations WHERE NOT EXISTS "
                       "(SELECT 1 FROM images WHERE id = image) LIMIT 1").fetchone()
    if row is not None:
        raise UsageError(f"{path}: annotation {row[0]}: image_id {row[1]} is not among the "
                         "images; correct or remove that annotation")
    facts = dict(base.execute("SELECT name, value FROM facts"))
    known = sorted(int(key) for key in json.loads(facts["categories"]))
    if known:
        row = base.execute("SELECT start, length FROM annotations WHERE category IS NULL LIMIT 1"
                           ).fetchone()
        if row is not None:
            with path.open("rb") as file:
                Where(path, "annotation", element_at(file, *row), 0).integer("category_id")
    for number, category in _categories_used(base) if known else ():
        if category not in known:
            raise UsageError(f"{path}: annotation {number}: category_id {category} is not among "
                             "the categories; correct or remove that annotation")
    if not base.execute("SELECT COUNT(*) FROM places").fetchone()[0]:
        raise UsageError(f"{path}: no image with an object")


def _categories_used(base: sqlite3.Connection) -> Iterator[tuple[int, int]]:
    yield from base.execute("SELECT MIN(id), category FROM annotations GROUP BY category")
