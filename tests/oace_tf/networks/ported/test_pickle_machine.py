"""The pickle machine: plain values as Python's own, nothing else built, damage refused."""
from __future__ import annotations

import datetime
import io
import pickle
from typing import Any

import numpy as np
import pytest

from oace_tf.networks.ported.containers import Refused
from oace_tf.networks.ported.pickle_machine import PickleMachine, Storage, Tensor, Unbuilt

PLAIN = {"numbers": [0, -1, 255, 65536, 2**70, 1.5], "flags": (True, False, None),
         "text": ["", "a", "\u00e4" * 300], "nested": {"one": {"two": [(), (1,), (1, 2, 3, 4)]}},
         7: {"whole": "number as a key"}}


def run(content: bytes) -> Any:
    """Return what a pickle builds."""
    return PickleMachine().run(io.BytesIO(content))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_as_python_reads_them(protocol: int) -> None:
    assert run(pickle.dumps(PLAIN, protocol)) == PLAIN
    shared = ["once"]
    again = run(pickle.dumps([shared, shared], protocol))
    assert again == [shared, shared] and again[0] is again[1]


def test_pickles_in_a_row_are_read_one_by_one() -> None:
    stream = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps([2], 4) + b"rest")
    assert [PickleMachine().run(stream), PickleMachine().run(stream)] == [1, [2]]
    assert stream.read() == b"rest"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_other_objects_are_named_and_not_built(protocol: int) -> None:
    values = run(pickle.dumps({"date": datetime.date(2020, 2, 2), "kept": 1}, protocol))
    assert values["kept"] == 1 and isinstance(values["date"], Unbuilt)
    assert values["date"].name
    array, = run(pickle.dumps([np.float64(0.5)], protocol))
    assert isinstance(array, Unbuilt)


def test_no_function_is_called() -> None:
    value = run(b"cposix\nsystem\n(S'false'\ntR.")
    assert isinstance(value, Unbuilt) and "posix.system" in value.name


def storage(kind: str = "FloatStorage", count: int = 6) -> bytes:
    """Return the pickled reference to the storage `key`."""
    return b"(S'storage'\nctorch\n" + kind.encode() + (
        b"\nS'key'\nS'cpu'\nK" + bytes([count]) + b"tQ")


def test_a_tensor_is_a_view_of_its_storage() -> None:
    machine = PickleMachine()
    tensor = machine.run(io.BytesIO(
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage() + b"K\x01(K\x02K\x03t(K\x03K\x01t"
        b"\x89NtR."))
    reference = Storage("key", "FloatStorage", 6)
    assert tensor == Tensor(reference, 1, (2, 3), (3, 1))
    assert machine.storages == {"key": reference}


@pytest.mark.parametrize("content, words", [
    (b"", "pickle"), (b"K\x01", "exhausted before seeing STOP"), (b".", "empty stack"),
    (b"(.", "empty stack"), (b"t.", "misses a mark"), (b"h\x05.", "recalls entry 5"),
    (b"K\x01K\x02a.", "no list"), (b"}K\x01s.", "no dict"), (b"K\x01)R.", "no function"),
    (b"\x82\x01.", "EXT1; refused"), (storage()[:-1] + b"K\x01Q.", "no storage"),
    (storage() + storage(count=5) + b".", "in two ways")])
def test_damage_is_a_value_error(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run(content)


def test_unknown_numbers_are_refused() -> None:
    with pytest.raises(Refused, match="torch.QUInt2x4Storage"):
        run(storage("QUInt2x4Storage") + b".")
