"""Marks: what a person drew on the open photograph, one after the other, as the page sends them."""
from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.gestures import XY, Gesture

# Kinds of marks, and how many points each has; None: one at least.
POINTS: Mapping[str, int | None] = {"tap": 1, "scribble": None, "box": 2, "drag": 2, "extreme": 4}
EITHER = ("tap", "scribble")  # these may also mark what is not the object
FORM = ('marks are a JSON list such as [{"kind": "tap", "points": [[290, 120]], "object": true}]; '
        f"kinds are {', '.join(POINTS)}")
LABELS_FORM = ('a request is {"labels": [{"name": "cup", "strokes": [[[290, 120], [300, 150]]]}]}; '
               "the strokes of the label background are on no object")
MOST_LABELS = 32  # of one photograph: each costs a run of the file


@dataclass(frozen=True, slots=True)
class Mark:
    """One movement of the hand.

    Attributes:
      kind: one of `POINTS`; a scribble is taps along a stroke.
      points: in pixels of the photograph (centres are whole numbers): of a box two corners, of a
        drag its beginning and its end.
      on_object: False for taps and scribbles on the background.
      choice: which of the file's several answers was taken, or None for its mask.
    """

    kind: str
    points: tuple[XY, ...]
    on_object: bool = True
    choice: int | None = None

    @property
    def taps(self) -> tuple[Click, ...]:
        """The taps of a tap or a scribble; none of others."""
        if self.kind not in EITHER:
            return ()
        return tuple(Click(x, y, self.on_object) for x, y in self.points)


def parse_marks(rows: Any) -> tuple[Mark, ...]:
    """Return the marks that a list of JSON objects says.

    Raises:
      UsageError: it is no such list, or a number is not finite.
    """
    if not isinstance(rows, list):
        raise UsageError(FORM)
    return tuple(_mark(row) for row in rows)


def parse_request(body: bytes) -> tuple[tuple[Mark, ...], dict[str, Any]]:
    """Return the marks and the other values of a request {"marks": [...], ...}.

    Raises:
      UsageError: as `parse_marks`, or no JSON object.
    """
    try:
        request = json.loads(body)
        marks = request.pop("marks")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise UsageError(f'a request is {{"marks": [...]}}; {FORM}') from None
    return parse_marks(marks), request


def parse_strokes(body: bytes) -> tuple[dict[str, list[list[XY]]], dict[str, Any]]:
    """Return strokes by label, and the other values, of a request {"labels": [...], ...}.

    Raises:
      UsageError: it is no such request, a label comes twice or has no name, or there are too many.
    """
    try:
        request = json.loads(body)
        strokes = {row["name"]: [[(float(x), float(y)) for x, y in stroke]
                                for stroke in row["strokes"]] for row in request["labels"]}
        count = len(request.pop("labels"))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, OverflowError):
        raise UsageError(LABELS_FORM) from None
    if count > MOST_LABELS:
        raise UsageError(f"{count} labels; the page takes at most {MOST_LABELS}")
    if len(strokes) != count or not all(isinstance(name, str) and name.strip()
                                        for name in strokes):
        raise UsageError("each label has a name of its own; " + LABELS_FORM)
    return strokes, request


def gesture_of(marks: Sequence[Mark]) -> Gesture:
    """Return marks as one gesture: all taps, and of boxes, drags and outlines the last of each.

    Raises:
      UsageError: nothing says which object is meant; see `Gesture`.
    """
    last = {mark.kind: mark.points for mark in marks}
    box, drag = last.get("box"), last.get("drag")
    return Gesture(taps=tuple(tap for mark in marks for tap in mark.taps),
                   box=None if box is None else (*box[0], *box[1]),
                   extreme=last.get("extreme", ()),
                   drag=None if drag is None else (drag[0], drag[1]))


def means_an_object(marks: Sequence[Mark]) -> bool:
    """Return whether something says which object is meant."""
    return any(mark.on_object for mark in marks)


def steps(marks: Sequence[Mark]) -> list[tuple[Mark, ...]]:
    """Return what was drawn when each answer was given: marks up to each, the last one all."""
    parts = [tuple(marks[:count]) for count in range(1, len(marks) + 1)]
    return [part for part in parts if means_an_object(part)]


def unchosen(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """Return marks as they are asked about: which answer is taken of the last one comes later."""
    return (*marks[:-1], replace(marks[-1], choice=None)) if marks else ()


def _mark(row: Any) -> Mark:
    try:
        kind, choice = row["kind"], row.get("choice")
        points = tuple((float(x), float(y)) for x, y in row["points"])
        on_object = row.get("object", True)
        count = POINTS[kind]
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        raise UsageError(FORM) from None
    if not isinstance(on_object, bool) or not (choice is None or type(choice) is int):
        raise UsageError(FORM)
    if not points or (count is not None and len(points) != count):
        raise UsageError(f"a {kind} has {count or 'at least one'} points, got {len(points)}")
    if not on_object and kind not in EITHER:
        raise UsageError(f"a {kind} marks the object; the background is marked by "
                         f"{' or '.join(EITHER)}")
    if not all(math.isfinite(number) for point in points for number in point):
        raise UsageError(f"a {kind} must have finite coordinates")
    return Mark(kind, points, on_object, choice)
