"""Which photograph a record of a COCO or LVIS file means, so that two files speak of the same one.

A stem is no identity: two cameras both have their 0001.jpg. Two records are one photograph where
their published addresses agree; where not both have one, where their whole file names agree; and
where no two different files lie there.
"""
from __future__ import annotations

import filecmp
import logging
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import numpy as np

from oace_tf.errors import UsageError, quoted
from oace_tf.images import read_photograph

_log = logging.getLogger(__name__)
_COCO_HOSTS = ("cocodataset.org", "mscoco.org")
_OF_COCO = re.compile(r"\d{12}")
_COCO_NUMBER = re.compile(r"(\d{12})\.jpg$")  # the same in the sets of 2014 and of 2017


class Record(Protocol):
    """What is compared of a record."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def path(self) -> Path: ...


def address_of(record: Mapping[str, Any]) -> str:
    """Return which published photograph an image's record names; empty where it names none.

    It is COCO's number for COCO's own, else the address (`coco_url`) without scheme and host: one
    photograph may lie on several. Where no folder stands before the file's name, the host counts.
    """
    url = record.get("coco_url")
    if not isinstance(url, str):
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    number = _COCO_NUMBER.search(parts.path)
    if number and f".{parts.hostname}".endswith(tuple(f".{host}" for host in _COCO_HOSTS)):
        return number[1]
    path = unquote(parts.path).strip("/")
    if parts.query:  # such as get?id=1
        path = f"{path}?{unquote(parts.query)}"
    if path and "/" not in path and parts.netloc:
        path = f"{parts.netloc.lower()}/{path}"
    return path


def same_photograph(one: Record, other: Record, where: str) -> bool:
    """Return whether records of two files are one photograph.

    Args:
      one, other: the records, with the places where their files should lie.
      where: the file of `other`, for the message.
    Raises:
      UsageError: both have one file, but addresses that differ.
    """
    one_file = one.path.absolute() == other.path.absolute()
    if one.address and other.address:
        if one_file and one.address != other.address:
            raise UsageError(f"{where}: image {other.id} and image {one.id} of the file it is "
                             f"joined with both lie at {one.path}, but their addresses (coco_url) "
                             "differ; keep the photographs of each in a folder of its own")
        return one.address == other.address and (
            one_file or _OF_COCO.fullmatch(one.address) is not None
            or not _differ(one.path, other.path))
    return one_file or (one.name == other.name and not _differ(one.path, other.path))


def refuse_one_file(one: Record, other: Record, where: str) -> None:
    """Refuse two images of one file that lie under one name, but are different photographs.

    Two images of one name and no word on what they are may be one photograph, labelled in parts:
    that is told in a warning.

    Raises:
      UsageError: their addresses differ, and their places do not.
    """
    if one.path != other.path:
        return
    if one.address and other.address and one.address != other.address:
        raise UsageError(f"{where}: images {one.id} and {other.id} both lie at {one.path}, but "
                         "their addresses (coco_url) differ; give each a file_name of its own")
    _log.warning("%s: images %d and %d both lie at %s; if they are two photographs, give each a "
                 "file_name of its own", where, one.id, other.id, one.path)


def missing_words(path: Path) -> str:
    """Return what is wrong with the file of a photograph that is not there, and what to do."""
    words = "put it there or correct its file_name"
    for spelled, why in _spellings(path.name):
        if spelled != path.name and (path.parent / spelled).is_file():
            return (f"cannot read {path}: no such file, but {quoted(spelled)!r} is there ({why}); "
                    "rename the file or correct its file_name")
    if "\\" in path.name:
        words = "folders in a file_name are separated by /, not by a backslash"
    elif "%" in path.name:
        words = "a file_name is no address: write its characters instead of %20 and the like"
    return f"cannot read {path}: no such file; {words}"


def _spellings(name: str) -> list[tuple[str, str]]:
    """Return other names that may be meant, and why they are others."""
    return [(unquote(name), "a file_name is no address, %20 is no space"),
            (name.replace("\\", "/"), "folders are separated by /, not by a backslash"),
            (unicodedata.normalize("NFC", name), "its letters are composed otherwise"),
            (unicodedata.normalize("NFD", name), "its letters are composed otherwise"),
            (name.replace("\u202f", " "), "a narrow no-break space is no space"),
            (name.replace("\xa0", " "), "a no-break space is no space"),
            (re.sub(r" (?=[AP]M\b)", "\u202f", name), "a narrow no-break space is no space"),
            (re.sub("[\u200e\u200f\u202a-\u202e]", "", name), "a mark of direction is a character")]


@lru_cache(maxsize=None)  # once a photograph
def warn_turned(path: Path) -> None:
    """Say that the size of a photograph cannot tell in which frame its labels are."""
    _log.warning("%s is stored turned (its orientation), and its size cannot tell whether its "
                 "labels are turned too; they are taken to be in the frame of the upright "
                 "photograph", path)


def read_labelled(path: Path) -> np.ndarray:
    """Return a photograph whose labels lie in another file, upright, (H, W, 3) uint8 RGB.

    Where it is stored turned, and its size cannot tell in which frame its labels are, a warning
    says so (`warn_turned`).

    Raises:
      UsageError: as `images.read_image`.
    """
    photograph = read_photograph(path)
    if photograph.is_turned and photograph.image.shape[:2] == photograph.stored_hw:
        warn_turned(path)
    return photograph.image


def _differ(one: Path, other: Path) -> bool:
    """Return whether two files are there and hold different bytes."""
    try:
        return not filecmp.cmp(one, other, shallow=False)
    except OSError:  # one of them is not there: nothing tells them apart
        return False
