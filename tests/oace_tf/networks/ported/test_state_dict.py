"""The restricted .pth reader, on files that the tests write by hand, opcode by opcode."""
from __future__ import annotations

import argparse
import collections
import datetime
import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.networks.ported.state_dict import LEGACY_MAGIC, LEGACY_PROTOCOL, read_pth

NONE, FALSE, TRUE, EMPTY_DICT, EMPTY_LIST, REDUCE = b"N", b"\x89", b"\x88", b"}", b"]", b"R"

# name -> (storage class, stored bytes as array, offset, size, stride, expected)
BASE = np.arange(24, dtype="<f4")
ENTRIES: dict[str, tuple[str, np.ndarray, int, tuple[int, ...], tuple[int, ...], np.ndarray]] = {
    "plain": ("FloatStorage", BASE, 0, (4, 6), (6, 1), BASE.reshape(4, 6)),
    "transposed": ("FloatStorage", BASE, 0, (6, 4), (1, 6), BASE.reshape(4, 6).T),
    "part": ("FloatStorage", BASE, 7, (2, 2), (6, 2), BASE.reshape(4, 6)[1:3, 1:5:2]),
    "half": ("HalfStorage", np.array([1.5, -2], "<f2"), 0, (2,), (1,), np.array([1.5, -2], "f2")),
    "bfloat16": ("BFloat16Storage", np.array([0x3FC0, 0xC000], "<u2"), 0, (2,), (1,),
                 np.array([1.5, -2], "f4")),
    "double": ("DoubleStorage", np.array([0.1], "<f8"), 0, (1,), (1,), np.array([0.1])),
    "steps": ("LongStorage", np.array([2**40], "<i8"), 0, (), (), np.array(2**40)),
    "signs": ("CharStorage", np.array([-1, 1], "i1"), 0, (2, 1), (1, 1),
              np.array([[-1], [1]], "i1")),
    "flags": ("BoolStorage", np.array([1, 0, 2], "u1"), 0, (3,), (1,),
              np.array([True, False, True])),
    "empty": ("FloatStorage", np.zeros(0, "<f4"), 0, (0, 3), (3, 1), np.zeros((0, 3), "f4")),
}


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def _number(value: int) -> bytes:
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)  # LONG1


def _tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _dict(items: dict[str, bytes]) -> bytes:
    made = _global("collections", "OrderedDict") + b")" + REDUCE
    return made + b"(" + b"".join(_text(key) + value for key, value in items.items()) + b"u"


def _storage(kind: str, key: str, count: int, legacy: bool) -> bytes:
    view = (NONE,) if legacy else ()
    return _tuple(_text("storage"), _global("torch", kind), _text(key), _text("cpu"),
                  _number(count), *view) + b"Q"


def _tensor(storage: bytes, offset: int, size: tuple[int, ...],
            stride: tuple[int, ...]) -> bytes:
    return _global("torch._utils", "_rebuild_tensor_v2") + _tuple(
        storage, _number(offset), _tuple(*map(_number, size)), _tuple(*map(_number, stride)),
        FALSE, _global("collections", "OrderedDict") + b")" + REDUCE) + REDUCE


def _pickle(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def _legacy(body: bytes, storages: dict[str, np.ndarray]) -> bytes:
    keys = EMPTY_LIST + b"(" + b"".join(map(_text, storages)) + b"e"
    head = [_number(LEGACY_MAGIC), _number(LEGACY_PROTOCOL), EMPTY_DICT, body, keys]
    raw = [struct.pack("<q", array.size) + array.tobytes() for array in storages.values()]
    return b"".join(map(_pickle, head)) + b"".join(raw)


def _zip(body: bytes, storages: dict[str, np.ndarray], order: str | None = "little",
         method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("net/data.pkl", _pickle(body))
        if order is not None:
            archive.writestr("net/byteorder", order)
        for key, array in storages.items():
            archive.writestr(f"net/data/{key}", array.tobytes())
    return file.getvalue()


def _whole(legacy: bool) -> bytes:
    """Return a file of all ENTRIES; those from BASE share one storage."""
    keys = {name: "0" if stored is BASE else name for name, (_, stored, *_) in ENTRIES.items()}
    storages = {keys[name]: stored for name, (_, stored, *_) in ENTRIES.items()}
    body = _dict({name: _tensor(_storage(kind, keys[name], stored.size, legacy), offset, size,
                                stride)
                  for name, (kind, stored, offset, size, stride, _) in ENTRIES.items()})
    return _legacy(body, storages) if legacy else _zip(body, storages)


def _one(legacy: bool = False, kind: str = "FloatStorage", offset: int = 0,
         size: tuple[int, ...] = (24,), stride: tuple[int, ...] = (1,), count: int = 24,
         stored: np.ndarray = BASE) -> bytes:
    body = _dict({"a": _tensor(_storage(kind, "0", count, legacy), offset, size, stride)})
    return _legacy(body, {"0": stored}) if legacy else _zip(body, {"0": stored})


def _read(folder: Path, data: bytes) -> dict[str, np.ndarray]:
    path = folder / "net.pth"
    path.write_bytes(data)
    return read_pth(path)


def _refusal(folder: Path, data: bytes) -> str:
    with pytest.raises(UsageError) as caught:
        _read(folder, data)
    assert "net.pth" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("legacy", [True, False])
def test_every_kind_of_tensor(tmp_path: Path, legacy: bool) -> None:
    tensors = _read(tmp_path, _whole(legacy))
    assert list(tensors) == list(ENTRIES)
    for name, (*_, expected) in ENTRIES.items():
        assert tensors[name].dtype == expected.dtype and tensors[name].shape == expected.shape
        np.testing.assert_array_equal(tensors[name], expected)
        assert not tensors[name].flags.writeable


def test_big_endian_archive(tmp_path: Path) -> None:
    body = _dict({"a": _tensor(_storage("FloatStorage", "0", 24, False), 0, (24,), (1,))})
    tensors = _read(tmp_path, _zip(body, {"0": BASE.astype(">f4")}, "big"))
    np.testing.assert_array_equal(tensors["a"], BASE)
    assert tensors["a"].dtype == np.float32
    assert "byte order" in _refusal(tmp_path, _zip(body, {"0": BASE}, "mixed"))
    np.testing.assert_array_equal(_read(tmp_path, _zip(body, {"0": BASE}, None))["a"], BASE)


@pytest.mark.parametrize("legacy", [True, False])
def test_checkpoint_around_the_state_dict(tmp_path: Path, legacy: bool) -> None:
    parameter = _global("torch._utils", "_rebuild_parameter") + _tuple(
        _tensor(_storage("FloatStorage", "0", 24, legacy), 0, (4, 6), (6, 1)), TRUE,
        _global("collections", "OrderedDict") + b")" + REDUCE) + REDUCE
    # torch hangs `_metadata` on the state dict: BUILD with a dict
    state = _dict({"w": parameter}) + EMPTY_DICT + _text("_metadata") + EMPTY_DICT + b"s" + b"b"
    moment = _tensor(_storage("DoubleStorage", "1", 2, legacy), 0, (2,), (1,))
    body = _dict({"epoch": _number(3), "moment": moment, "state_dict": state})
    storages = {"1": np.zeros(2), "0": BASE}
    tensors = _read(tmp_path, _legacy(body, storages) if legacy else _zip(body, storages))
    assert list(tensors) == ["w"]
    np.testing.assert_array_equal(tensors["w"], BASE.reshape(4, 6))


@pytest.mark.parametrize("asked", [
    _global("os", "system"), _global("posix", "system"), _global("builtins", "eval"),
    _global("torch", "load"), _global("torch._utils", "_rebuild_tensor_v3"),
    _global("collections", "Counter"), _global("torch", "FloatStorage.__init__"),
    _text("os") + _text("system") + b"\x93",  # STACK_GLOBAL
])
def test_other_names_are_refused(tmp_path: Path, asked: bytes) -> None:
    body = asked + _tuple(_text(f"touch {tmp_path}/ran")) + REDUCE
    for data in (_legacy(body, {}), _zip(body, {})):
        assert "asks for" in _refusal(tmp_path, data)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("body", "word"), [
    (b"(i" + b"os\nsystem\n", "asks for os.system"),
    (b"(" + _global("os", "system") + b"o", "asks for os.system"),
    (_global("os", "system") + b")\x81", "asks for os.system"),
    (b"i" + b"os\nsystem\n", "misses a mark"),
    (b"\x82\x01", "EXT1"),
    (_global("collections", "OrderedDict") + _tuple(_tuple()) + REDUCE, "wrongly"),
    (_text("a") + b")" + REDUCE, "no function"),
    (_number(1) + _number(1) + b"b", "no dict"),
    (b"h\x07", "never stored"),
    (b"t", "mark"),
    (b"0", "POP"),
    (b"", "empty stack"),
    (_text("weights"), "expected a dict"),
    (_dict({"a": _number(1)}), "'a'"),
    (_dict({"a": _text("x")}), "'a'"),
    (_text("a") + b"Q", "no storage"),
])
def test_what_is_no_state_dict(tmp_path: Path, body: bytes, word: str) -> None:
    for data in (_legacy(body, {}), _zip(body, {})):
        assert word in _refusal(tmp_path, data)


def test_a_huge_memo_index_costs_nothing(tmp_path: Path) -> None:
    body = _dict({"a": _tensor(_storage("FloatStorage", "0", 24, False), 0, (24,), (1,))})
    body += b"r\xff\xff\xff\x7f"  # LONG_BINPUT: the C unpickler allocates 32 GB here
    np.testing.assert_array_equal(_read(tmp_path, _zip(body, {"0": BASE}))["a"], BASE)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("change", [
    {"size": (25,)}, {"offset": 1}, {"stride": (2,)}, {"size": (2**61, 2**61), "stride": (1, 1)},
    {"offset": 2**61}, {"stride": (2**61,)}, {"offset": -1}, {"size": (-1,)}, {"stride": (-1,)},
    {"size": (10**9,), "stride": (0,)}, {"size": (24,), "stride": ()}, {"count": 25},
    {"count": 23}, {"count": 2**61}, {"count": -1}, {"kind": "DoubleStorage"},
    {"size": (1,) * 40, "stride": (1,) * 40}, {"size": (0, 2**61, 2**61), "stride": (1, 1, 1)},
    {"size": (0, 2**80), "stride": (1, 1)},
])
def test_numbers_that_do_not_fit(tmp_path: Path, legacy: bool, change: dict) -> None:
    _refusal(tmp_path, _one(legacy, **change))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_stride_beside_one_element_may_be_any_number(tmp_path: Path, legacy: bool) -> None:
    data = _one(legacy, size=(1, 24), stride=(2**61, 1))
    np.testing.assert_array_equal(_read(tmp_path, data)["a"], BASE[None])


def test_one_storage_described_twice(tmp_path: Path) -> None:
    body = _dict({"a": _tensor(_storage("FloatStorage", "0", 24, False), 0, (24,), (1,)),
                  "b": _tensor(_storage("IntStorage", "0", 24, False), 0, (24,), (1,))})
    assert "two ways" in _refusal(tmp_path, _zip(body, {"0": BASE}))


def test_archives_of_other_things(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/code.py", "")
    assert "data.pkl" in _refusal(tmp_path, file.getvalue())
    body = _dict({"a": _tensor(_storage("FloatStorage", "0", 24, False), 0, (24,), (1,))})
    assert "data/0" in _refusal(tmp_path, _zip(body, {}))
    assert "compressed" in _refusal(tmp_path, _zip(body, {"0": BASE}, "little", 8))
    _refusal(tmp_path, b"PK")
    _refusal(tmp_path, b"")
    _refusal(tmp_path, b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert "follow" in _refusal(tmp_path, _whole(True) + b"\0")


@pytest.mark.parametrize("legacy", [True, False])
def test_truncated_anywhere(tmp_path: Path, legacy: bool) -> None:
    data = _whole(legacy)
    for length in range(0, len(data), 7):
        _refusal(tmp_path, data[:length])
    _refusal(tmp_path, data[:-1])


@pytest.mark.parametrize("legacy", [True, False])
def test_flipped_bits_give_tensors_or_one_error(tmp_path: Path, legacy: bool) -> None:
    data = _whole(legacy)
    rng = np.random.default_rng(5)
    for place, bit in zip(rng.integers(0, len(data), 600), rng.integers(0, 8, 600)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << bit
        try:
            tensors = _read(tmp_path, bytes(flipped))
        except UsageError as error:
            assert "net.pth" in str(error)
        else:
            assert all(isinstance(array, np.ndarray) for array in tensors.values())


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(UsageError, match="cannot read"):
            read_pth(path)


# --- what trainers keep beside the weights


def _weights(legacy: bool, prefix: str = "") -> bytes:
    return _dict({f"{prefix}conv.weight": _tensor(_storage("FloatStorage", "0", 24, legacy), 0,
                                                  (4, 6), (6, 1))})


def _other(value: object, protocol: int) -> bytes:
    return pickle.dumps(value, protocol)[2 if protocol > 1 else 0:-1]


BESIDE: dict[str, object] = {
    "numpy scalar": np.float64(0.71), "numpy array": np.ones(3), "Namespace":
    argparse.Namespace(lr=1, name="x", inner=argparse.Namespace(a=[1])), "set": {1, 2},
    "frozenset": frozenset("ab"), "bytes": b"abc", "path": Path("x"), "complex": 1j,
    "date": datetime.datetime(2024, 1, 1), "keys": {(1, 2): 3, 0.5: 1, True: 2, None: 4},
    "defaultdict": collections.defaultdict(list, a=[1]), "counter": collections.Counter("ab"),
    "long": 2**3000, "deque": collections.deque([1]), "type": int, "function": len,
    "dtype": np.dtype("f4"), "random": np.random.PCG64(0).state}


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_what_stands_beside_the_weights_is_left_out(tmp_path: Path, legacy: bool,
                                                    protocol: int) -> None:
    for value in BESIDE.values():
        body = _dict({"best": _other(value, protocol), "state_dict": _weights(legacy),
                      "more": _other([value, {"deep": value}], protocol)})
        data = _legacy(body, {"0": BASE}) if legacy else _zip(body, {"0": BASE})
        tensors = _read(tmp_path, data)
        assert list(tensors) == ["conv.weight"]
        np.testing.assert_array_equal(tensors["conv.weight"], BASE.reshape(4, 6))


@pytest.mark.parametrize("keys", [("state_dict",), ("model",), ("model_state_dict",), ("net",),
                                  ("whatever",), ("model", "state_dict"), ("state_dict", "model")])
def test_where_the_weights_may_be(tmp_path: Path, keys: tuple[str, ...]) -> None:
    body = _weights(False, "module.")
    for key in reversed(keys):
        body = _dict({"epoch": _number(3), key: body, "optimizer": _dict({"state": EMPTY_DICT})})
    assert list(_read(tmp_path, _zip(body, {"0": BASE}))) == ["module.conv.weight"]


def test_the_moving_average_is_not_taken_for_the_weights(tmp_path: Path, caplog) -> None:
    body = _dict({"model_ema": _weights(False, "ema."), "model": _weights(False)})
    assert list(_read(tmp_path, _zip(body, {"0": BASE}))) == ["conv.weight"]
    assert "'model_ema' would be" in caplog.text
    body = _dict({"mine": _weights(False), "yours": _weights(False)})
    assert "several of its entries have tensors ('mine', 'yours')" in _refusal(
        tmp_path, _zip(body, {"0": BASE}))


def test_what_cannot_be_read_is_named_with_its_key(tmp_path: Path) -> None:
    weights = _tensor(_storage("FloatStorage", "0", 24, False), 0, (24,), (1,))
    body = _dict({"state_dict": _dict({"a": weights, "b": _other(np.ones(3), 2)})})
    told = _refusal(tmp_path, _zip(body, {"0": BASE}))
    assert "entry 'b' of checkpoint['state_dict'] is a numpy" in told and "torch.save(" in told
    assert "fetch" not in told
    for value in (argparse.Namespace(a=1), np.ones(3)):
        told = _refusal(tmp_path, _zip(_other(value, 2), {}))
        assert "never built" in told and "model.state_dict()" in told
    assert "none of its entries" in _refusal(tmp_path, _zip(_dict({"epoch": _number(1)}), {}))
    body = _dict({"a": weights, "bias": NONE, "q._extra_state": EMPTY_DICT})
    assert list(_read(tmp_path, _zip(body, {"0": BASE}))) == ["a"]


def test_files_that_are_handed_over_in_place_of_a_checkpoint(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        (tmp_path / "inner.pth").write_bytes(_one())
        archive.add(tmp_path / "inner.pth")
    for data, words in (((tmp_path / "x.tar").read_bytes(), "tar xf"),
                        (gzip.compress(_one()), "gunzip"),
                        (b"version https://git-lfs.github.com/spec/v1\noid x", "git lfs pull"),
                        (b"<!DOCTYPE html><html>", "web page")):
        assert words in _refusal(tmp_path, data)


def test_other_formats_under_the_name_of_a_checkpoint(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.savez(file, a=BASE)
    header = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    tensors = len(header).to_bytes(8, "little") + header + b"\0"
    for data, words in ((tensors, "name it .safetensors"),
                        (b"\x08\x08\x12\x07pytorch" + bytes(99), "name it .onnx"),
                        (b"\x1c\0\0\0TFL3" + bytes(99), "it is a .tflite file"),
                        (file.getvalue(), "a zip archive without a data.pkl"),
                        (pickle.dumps({"model": {"a": np.ones(3)}}), "torch.save did not write"),
                        (pickle.dumps([np.ones(3)], 2), "torch.save did not write")):
        told = _refusal(tmp_path, data)
        assert words in told and "fetch" not in told


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_python_2_and_the_first_releases_wrote(tmp_path: Path, wrapped: bool) -> None:
    weights = _global("torch._utils", "_rebuild_tensor") + _tuple(
        _storage("FloatStorage", "0", 24, True), _number(0), _tuple(_number(4), _number(6)),
        _tuple(_number(6), _number(1))) + REDUCE
    pairs = b"](" + b"](U\x01a" + weights + b"e" + b"e"  # an ordered dict as a list of pairs
    body = _global("collections", "OrderedDict") + _tuple(pairs) + REDUCE
    body += b"}" + _text("_metadata") + _dict({}) + b"sb"
    if wrapped:
        body = _dict({"epoch": _number(3), "state_dict": body})
    np.testing.assert_array_equal(_read(tmp_path, _legacy(body, {"0": BASE}))["a"],
                                  BASE.reshape(4, 6))


def test_numbers_of_kinds_that_came_later(tmp_path: Path) -> None:
    storage = _tuple(_text("storage"), _global("torch.storage", "UntypedStorage"), _text("0"),
                     _text("cpu"), _number(24)) + b"Q"
    told = _refusal(tmp_path, _zip(_dict({"a": storage}), {"0": BASE}))
    assert "numbers as torch.UntypedStorage" in told and "save the state dict as float32" in told


def test_what_stands_in_place_of_tensors_is_named(tmp_path: Path) -> None:
    model = _global("my.net", "Net") + b")\x81}b"
    assert "entry 'model' is a my.net.Net" in _refusal(tmp_path, _zip(_dict({"model": model}), {}))
    weights = _tensor(_storage("FloatStorage", "0", 24, False), 0, (24,), (1,))
    told = _refusal(tmp_path, _zip(b"}" + _number(0) + weights + b"s", {"0": BASE}))
    assert "entry 0 of checkpoint has a number for a name" in told


def test_small_files_that_claim_much(tmp_path: Path) -> None:
    stored = np.zeros(100_000, "<u2")
    tensor = _tensor(_storage("BFloat16Storage", "0", stored.size, False), 0, (stored.size,), (1,))
    body = _dict({f"a{k}": tensor for k in range(100)})
    assert "claim 10000000 numbers" in _refusal(tmp_path, _zip(body, {"0": stored}))


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_against_torch(tmp_path: Path, new_format: bool, protocol: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    layers = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    layers.register_buffer("turned", torch.arange(24.0).reshape(4, 6).t())
    layers.register_buffer("short", torch.randn(3, 4).bfloat16())
    expected = layers.state_dict()
    checkpoint = {"epoch": 3, "best": 0.5, "state_dict": expected}
    for saved in (expected, checkpoint):
        torch.save(saved, tmp_path / "net.pth", pickle_protocol=protocol,
                   _use_new_zipfile_serialization=new_format)
        tensors = read_pth(tmp_path / "net.pth")
        assert list(tensors) == list(expected)
        for name, tensor in expected.items():
            array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
            assert tensors[name].dtype == array.dtype and tensors[name].shape == array.shape
            np.testing.assert_array_equal(tensors[name], array)
