"""Bad input of the port: one clear line, exit 2, nothing written."""
from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from export import port
from export.porting.checkpoint import read_checkpoint
from oace_tf.errors import UsageError

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def small_graph(opset: int = 17, norm: bool = True, names: bool = True) -> Any:
    """A convolution and a normalisation, as an ONNX model."""
    rng = np.random.default_rng(0)
    tensors = {"conv1.weight" if names else "onnx::Conv_7": rng.normal(size=(4, 3, 3, 3))}
    nodes = [helper.make_node("Conv", ["image", next(iter(tensors))], ["a"], pads=[1, 1, 1, 1])]
    if norm:
        tensors |= {f"bn1.{kind}": rng.random(4) + 0.5
                    for kind in ("weight", "bias", "running_mean", "running_var")}
        nodes.append(helper.make_node("BatchNormalization", ["a", *list(tensors)[1:]], ["b"]))
    shape = [1, 3, 8, 8]
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("b" if norm else "a", TensorProto.FLOAT, [1, 4, 8, 8])],
        [numpy_helper.from_array(value.astype(np.float32), name)
         for name, value in tensors.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def in_bytes(**options: Any) -> bytes:
    return small_graph(**options).SerializeToString()


def external() -> bytes:
    model = small_graph()
    onnx.external_data_helper.convert_model_to_external_data(model, location="weights.bin",
                                                             size_threshold=0)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    return model.SerializeToString()


def escaping() -> bytes:
    return external().replace(b"weights.bin", b"../evil.bin")


def truncated_zip() -> bytes:
    import io

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"x" * 500)
        archive.writestr("archive/data/0", b"y" * 5000)
    return stream.getvalue()[:3000]


class Evil:
    """Unpickled, it would leave a file behind."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("ran_code", "w"))


def damaged(**change: Any) -> bytes:
    """Return a graph of which the second initialiser has other fields."""
    model = small_graph()
    for name, value in change.items():
        if name == "dims":
            model.graph.initializer[1].dims[0] = value
        else:
            setattr(model.graph.initializer[1], name, value)
    return model.SerializeToString()


def versions(ir_version: int = 8, opset: int = 17) -> bytes:
    model = small_graph(opset=opset)
    model.ir_version = ir_version
    return model.SerializeToString()


def twice() -> bytes:
    model = small_graph()
    model.graph.initializer.append(model.graph.initializer[0])
    return model.SerializeToString()


def outside(**entries: str) -> bytes:
    """Return a graph of which an initialiser lies in a.onnx itself."""
    model = small_graph()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "a.onnx", **entries}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return model.SerializeToString()


def quantized() -> bytes:
    model = small_graph()
    del model.graph.initializer[:]
    model.graph.initializer.append(numpy_helper.from_array(np.ones((4, 3, 3, 3), np.int8), "a"))
    return model.SerializeToString()


def renamed(old: bytes) -> bytes:
    """Return a graph with a name that is no UTF-8."""
    return in_bytes().replace(old, b"\xff" + old[1:])


CASES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "text": ("a.onnx", lambda: b"hello, this is no graph", "not an ONNX file"),
    "empty": ("a.onnx", lambda: b"", "not an ONNX file"),
    "half": ("a.onnx", lambda: in_bytes()[:200], "not an ONNX file"),
    "folded": ("a.onnx", lambda: in_bytes(norm=False),
               r"batch normalisation is folded .* training=torch.onnx.TrainingMode.PRESERVE"),
    "names": ("a.onnx", lambda: in_bytes(names=False), r"lost their names .*onnx::Conv_7.* export"),
    "external": ("a.onnx", external, r"'weights.bin', which is not beside it"),
    "escape": ("a.onnx", escaping, r"'\.\./evil.bin'"),
    "opset": ("a.onnx", lambda: in_bytes(opset=9), "has opset 9, expected 11 or later"),
    "pickle": ("a.pth", lambda: pickle.dumps({"conv1.weight": Evil()}), "did not write"),
    "zip": ("a.pth", truncated_zip, "not a whole PyTorch state dict"),
    "safetensors": ("a.safetensors", lambda: save({"a": np.ones(9)})[:-8], "not a whole"),
    "whole numbers": ("a.safetensors", lambda: save({"a": np.ones(9, np.int64)}), "int64 numbers"),
    "nan": ("a.safetensors", lambda: save({"a": np.array([np.nan])}), "not finite"),
    "newer": ("a.onnx", lambda: versions(ir_version=99), r"IR version 99, .* takes \d+ at most"),
    "newer by one": ("a.onnx", lambda: versions(ir_version=onnx.IR_VERSION + 1), r"IR version"),
    "newer opset": ("a.onnx", lambda: versions(opset=99), r"opset 99, .* takes \d+ at most"),
    "type": ("a.onnx", lambda: damaged(data_type=99), r"initialiser bn1.weight is damaged"),
    "no type": ("a.onnx", lambda: damaged(data_type=0), r"initialiser bn1.weight is damaged"),
    "side": ("a.onnx", lambda: damaged(dims=-3), r"initialiser bn1.weight is damaged"),
    "huge": ("a.onnx", lambda: damaged(dims=2**40), r"initialiser bn1.weight is damaged"),
    "bytes": ("a.onnx", lambda: damaged(raw_data=b"12345"), r"initialiser bn1.weight is damaged"),
    "twice": ("a.onnx", twice, r"conv1.weight stands twice"),
    "name": ("a.onnx", lambda: renamed(b"conv1.weight"), r"is damaged \(no UTF-8\)"),
    "other name": ("a.onnx", lambda: renamed(b"BatchNormalization"), r"is damaged \(no UTF-8\)"),
    "input": ("a.onnx", lambda: renamed(b"image"), r"is damaged \(no UTF-8\)"),
    "long": ("a.onnx", lambda: outside(length="99999999"), "which has [0-9]+ bytes"),
    "far": ("a.onnx", lambda: outside(offset="-5"), "which has [0-9]+ bytes"),
    "nul": ("a.onnx", lambda: outside(location="a\0b"), "not beside it"),
    "folder": ("a.onnx", lambda: outside(location="."), "not beside it"),
    "pointer": ("a.safetensors", lambda: b"version https://git-lfs.github.com/spec/v1\n", "lfs"),
    "quantized": ("a.onnx", quantized, "whole numbers, of a quantized model; export the model as"),
    "tensors": ("a.onnx", lambda: save({"a": np.ones(9)}), "a .safetensors file; give the graph"),
    "graph": ("a.safetensors", in_bytes, "it is a .onnx file, not a .safetensors one; name it"),
    "suffix": ("a.h5", lambda: b"", r"a \.onnx, \.safetensors or \.pth"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_files_are_named_in_one_line(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    name, content, words = CASES[case]
    (tmp_path / name).write_bytes(content())
    with pytest.raises(UsageError, match=words) as caught:
        read_checkpoint(tmp_path / name)
    assert name in str(caught.value)

    code = port.main([str(tmp_path / name), "--network", "hrnet18s", "--out", "out.safetensors"])
    printed = capsys.readouterr()
    assert code == 2 and printed.out == ""
    assert printed.err.startswith("python export/port.py: error: ") and printed.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere.onnx"):
        read_checkpoint(tmp_path / "nowhere.onnx")


def test_external_weights_are_read_where_they_are(tmp_path: Path) -> None:
    model = small_graph()
    expected = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    onnx.save_model(model, tmp_path / "a.onnx", save_as_external_data=True, location="w.bin",
                    size_threshold=0)
    assert (tmp_path / "w.bin").stat().st_size > 400
    found = read_checkpoint(tmp_path / "a.onnx")
    assert found.tensors.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found.tensors[name], value)


def test_a_pointer_in_place_of_external_weights(tmp_path: Path) -> None:
    onnx.save_model(small_graph(), tmp_path / "a.onnx", save_as_external_data=True,
                    location="w.bin", size_threshold=0)
    (tmp_path / "w.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x\n")
    with pytest.raises(UsageError, match="in 'w.bin': it is a pointer of Git LFS.*git lfs pull"):
        read_checkpoint(tmp_path / "a.onnx")


def test_counters_are_left_out_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(save({
        "bn1.weight": np.ones(4, np.float16), "bn1.num_batches_tracked": np.array(7)}))
    found = read_checkpoint(tmp_path / "a.safetensors")
    assert found.counters == ("bn1.num_batches_tracked",)
    assert {name: value.dtype for name, value in found.tensors.items()} == {
        "bn1.weight": np.dtype(np.float32)}


@pytest.mark.parametrize(("arguments", "words"), (
    (["a.onnx"], "give --network and --out"),
    (["a.onnx", "--network", "hrnet18", "--out", "a.h5"], "written as .safetensors"),
    (["a.onnx", "--network", "hrnet18", "--out", "a.safetensors", "--seed", "-1"], "--seed")))
def test_bad_arguments_are_named(arguments: list[str], words: str,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    assert port.main(arguments) == 2
    assert words in capsys.readouterr().err


def bfloat16(values: np.ndarray) -> bytes:
    return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()


def test_bfloat16_in_every_container(tmp_path: Path) -> None:
    model = small_graph()
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        tensor.data_type = TensorProto.BFLOAT16
        tensor.raw_data = bfloat16(values[tensor.name])
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    place, header, data = 0, {}, b""
    for name, array in values.items():
        part = bfloat16(array)
        header[name] = {"dtype": "BF16", "shape": list(array.shape),
                        "data_offsets": [place, place + len(part)]}
        place, data = place + len(part), data + part
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    for name in ("a.onnx", "a.safetensors"):
        found = read_checkpoint(tmp_path / name)
        assert found.tensors.keys() == values.keys()
        for key, array in values.items():
            assert found.tensors[key].dtype == np.float32
            np.testing.assert_allclose(found.tensors[key], array, rtol=2**-7)


@pytest.mark.parametrize("name", ["a.pth.tar", "A.PTH", "a.ckpt", "a.pt", "pytorch_model.bin"])
def test_names_of_checkpoints(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no pickle")
    with pytest.raises(UsageError, match="not a whole PyTorch state dict"):
        read_checkpoint(tmp_path / name)


def test_a_number_that_float32_does_not_hold(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(save({"a": np.array([1e300, 1.0])}))
    with pytest.raises(UsageError, match="a.safetensors: tensor a holds values that float32"):
        read_checkpoint(path)


def test_a_tensor_that_stands_twice(tmp_path):
    entry = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    header = f"{{{entry},{entry}}}".encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(UsageError, match="the key 'a' stands twice"):
        read_checkpoint(path)
