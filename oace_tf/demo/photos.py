"""Photographs as people have them -> upright RGB, transparency, and a picture for the screen."""
from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import cv2
import numpy as np

from oace_tf.demo.answers import Memory
from oace_tf.images import MAX_PIXELS, decode_photograph
from oace_tf.quiet import quiet_libraries

PREVIEW_SIDE = 1600  # px, the longer side of what the page shows
_WITH_ALPHA = (b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")  # first bytes; RIFF is WebP


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """One photograph, upright.

    Attributes:
      name: the file's name, for messages and downloads.
      image: (H, W, 3) uint8 RGB; transparent parts stand on white.
      alpha: (H, W) uint8, the file's own transparency, or None.
      preview: (h, w, 3) uint8 RGB, neither side above 1600 px.
      note: one sentence on what was done with the file, or nothing.
      memory: what the file saw of it and said of it, for the next question.
    """

    name: str
    image: np.ndarray
    alpha: np.ndarray | None
    preview: np.ndarray
    note: str
    memory: Memory = field(default_factory=Memory, repr=False, compare=False)


def read_photo(data: bytes, name: str) -> Photo:
    """Return the photograph that these bytes are.

    EXIF rotation is applied, of an animation the first picture is taken.

    Args:
      data: the bytes of a JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP file.
      name: the file's name.
    Raises:
      UsageError: the bytes are no readable image, or too large a one.
    """
    photograph = decode_photograph(data, name)
    image, alpha = photograph.image, photograph.alpha
    notes = []
    if _is_animated(data):
        notes.append("This file is animated: its first picture is used.")
    if alpha is not None:
        notes.append("Transparent parts stand on white, and stay transparent in the cutout.")
    return Photo(name=name, image=image, alpha=alpha, preview=_preview(image),
                 note=" ".join(notes))


def _is_animated(data: bytes) -> bool:
    """Return whether there is more than one picture in the file."""
    if data[:4] not in _WITH_ALPHA:  # neither JPEG nor BMP has several
        return False
    try:
        with quiet_libraries():
            done, two = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR, None,
                                          (0, 2))
    except cv2.error:  # the first picture is sound, the second is not
        return False
    return done and len(two) > 1


def _preview(image: np.ndarray) -> np.ndarray:
    scale = PREVIEW_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


class Shelf:
    """The photographs that are open, by key; the oldest go when there are too many pixels."""

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self._photos: OrderedDict[str, Photo] = OrderedDict()
        self._max_pixels = max_pixels
        self._lock = threading.Lock()

    def put(self, photo: Photo) -> str:
        """Keep a photograph; return its key, which cannot be guessed."""
        key = secrets.token_urlsafe(12)
        with self._lock:
            self._photos[key] = photo
            while len(self._photos) > 1 and self._pixels() > self._max_pixels:
                self._photos.popitem(last=False)
        return key

    def get(self, key: str) -> Photo:
        """Return a photograph.

        Raises:
          KeyError: it is not there (any more).
        """
        with self._lock:
            self._photos.move_to_end(key)
            return self._photos[key]

    def _pixels(self) -> int:
        return sum(photo.image.shape[0] * photo.image.shape[1] for photo in self._photos.values())
