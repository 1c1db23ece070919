"""Several COCO or LVIS files as one: the instances of all of them on the same photographs.

As COCO and LVIS are joined in RITM: LVIS' masks come first, and a mask of another file is left out
where it is nearly that of an instance already there.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from oace_tf.errors import UsageError, quoted
from oace_tf.fileio import PathLike
from oace_tf.samples.coco import CocoAnnotation, CocoImage, decode_mask
from oace_tf.samples.coco_index import CocoIndex

SAME_IOU = 0.8  # RITM's bound for one object drawn twice


class MergedCoco(Sequence[CocoImage]):
    """The images with an object of one file, or of several that are joined.

    Args:
      paths: JSON files in COCO or LVIS format. Images of one address (`coco_url`) or, where not
        both have one, of one whole file name are one photograph (see `photograph`); it is taken
        from the first file that has it.
    Raises:
      UsageError: as `CocoIndex`; of several files, one in which two images have one file name.
    """

    def __init__(self, paths: Sequence[PathLike]) -> None:
        indices = [CocoIndex(path) for path in paths]
        for index in indices if len(indices) > 1 else ():
            if (twice := index.twice()) is not None:
                raise UsageError(f"{index.path}: images {twice[1]} and {twice[2]} are both named "
                                 f"{quoted(twice[0])}; which of them another file means cannot be "
                                 "told, so it cannot be joined; give each photograph a name")
        # LVIS says how frequent a category is; its masks are the finer ones.
        self._indices = sorted(indices, key=lambda index: not index.frequencies)
        # Where the images of each file begin that no file before it has.
        self._own = [_own_places(self._indices[:k], index)
                     for k, index in enumerate(self._indices)]
        self._ends = np.cumsum([len(own) for own in self._own])

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, LVIS first."""
        return tuple(index.path for index in self._indices)

    @property
    def sha256(self) -> tuple[str, ...]:
        """The SHA-256 of each file."""
        return tuple(index.sha256 for index in self._indices)

    @property
    def categories(self) -> Mapping[int, str]:
        """The names of all categories, numbered anew where several files are joined."""
        if len(self._indices) == 1:
            return self._indices[0].categories
        names = {name for index in self._indices for name in index.categories.values()}
        return dict(enumerate(sorted(names)))

    def __len__(self) -> int:
        """Return the number of photographs."""
        return int(self._ends[-1])

    @overload
    def __getitem__(self, place: int) -> CocoImage: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[CocoImage]: ...

    def __getitem__(self, place: Any) -> Any:
        """Return an image with the annotations of all files.

        Raises:
          UsageError: a broken mask.
        """
        if isinstance(place, slice):
            return [self[k] for k in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        first = int(np.searchsorted(self._ends, place, side="right"))
        start = int(self._ends[first - 1]) if first else 0
        image = self._indices[first].at(int(self._own[first][place - start]))
        annotations: list[CocoAnnotation] = []
        for index in self._indices:
            twin = image if index is self._indices[first] else index.same(image)
            if twin is None:
                continue
            if (twin.height, twin.width) != (image.height, image.width):
                raise UsageError(f"{index.path}: image {twin.id} is of another size than in "
                                 f"{self._indices[first].path}; they are not one photograph")
            annotations += without_duplicates(annotations, index.annotations(twin), image.height,
                                              image.width)
        return CocoImage(image.id, image.path, image.height, image.width, tuple(annotations))


def without_duplicates(known: Sequence[CocoAnnotation], more: Sequence[CocoAnnotation], height: int,
                       width: int, same_iou: float = SAME_IOU) -> list[CocoAnnotation]:
    """Return those of `more` that are no instance of `known` drawn again.

    Args:
      known: instances that are there; crowds among them hide nothing.
      more: instances of another file; crowds are kept.
      height, width: of the image, px.
      same_iou: from this IoU on two masks are one object.
    """
    if not known:
        return list(more)
    masks = [decode_mask(one, height, width) > 0 for one in known if not one.iscrowd]
    areas = [int(mask.sum()) for mask in masks]
    additions = []
    for other in more:
        if not other.iscrowd:
            mask = decode_mask(other, height, width) > 0
            area = int(mask.sum())
            # The smaller area over the larger bounds the IoU: most pairs need no look.
            near = (one for one, known_area in zip(masks, areas)
                    if min(area, known_area) >= same_iou * max(area, known_area, 1))
            if any(_iou(one, mask) >= same_iou for one in near):
                continue
        additions.append(other)
    return additions


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0


def _own_places(before: Sequence[CocoIndex], index: CocoIndex) -> Any:
    """Return the places of an index whose photographs no index before has with an object."""
    if not before:
        return range(len(index))
    return np.fromiter(index.places_without(before), np.int32)
