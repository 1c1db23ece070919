"""Settings from JSON: every value of its field's type, faults named by their path."""
from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from oace_tf.errors import UsageError
from oace_tf.settings_json import settings_from_json


@dataclass(frozen=True)
class Part:
    """Of the whole."""

    size: int = 1
    share: float = 0.5


@dataclass(frozen=True)
class Whole:
    """A field of every kind."""

    name: str = "a"
    on: bool = False
    parts: tuple[Part, ...] = ()
    shares: tuple[tuple[str, float], ...] = ()
    pair: tuple[int, int] = (1, 2)
    inner: Part = field(default_factory=Part)
    maybe: Part | None = None


def test_all_kinds_are_built_and_what_is_missing_keeps_its_default():
    assert settings_from_json(Whole, {}, "x.json") == Whole()
    built = settings_from_json(Whole, {
        "name": "b", "on": True, "parts": [{"size": 3}, {"share": 1}], "pair": [4, 5],
        "shares": {"cats": 1, "dogs": 0.5}, "inner": {"size": 2}, "maybe": {"size": 7}}, "x.json")
    assert built == Whole("b", True, (Part(3), Part(1, 1.0)), (("cats", 1.0), ("dogs", 0.5)),
                          (4, 5), Part(2), Part(7))
    assert type(built.parts[1].share) is float
    assert settings_from_json(Whole, {"shares": [["cats", 1.5]], "maybe": None}, "x.json") == Whole(
        shares=(("cats", 1.5),))


@pytest.mark.parametrize(("fields", "message"), (
    (3, "the file is 3, expected an object"),
    ({"nome": 1}, "unknown key 'nome', known are inner, maybe"),
    ({"inner": {"siz": 1}}, "unknown key 'inner.siz'"),
    ({"parts": [{}, {"siz": 1}]}, r"unknown key 'parts\[1\].siz'"),
    ({"name": 1}, "name is 1, expected a value of type str"),
    ({"on": 1}, "on is 1, expected a value of type bool"),
    ({"inner": {"size": True}}, "inner.size is True, expected a value of type int"),
    ({"parts": [{}, {"size": 1.0}]}, r"parts\[1\].size is 1.0, expected a value of type int"),
    ({"parts": {"size": 1}}, "parts is {'size': 1}, expected a list"),
    ({"pair": [1]}, r"pair is \[1\], expected a list of 2"),
    ({"shares": {"cats": "all"}}, "shares.cats.* is 'all', expected a value of type float"),
    ({"inner": None}, "inner is None, expected an object with the fields of Part"),
))
def test_faults_are_named_with_file_and_path(fields, message):
    with pytest.raises(UsageError, match=f"^x.json: {message}"):
        settings_from_json(Whole, fields, "x.json")
