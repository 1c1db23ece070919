"""Many photographs of a table of taps: one COCO file of outlines, or files in a folder."""
from __future__ import annotations

import argparse
import os
import re
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oace_tf.annotations import CATEGORY, AnnotatedObject, AnnotatedPhotograph, as_coco
from oace_tf.errors import UsageError, one_line, printable, quoted
from oace_tf.fileio import identity, refuse_overwriting, write_json
from oace_tf.images import SUFFIXES, WRITTEN, Photograph, read_photograph, write_image
from oace_tf.outputs import LABELS, POLYGON, Output, check_place, default_suffix
from oace_tf.polygons import Polygon, check_precision, polygons_of
from oace_tf.predict import (
    check_text,
    open_segmenter,
    points_of,
    refuse_unused,
    told,
    write_compact,
    write_output,
    write_polygons,
)
from oace_tf.progress import Progress
from oace_tf.regions import BACKGROUND
from oace_tf.segmenter import Photograph as Session
from oace_tf.segmenter import TapSegmenter
from oace_tf.tap_table import TappedObject, TappedPhotograph, find_photograph, read_tap_table

_COCO = "coco"
_UNSAFE = re.compile(r"[^\w.-]+")
_MOST_OF_STEM, _MOST_OF_OBJECT = 150, 70  # bytes of a name's parts, of 255 that it may have
_MOST_NOTES = 20  # masks that do not follow their taps, named


@dataclass(slots=True)
class _Record:
    """What was done, and what was left out and why."""

    photographs: list[AnnotatedPhotograph] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)  # of the photographs
    objects: int = 0
    seconds: float = 0.0
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)  # taken ones, as `_key` gives them


def predict_many(args: argparse.Namespace) -> int:
    """Do what the table asks for; return 0, or 1 where some of it was left out.

    Raises:
      UsageError: wrong arguments, a table that cannot be read, or nothing that could be done.
    """
    check_precision(points_of(args), args.tolerance)
    table = read_tap_table(args.taps)
    output = choose_many(args.taps, args.out, args.kind, args.format)
    refuse_unused(output, args)
    segmenter = open_segmenter(args)
    record = _Record()
    refuse_overwriting([output.path], [args.taps, args.model])
    places = _places(table, args, record)
    jobs = [(path, tapped) for path, (tapped, *others) in places.items() if not others]
    tapped_paths = set(places)
    refuse_overwriting([output.path], tapped_paths)
    if output.path.is_dir():  # what is read there is not written over
        record.names |= _names_of(output.path, [args.taps, *tapped_paths])
    for path in args.photo:
        if not path.is_dir() and path not in tapped_paths:
            record.left_out.append(f"{path}: {args.taps} holds no tap on it")
    with Progress(len(jobs), "photographs", "photograph") as bar:
        for path, tapped in jobs:
            _predict(path, tapped, output, segmenter, args, record)
            bar.update()
    return _finish(output, args, record)


def _places(table: Sequence[TappedPhotograph], args: argparse.Namespace,
            record: _Record) -> dict[Path, list[TappedPhotograph]]:
    """Return where the photographs of the table lie; what is not clear is written down."""
    named = _photographs(args.photo)
    places: dict[Path, list[TappedPhotograph]] = {}
    for tapped in table:
        try:
            places.setdefault(find_photograph(tapped.name, args.taps, named), []).append(tapped)
        except UsageError as error:
            record.left_out.append(str(error))
    for path, several in places.items():
        if len(several) > 1:
            names = " and ".join(quoted(repr(tapped.name)) for tapped in several[:2])
            record.left_out.append(f"{path}: {args.taps} has {names}, which lead to this one "
                                   "photograph; call it by one name, with the folder it lies in")
    return places


def choose_many(table: Path, out: Path | None, kind: str | None, form: str | None) -> Output:
    """Return where to write and what, for many photographs: a COCO file, or a folder.

    Args:
      table: the table's path; without `out`, the place is beside it.
      out, kind, form: as in `outputs.choose_output`.
    Raises:
      UsageError: the place cannot be written, or is a file where a folder is needed.
    """
    if form and kind not in (None, POLYGON):
        raise UsageError(f"--format {form} is for polygons, not for --kind {kind}; leave one out")
    is_file = out is not None and out.suffix.lower() == ".json" and not out.is_dir()
    if kind is None:
        kind = POLYGON if form or is_file or out is None else "cutout"
    if kind == POLYGON and form is None:
        form = _COCO if is_file or out is None else "labelme"
    if kind == POLYGON and form == _COCO:
        out = out or table.with_name(f"{table.stem}_coco.json")
        if out.is_dir() or out.suffix.lower() != ".json":
            raise UsageError(f"{out}: all outlines go into one COCO file; name it .json")
        check_place(out)
        return Output(path=out, kind=POLYGON, format=_COCO)
    out = out or table.with_name(f"{table.stem}_{form or kind}")
    if out.suffix.lower() in (*WRITTEN, ".json", ".svg") and not out.is_dir() or out.is_file():
        raise UsageError(f"{out} is one file, and there are several to write; name a folder")
    check_place(out / "any")
    return Output(path=out, kind=kind, format=form or "")


def _photographs(paths: Sequence[Path]) -> list[Path]:
    """Return the photographs that were named, those of folders included."""
    photographs: list[Path] = []
    for path in paths:
        photographs += sorted(child for child in path.iterdir() if child.is_file()
                              and child.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    return photographs


def _predict(path: Path, tapped: TappedPhotograph, output: Output, segmenter: TapSegmenter,
             args: argparse.Namespace, record: _Record) -> None:
    """Answer for one photograph; what goes wrong is written down."""
    try:
        if output.kind == POLYGON and output.format != "svg":
            check_text(str(path), "its path")  # else it would be refused at the end, with all
        photograph = read_photograph(path)
        session = segmenter.photograph(photograph)
        if output.kind == LABELS:
            _labels(path, tapped, output, session, args.taps, record)
            return
        things = list(_outlined(path, tapped, output, session, photograph, args, record))
        if things:
            height, width = session.size_hw
            record.paths.append(path)
            record.photographs.append(AnnotatedPhotograph(
                file_name=path.name, height=height, width=width, objects=tuple(things)))
            if output.kind == POLYGON and output.format != _COCO:
                _write_outlines(path, output, record)
    except UsageError as error:
        text = str(error)
        record.left_out.append(text if str(path) in text else f"{path}: {text}")
    except MemoryError:
        record.left_out.append(f"{path}: memory does not suffice for it; make it smaller")


def _outlined(path: Path, tapped: TappedPhotograph, output: Output, session: Session,
              photograph: Photograph, args: argparse.Namespace,
              record: _Record) -> Iterator[AnnotatedObject]:
    """Yield the objects that were answered; pictures of them are written."""
    for thing in tapped.objects:
        where = f"{path}: {thing.name}: " if thing.name else f"{path}: "
        try:
            if thing.fault:
                raise UsageError(f"{args.taps} {thing.fault}")
            start = time.perf_counter()
            with told() as remarks:
                mask = session.segment(thing.taps)
            record.seconds += time.perf_counter() - start
            record.notes += [f"{where}{remark}" for remark in remarks]
            if not mask.any():
                raise UsageError("the mask is empty")
            polygons: tuple[Polygon, ...] = ()
            if output.kind == POLYGON:
                polygons = polygons_of(mask, points_of(args), args.tolerance)
            else:
                name = _name(path, thing, output, record)
                write_output(Output(path=output.path / name, kind=output.kind), path, photograph,
                             mask, thing.taps, args)
            record.objects += 1
            yield AnnotatedObject(polygons=polygons, name=thing.name,
                                  category=thing.category or args.category or CATEGORY)
        except UsageError as error:
            record.left_out.append(f"{where}{error}")


def _labels(path: Path, tapped: TappedPhotograph, output: Output, session: Session, table: Path,
            record: _Record) -> None:
    """Write the objects of a photograph as one picture, and the names of its numbers."""
    faults = [thing.fault for thing in tapped.objects if thing.fault]
    if faults:
        raise UsageError(f"{table} {faults[0]}")
    strokes: dict[str, list[list[tuple[float, float]]]] = {}
    for number, thing in enumerate(tapped.objects, 1):
        for tap in thing.taps:
            name = (thing.name or f"object {number}") if tap.positive else BACKGROUND
            strokes.setdefault(name, []).append([(tap.x, tap.y)])
    start = time.perf_counter()
    with told() as remarks:
        labels, legend = session.regions(strokes)
    record.seconds += time.perf_counter() - start
    record.notes += [f"{path}: {remark}" for remark in remarks]
    picture = output.path / _free(f"{_cut(path.stem, _MOST_OF_STEM)}_{LABELS}", ".png", record)
    write_image(picture, labels)
    write_json(picture.with_suffix(".json"), {str(number): name for number, name in legend.items()})
    record.objects += len(legend) - 1
    record.paths.append(path)


def _write_outlines(path: Path, output: Output, record: _Record) -> None:
    """Write the outlines of the last photograph into a file of its own."""
    place = output.path / _free(_cut(path.stem, _MOST_OF_STEM),
                                default_suffix(output.kind, output.format), record)
    photograph = record.photographs[-1]
    write_polygons(Output(path=place, kind=POLYGON, format=output.format), AnnotatedPhotograph(
        file_name=os.path.relpath(path, output.path).replace(os.sep, "/"),
        height=photograph.height, width=photograph.width, objects=photograph.objects))


def _name(path: Path, thing: TappedObject, output: Output, record: _Record) -> str:
    parts = [_cut(path.stem, _MOST_OF_STEM)]
    if thing.name:
        parts.append(_cut(_UNSAFE.sub("_", thing.name), _MOST_OF_OBJECT))
    return _free("_".join([*parts, output.kind]), default_suffix(output.kind, ""), record)


def _free(stem: str, suffix: str, record: _Record) -> str:
    """Return a file name that was not written in this run, and is of no file that is read."""
    name, number = stem + suffix, 1
    while _key(name) in record.names:
        number += 1
        name = f"{stem}_{number}{suffix}"
    record.names.add(_key(name))
    return name


def _key(name: str) -> str:
    """Return what two names have in common that some file systems take for one."""
    return unicodedata.normalize("NFC", name).casefold()


def _names_of(folder: Path, files: Iterable[Path]) -> set[str]:
    """Return the names in a folder, as `_key` gives them, that are of one of these files."""
    known = {identity(path) for path in files if os.path.exists(path)}
    return {_key(path.name) for path in folder.iterdir()
            if os.path.exists(path) and identity(path) in known}


def _cut(text: str, most: int) -> str:
    """Return a part of a name of at most so many bytes."""
    whole = os.fsencode(text)
    return text if len(whole) <= most else whole[:most].decode("utf-8", "ignore")


def file_names(photographs: Sequence[Path], file: Path) -> list[str]:
    """Return the photographs' names as a COCO file holds them.

    Relative to the folder `images` beside the file where all lie there; else to the file's own
    folder; else to the folder that holds them all.
    """
    whole = [path.absolute() for path in photographs]
    for folder in (file.absolute().parent / "images", file.absolute().parent):
        if all(path.is_relative_to(folder) for path in whole):
            return [path.relative_to(folder).as_posix() for path in whole]
    folder = Path(os.path.commonpath([path.parent for path in whole]))
    return [path.relative_to(folder).as_posix() for path in whole]


def _finish(output: Output, args: argparse.Namespace, record: _Record) -> int:
    """Write the COCO file, say what was done, and return the exit code."""
    for text in record.left_out:
        print(one_line(f"{args.prog}: left out: {text}"), file=sys.stderr)
    for text in record.notes[:_MOST_NOTES]:
        print(one_line(f"{args.prog}: note: {text}"), file=sys.stderr)
    if len(record.notes) > _MOST_NOTES:
        print(f"{args.prog}: note: and {len(record.notes) - _MOST_NOTES} more masks that do not "
              "follow their taps", file=sys.stderr)
    if not record.objects:
        raise UsageError(f"{args.taps}: none of its objects could be answered; mend what is named "
                         "above")
    if output.kind == POLYGON and output.format == _COCO:
        names = file_names(record.paths, output.path)
        write_compact(output.path, as_coco([
            AnnotatedPhotograph(file_name=name, height=photograph.height, width=photograph.width,
                                objects=photograph.objects)
            for name, photograph in zip(names, record.photographs)]))
    what = _count(record.objects, "object") + " of " + _count(len(record.paths), "photograph")
    each = 1000 * record.seconds / record.objects
    missed = "" if output.kind == LABELS else f", {len(record.notes)} not as tapped"
    print(printable(f"{output.path}: {what} as {output.format or output.kind}, {each:.0f} ms an "
                    f"object, {len(record.left_out)} left out{missed}"))
    return 1 if record.left_out else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
