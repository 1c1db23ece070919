"""Marks: what the page sends, and what it means together."""
from __future__ import annotations

import json
from typing import Any

import pytest

from oace_tf.clicks import Click
from oace_tf.demo.marks import (
    Mark,
    gesture_of,
    means_an_object,
    parse_marks,
    parse_request,
    steps,
    unchosen,
)
from oace_tf.errors import UsageError

TAP = Mark("tap", ((3.0, 4.0),))
OFF = Mark("tap", ((9.0, 9.0),), on_object=False)
BOX = Mark("box", ((1.0, 2.0), (30.0, 40.0)))


def test_every_kind_is_read() -> None:
    rows: list[dict[str, Any]] = [
        {"kind": "tap", "points": [[3, 4]]},
        {"kind": "scribble", "points": [[1, 1], [2, 2], [3, 3]], "object": False},
        {"kind": "box", "points": [[1, 2], [30, 40]], "object": True, "choice": 2},
        {"kind": "drag", "points": [[5, 5], [9, 9]]},
        {"kind": "extreme", "points": [[0, 5], [9, 5], [5, 0], [5, 9]]}]
    marks = parse_marks(rows)
    assert marks[0] == TAP and marks[2].choice == 2 and not marks[1].on_object
    gesture = gesture_of(marks)
    assert gesture.kinds == {"tap", "background", "box", "drag", "extreme"}
    assert gesture.taps == (Click(3, 4), *(Click(k, k, False) for k in (1, 2, 3)))
    assert gesture.box == (1, 2, 30, 40) and gesture.drag == ((5, 5), (9, 9))
    request = json.dumps({"marks": rows, "refine": True}).encode()
    assert parse_request(request) == (marks, {"refine": True})


@pytest.mark.parametrize("rows", [
    None, {}, [1], [[1, 2, True]], [{}], [{"kind": "tap"}],
    [{"kind": "circle", "points": [[1, 1]]}],
    [{"kind": ["tap"], "points": [[1, 1]]}], [{"kind": "tap", "points": []}],
    [{"kind": "tap", "points": [[1, 1], [2, 2]]}], [{"kind": "box", "points": [[1, 1]]}],
    [{"kind": "tap", "points": [[1]]}], [{"kind": "tap", "points": [["a", 1]]}],
    [{"kind": "tap", "points": [[float("nan"), 1]]}], [{"kind": "tap", "points": [[10**400, 1]]}],
    [{"kind": "tap", "points": [[1, 1]], "object": 1}],
    [{"kind": "tap", "points": [[1, 1]], "choice": True}],
    [{"kind": "box", "points": [[1, 1], [2, 2]], "object": False}]])
def test_anything_else_is_refused(rows: Any) -> None:
    with pytest.raises(UsageError):
        parse_marks(rows)


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b"null", b"\xff", b"[" * 5000])
def test_requests_that_are_none(body: bytes) -> None:
    with pytest.raises(UsageError, match="a request is"):
        parse_request(body)


def test_the_last_box_counts() -> None:
    assert gesture_of([Mark("box", ((0.0, 0.0), (1.0, 1.0))), BOX]).box == (1, 2, 30, 40)
    with pytest.raises(UsageError):
        gesture_of([OFF])


def test_steps_are_what_was_answered() -> None:
    assert steps([OFF, TAP, BOX]) == [(OFF, TAP), (OFF, TAP, BOX)]
    assert not means_an_object([OFF]) and means_an_object([OFF, BOX])


def test_the_answer_that_was_taken_does_not_change_the_question() -> None:
    taken = Mark("tap", ((3.0, 4.0),), choice=1)
    assert unchosen([taken]) == (TAP,) and unchosen([taken, TAP]) == (taken, TAP)
    assert unchosen([]) == ()
