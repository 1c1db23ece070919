"""Taps on many photographs, from a CSV file.

    photo,x,y,label,object,category
    a.jpg,290,120,1,left,cup
    a.jpg,150,250,0,left,cup
    b.jpg,80,60,1,,

`label` is 1 for the object and 0 for the background; without that column all are on the object.
`object` tells several objects of one photograph apart, `category` says what they are; both may be
left out, and the columns stand in any order. Other columns are not read; one that is nearly called
like these is refused. Spreadsheets that write semicolons are read too; there
80,5 is a number, which in a file of commas may be thousands or two cells.
"""
from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from oace_tf.clicks import Click
from oace_tf.errors import UsageError, quoted
from oace_tf.fileio import PathLike, read_bytes, without_mark

MAX_BYTES = 64 * 2**20
COLUMNS = ("photo", "x", "y", "label", "object", "category")
_REQUIRED = COLUMNS[:3]


@dataclass(frozen=True, slots=True, kw_only=True)
class TappedObject:
    """The taps on one object.

    Attributes:
      name: as the column `object` has it; may be empty.
      category: the last one that its rows name; may be empty.
      taps: in the order of the rows.
      fault: why a row of it cannot be read; empty where all can.
    """

    name: str
    category: str
    taps: tuple[Click, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TappedPhotograph:
    """A photograph as the table names it, and its objects in the order of their first rows."""

    name: str
    objects: tuple[TappedObject, ...]


def read_tap_table(path: PathLike) -> tuple[TappedPhotograph, ...]:
    """Return the photographs of a table, in the order of their first rows.

    A row that cannot be read makes its object faulty and no other.

    Raises:
      UsageError: the file is missing, too large, no CSV in UTF-8, lacks a column, or has no row.
    """
    try:
        text = without_mark(read_bytes(path, MAX_BYTES)).decode("utf-8")
        delimiter = _delimiter(text)
        lines = list(_lines(text, delimiter))
    except (ValueError, csv.Error) as error:  # a UnicodeDecodeError is a ValueError too
        raise UsageError(f"{path} is no table of taps: {error}; save it as CSV in UTF-8") from error
    if not lines:
        raise UsageError(f"{path} is empty; its first line is {','.join(COLUMNS)}")
    header = [cell.strip().lower() for cell in lines[0][1]]
    if any(header.count(name) != 1 for name in _REQUIRED) or any(
            header.count(name) > 1 for name in COLUMNS):
        raise UsageError(f"{path}: its first line must name each of {', '.join(_REQUIRED)} once, "
                         f"got {quoted(','.join(header))}; see `oace predict --help`")
    for name in header:
        meant = difflib.get_close_matches(name, set(COLUMNS) - set(header), 1, cutoff=0.7)
        if name not in COLUMNS and meant:
            raise UsageError(f"{path}: there is no column {quoted(name)!r}; {meant[0]!r} may be "
                             "meant: correct it, or call it something else")
    rows: dict[str, dict[str, list[tuple[int, dict[str, str]]]]] = {}
    for number, cells in lines[1:]:
        row = dict(zip(header, (cell.strip() for cell in cells)))
        row["photo"] = _file_name(dict(zip(header, cells)).get("photo", ""), Path(path).parent)
        if any(cell.strip() for cell in cells[len(header):]):
            row["fault"] = (f"it has {len(cells)} cells, the first line {len(header)}; write "
                            "numbers with a point, and names with a comma in quotes")
        elif delimiter == "," and "," in row.get("x", "") + row.get("y", ""):
            row["fault"] = (f"a comma in the number {quoted(row.get('x', ''))!r} or "
                            f"{quoted(row.get('y', ''))!r}; write it with a point")
        rows.setdefault(row["photo"], {}).setdefault(row.get("object", ""), []).append(
            (number, row))
    if not rows:
        raise UsageError(f"{path} has no row below its first line; each is a tap")
    return tuple(TappedPhotograph(name=photo, objects=tuple(
        _object(name, group) for name, group in objects.items()))
        for photo, objects in rows.items())


def _delimiter(text: str) -> str:
    """Return what stands between the cells of the first line."""
    first = text.lstrip().partition("\n")[0]
    return max(",;\t", key=first.count)


def _file_name(cell: str, folder: Path) -> str:
    """Return a photograph's name: as the cell has it where such a file is there, else stripped.

    A no-break space, or a blank at its edge, may be of the name.
    """
    bare = cell.strip(" \t\r\n")
    named = bare != cell and (os.path.isfile(folder / cell) or os.path.isfile(cell))
    return cell if named else bare


def _lines(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that holds something."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _object(name: str, rows: Sequence[tuple[int, dict[str, str]]]) -> TappedObject:
    taps, fault, category = [], "", ""
    for number, row in rows:
        category = row.get("category", "") or category
        try:
            taps.append(_tap(row))
        except (UsageError, ValueError) as error:
            fault = fault or f"line {number}: {error}"
    return TappedObject(name=name, category=category, taps=tuple(taps), fault=fault)


def _tap(row: dict[str, str]) -> Click:
    """Return the tap of a row (raises ValueError or UsageError where there is none)."""
    numbers = []
    if row.get("fault"):
        raise ValueError(row["fault"])
    for name in ("x", "y"):
        try:
            if "_" in row.get(name, ""):  # which Python takes
                raise ValueError
            numbers.append(float(row.get(name, "").replace(",", ".")))
        except ValueError:
            raise ValueError(f"{name} must be a number of pixels, got "
                             f"{quoted(row.get(name, '')) or 'nothing'}") from None
    label = row.get("label") or "1"
    if label not in ("0", "1"):
        raise ValueError(f"the label must be 1 (object) or 0 (background), got {quoted(label)}")
    if not row.get("photo"):
        raise ValueError("no photograph is named")
    return Click(numbers[0], numbers[1], label == "1")


def find_photograph(name: str, table: Path, photographs: Sequence[Path] = ()) -> Path:
    """Return the path of a photograph of a table.

    Args:
      name: as the table names it: absolute, or relative to the table's folder, else to the working
        folder.
      table: the table's path.
      photographs: those among which it must be, by its path or by its name alone; empty for any.
        A name with a folder in it that leads to a file is that file, and none of the same name.
    Raises:
      UsageError: `photographs` hold none, or several, of that name.
    """
    beside = table.parent / name
    # Of `os.path`: a name that no file can have is no file, and no error.
    path = beside if os.path.exists(beside) or not os.path.exists(name) else Path(name)
    if not photographs:
        return path
    same = [one for one in photographs if one == Path(name) or one.absolute() == path.absolute()]
    if not same and (Path(name).name == name or not os.path.exists(path)):
        # Else the file is there, and one of that name in another folder is another photograph.
        same = [one for one in photographs if one.name == Path(name).name]
    if len(same) != 1:
        raise UsageError(f"{quoted(name)}: {len(same) or 'none'} of the photographs that were "
                         "named have that name")
    return same[0]
