"""Settings from JSON: frozen dataclasses, those inside them included, every value of its type."""
from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from oace_tf.errors import UsageError, quoted

Settings = TypeVar("Settings")


def settings_from_json(kind: type[Settings], fields: Any, where: str) -> Settings:
    """Build a dataclass from a JSON object; missing keys keep their default.

    Args:
      kind: a dataclass whose fields are numbers, words, tuples, other dataclasses, or one or None.
      fields: the object. A tuple of pairs may be an object as well.
      where: the message starts with it: the file.
    Raises:
      UsageError: an unknown key, or a value of another type or out of range; the message names the
        key by its path, such as `phases[0].size`.
    """
    try:
        built: Settings = _built(kind, fields, "")
        return built
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _built(kind: Any, fields: Any, path: str) -> Any:
    if not isinstance(fields, Mapping):
        _refuse(path or "the file", fields, f"an object with the fields of {kind.__name__}")
    hints = typing.get_type_hints(kind)
    names = {entry.name for entry in dataclasses.fields(kind)}
    prefix = f"{path}." if path else ""
    for key in fields:
        if key not in names:
            raise UsageError(f"unknown key {quoted(prefix + str(key))!r}, "
                             f"known are {', '.join(sorted(names))}")
    values = {key: _value(hints[key], value, prefix + key) for key, value in fields.items()}
    try:
        return kind(**values)
    except UsageError as error:  # out of range; which of several it is, it does not know
        raise UsageError(f"{path}: {error}" if "[" in path else str(error)) from None


def _value(hint: Any, value: Any, path: str) -> Any:
    if isinstance(hint, types.UnionType):  # one kind, or None
        if value is None:
            return None
        hint, = (kind for kind in typing.get_args(hint) if kind is not types.NoneType)
    if dataclasses.is_dataclass(hint):
        return _built(hint, value, path)
    if typing.get_origin(hint) is tuple:
        return _tuple(typing.get_args(hint), value, path)
    if hint is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            _refuse(path, value, "a number that a float holds")
    if type(value) is not hint:
        _refuse(path, value, f"a value of type {hint.__name__}")
    return value


def _tuple(kinds: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    """Return a tuple of any length (`tuple[X, ...]`) or one of a certain length."""
    if kinds[-1] is not Ellipsis:
        if not isinstance(value, (list, tuple)) or len(value) != len(kinds):
            _refuse(path, value, f"a list of {len(kinds)}")
        return tuple(_value(kind, item, path) for kind, item in zip(kinds, value))
    if isinstance(value, Mapping) and typing.get_origin(kinds[0]) is tuple:
        return tuple(_value(kinds[0], (key, item), f"{path}.{key}") for key, item in value.items())
    if not isinstance(value, (list, tuple)):
        _refuse(path, value, "a list")
    return tuple(_value(kinds[0], item, f"{path}[{index}]") for index, item in enumerate(value))


def _refuse(path: str, value: Any, wanted: str) -> typing.NoReturn:
    raise UsageError(f"{path} is {quoted(repr(value))}, expected {wanted}")
