"""What the command `predict` writes, by the kind and the suffix of the file that is named."""
from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from oace_tf.annotations import FORMATS
from oace_tf.errors import UsageError
from oace_tf.images import WITH_ALPHA, WRITTEN

PICTURES = ("cutout", "mask", "overlay")
POLYGON, LABELS = "polygon", "labels"
KINDS = (*PICTURES, POLYGON, LABELS)
_DEFAULT_SUFFIX = {"cutout": ".png", "mask": ".png", "overlay": ".jpg", LABELS: ".png"}
_VECTOR = tuple(dict.fromkeys(FORMATS.values()))  # suffixes of polygons
_LABEL_SUFFIXES = (".png", ".tif", ".tiff")  # that keep whole numbers, of 16 bits as well
_SUFFIX_DECIDES = (f"the suffix decides what is written: {', '.join(WITH_ALPHA)} a cutout "
                   "(NAME_mask.png a mask), .jpg, .jpeg an overlay, .json, .svg a polygon")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where to write, what, and for polygons in which format (else empty)."""

    path: Path
    kind: str
    format: str = ""


def choose_output(photo: Path, out: Path | None, kind: str | None, form: str | None) -> Output:
    """Return where to write and what, for one photograph.

    Args:
      photo: the photograph's path.
      out: the path asked for, or None for one beside the photograph.
      kind: one of `KINDS`, or None for what the name says.
      form: a format of `annotations.FORMATS`, or None for what the name says.
    Raises:
      UsageError: the suffix is unknown or cannot hold the kind, the place is the photograph
        itself, or its folder cannot be written.
    """
    if out is None:
        kind = kind or (POLYGON if form else "cutout")
        suffix = FORMATS[form or "coco"] if kind == POLYGON else _DEFAULT_SUFFIX[kind]
        out = photo.with_name(f"{photo.stem}_{kind}{suffix}")
    suffix = out.suffix.lower()
    if out.is_dir() or suffix not in (*WRITTEN, *_VECTOR):
        what = "is a folder" if out.is_dir() else "cannot write files of this kind"
        raise UsageError(f"{out}: {what}; {_SUFFIX_DECIDES}")
    kind = kind or _kind_of(out)
    check_suffix(out, suffix, kind, form)
    if out.exists() and photo.exists() and os.path.samefile(out, photo):
        raise UsageError(f"{out} is the photograph itself; name another file with -o")
    check_place(out)
    if kind == POLYGON:
        form = form or ("svg" if suffix == ".svg" else "coco")
    return Output(path=out, kind=kind, format=form or "" if kind == POLYGON else "")


def check_suffix(out: Path, suffix: str, kind: str, form: str | None) -> None:
    """Raise UsageError unless files of a suffix can hold the kind, in the format."""
    if form and kind != POLYGON:
        raise UsageError(f"--format {form} is for polygons, {out} is to be a {kind}; leave one out")
    if kind == POLYGON:
        allowed = (FORMATS[form],) if form else _VECTOR
    elif kind == LABELS:
        allowed = _LABEL_SUFFIXES
    else:
        allowed = WITH_ALPHA if kind == "cutout" else WRITTEN
    if suffix not in allowed:
        why = " needs transparency;" if kind == "cutout" and suffix in WRITTEN else (
            f" is not written as {suffix or 'a file without a suffix'};")
        noun = {LABELS: "a picture of labels", "overlay": "an overlay"}.get(kind, f"a {kind}")
        noun += f" of --format {form}" if form else ""
        raise UsageError(f"{out}: {noun}{why} name it {', '.join(allowed)}")


def check_place(out: Path) -> None:
    """Raise UsageError unless a file can be written there."""
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    try:
        tempfile.TemporaryFile(dir=folder).close()  # the only sure test of a folder
    except OSError as error:
        raise UsageError(f"cannot write {out}: {folder}: {error.strerror}; "
                         "name another place with -o") from error


def default_suffix(kind: str, form: str) -> str:
    """Return the suffix of a kind, and of a format for polygons."""
    return FORMATS[form] if kind == POLYGON else _DEFAULT_SUFFIX[kind]


def _kind_of(out: Path) -> str:
    suffix = out.suffix.lower()
    if suffix in _VECTOR:
        return POLYGON
    if out.stem.endswith("_mask"):
        return "mask"
    if out.stem.endswith("_labels") and suffix in _LABEL_SUFFIXES:
        return LABELS
    return "cutout" if suffix in WITH_ALPHA else "overlay"
