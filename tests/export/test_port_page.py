"""The examples of docs/port.md: its Python, its commands and its JSON.

PyTorch and the published code are not installed here. The Python runs on stand-ins with numpy
behind them; what `torch.onnx.export` would write is the graph that it did write
(tests/golden/port/make.py), so the page's own commands go on from there.
"""
from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import shlex
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export import port
from export.convert.onnx_graph import RANGES, read_click_graph
from export.convert.onnx_model import convert_onnx
from export.porting.checkpoint import EXPORT_FLAGS
from oace_tf.clicks import Click, pack_points
from oace_tf.runtime.model import open_model
from oace_tf.training.settings import TrainSettings
from oace_tf.workers import apart
from tests.export import click_model
from tests.golden.port import refill

onnx = pytest.importorskip("onnx")
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "port.md").read_text(encoding="utf-8")
Calls = dict[str, dict[str, Any]]  # arguments and result of `torch.onnx.export`, by the file's name
GRAPHS = {"hrnet18s.onnx": "hrnet18s", "ritm18s.onnx": "ritm_hrnet18s"}  # file: golden graph


def blocks(language: str) -> list[str]:
    """Return the page's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


class Module:
    """`torch.nn.Module`: what is called runs `forward`."""

    training = True

    def eval(self) -> Module:
        """Leave training."""
        self.training = False
        return self

    def load_state_dict(self, state: Any) -> None:
        """Take a state dict."""
        self.state = state

    def __call__(self, *inputs: Any) -> Any:
        return self.forward(*inputs)  # type: ignore[attr-defined]


class Classifier(Module):
    """A network that classifies: image -> logits."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def forward(self, image: Any) -> Any:
        """Return (1, 1000)."""
        return np.zeros((len(image), 1000))


class Ritm(Module):
    """RITM's model, as far as the page uses it; each part leaves its mark."""

    def normalization(self, image: Any) -> Any:
        """Return the image, marked."""
        return image + 1000

    def maps_transform(self, maps: Any) -> Any:
        """Return the maps, marked."""
        return maps + 2000

    def backbone_forward(self, image: Any, maps: Any) -> dict[str, Any]:
        """Return a mask of a quarter of the size: the sum of all channels."""
        joined = np.concatenate((image, maps), axis=1)
        return {"instances": joined[:, :, ::4, ::4], "instances_aux": None}


def interpolate(value: Any, size: Any, mode: str, align_corners: bool) -> Any:
    """Return the value repeated up to the size; only the bilinear and aligned one is RITM's."""
    assert mode == "bilinear" and align_corners
    factor = size[0] // value.shape[2]
    return value.repeat(factor, axis=2).repeat(factor, axis=3)


def stand_ins(exported: Calls) -> dict[str, Any]:
    """Return modules by name; `torch.onnx.export` keeps its arguments and writes a golden graph."""
    def export(model: Any, args: Any, path: str, **options: Any) -> None:
        values = args if isinstance(args, tuple) else (args,)
        exported[path] = {"model": model, "values": values, "result": model(*values), **options}
        Path(path).write_bytes(refill.graph(GRAPHS[path]).SerializeToString())

    rng = np.random.default_rng(3)
    onnx_module = types.SimpleNamespace(export=export,
                                        TrainingMode=types.SimpleNamespace(PRESERVE="PRESERVE"))
    functional = types.SimpleNamespace(interpolate=interpolate)
    modules: dict[str, dict[str, Any]] = {
        "torch": {"onnx": onnx_module, "nn": types.SimpleNamespace(
            Module=Module, functional=functional),
            "randn": lambda *shape: rng.normal(size=shape), "rand": lambda shape: rng.random(shape),
            "cat": lambda values, dim: np.concatenate(values, axis=dim),
            "load": lambda path, map_location: {"from": path}},
        "yaml": {"safe_load": lambda text: {"text": text}},
        "models": {}, "models.cls_hrnet": {"get_cls_net": Classifier},
        "isegm": {}, "isegm.inference": {},
        "isegm.inference.utils": {"load_is_model": lambda path, device: Ritm()}}
    made = {name: types.ModuleType(name) for name in modules}
    for name, names in modules.items():
        vars(made[name]).update(names)
    return made


@contextlib.contextmanager
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """Run the page's Python in a folder; yields the arguments of each export."""
    exported: Calls = {}
    with monkeypatch.context() as patch:
        for name, module in stand_ins(exported).items():
            patch.setitem(sys.modules, name, module)
        patch.chdir(folder)
        for name in re.findall(r'"(experiments/\S+\.yaml)"', PAGE):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("MODEL: {}\n", encoding="utf-8")
        names: dict[str, Any] = {}
        for number, code in enumerate(blocks("python"), 1):
            exec(compile(code, f"docs/port.md, block {number}", "exec"), names)
        yield exported


def test_python_runs_and_exports_what_the_port_takes(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_folder(tmp_path, monkeypatch) as exported:
        assert set(exported) == set(GRAPHS)
        for path, call in exported.items():
            graph = onnx.load(path).graph
            assert call["input_names"] == [entry.name for entry in graph.input]
            ours = [value.shape[:2] for value in call["values"]]
            assert ours == [tuple(d.dim_value for d in entry.type.tensor_type.shape.dim[:2])
                            for entry in graph.input]
            assert all(side % 32 == 0 for value in call["values"] for side in value.shape[2:])
            assert call["model"].training is False and call["opset_version"] == 17
            flags = {"dynamo": False, "do_constant_folding": False, "training": "PRESERVE"}
            assert {name: call[name] for name in flags} == flags
    for flag in ("dynamo=False", "do_constant_folding=False",
                 "training=torch.onnx.TrainingMode.PRESERVE"):  # what the refusal advises
        assert flag in EXPORT_FLAGS and flag in "".join(blocks("python"))


def test_ritm_gets_its_inputs_in_its_own_order(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photograph normalised once; previous mask before the disks, which are not drawn again."""
    with in_folder(tmp_path, monkeypatch) as exported:
        call = exported["ritm18s.onnx"]
    image, previous, clicks = call["values"]
    joined = np.concatenate((image + 1000, previous + 2000, clicks + 2000), axis=1)
    assert call["result"].shape == (1, 6, 512, 512)
    np.testing.assert_array_equal(call["result"][:, :, ::4, ::4], joined[:, :, ::4, ::4])


@pytest.mark.slow
def test_the_first_command_runs_on_what_the_python_wrote(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """The other two go on from its file: tests/export/convert/test_ritm.py."""
    pytest.importorskip("onnxruntime")
    first, second, third = (shlex.split(line) for line in "".join(blocks("bash")).splitlines())
    with in_folder(tmp_path, monkeypatch):
        assert first[:2] == ["python", "export/port.py"]
        monkeypatch.chdir(tmp_path)
        assert port.main(first[2:]) == 0, capsys.readouterr().err
        weights = first[first.index("--out") + 1]
        assert Path(weights).is_file() and Path(f"{weights}.port.json").is_file()
    assert second[second.index("--weights") + 1] == weights
    assert third[third.index("--model") + 1].startswith(second[second.index("--out") + 1] + "/")


def test_the_file_of_inputs_is_taken(tmp_path: Path) -> None:
    (text,) = re.findall(r'`(\{"image": .*?\})`', PAGE)
    ranges = re.search(r"`range` one of (.*?)\.\s", PAGE, re.DOTALL)
    assert ranges and set(re.findall(r"`(\w+)`", ranges[1])) == set(RANGES)
    path = tmp_path / "click.onnx"
    path.write_bytes(click_model.build().SerializeToString())
    (tmp_path / "click.onnx.inputs.json").write_text(text, encoding="utf-8")
    graph = read_click_graph(path)
    wanted = json.loads(text)
    assert graph.range == wanted.pop("range") == "symmetric"
    assert dict(graph.roles) == wanted


@pytest.mark.slow
def test_onnx2tf_does_what_the_parameter_file_says(tmp_path: Path) -> None:
    """As it stands the file changes nothing: these are the graph's own numbers. Others are seen."""
    if importlib.util.find_spec("onnx2tf") is None:  # to import it lifts the limit of recursion
        pytest.skip("the extra `port` is not installed")
    (text,) = blocks("json")
    assert "0.229, 0.224, 0.225" in text
    rng = np.random.default_rng(6)
    image = rng.integers(0, 256, (click_model.SIDE, click_model.SIDE, 3)).astype(np.uint8)
    previous = rng.random(image.shape[:2]).astype(np.float32)
    points = pack_points([Click(12, 40)], 4)
    masks = {}
    for name, content in (("none", None), ("page", text),
                          ("other", text.replace("0.229, 0.224, 0.225", "0.5, 0.5, 0.5"))):
        folder = tmp_path / name
        folder.mkdir()
        graph = click_model.build()
        (division,) = (node for node in graph.graph.node if node.op_type == "Div")
        assert division.input[1] == "std"
        division.name = "/normalize/Div"
        (folder / "click.onnx").write_bytes(graph.SerializeToString())
        if content is not None:
            (folder / "click.onnx2tf.json").write_text(content, encoding="utf-8")
        apart(convert_onnx, folder / "click.onnx", None, 4, click_model.SIDE, folder / "f.tflite")
        masks[name] = open_model(folder / "f.tflite").run(image, points, previous)
    np.testing.assert_array_equal(masks["page"], masks["none"])
    assert np.abs(masks["other"] - masks["none"]).max() > 0.05  # measured: mean 0.37 -> 0.43


def test_the_settings_of_distilling_are_taken() -> None:
    page = (ROOT / "docs" / "trainer.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    settings = json.loads(f"{{{text}}}")
    taken = TrainSettings.from_json(settings, "docs/trainer.md").distill
    assert taken is not None and taken.weight == settings["distill"]["weight"]
    assert (ROOT / taken.teacher).is_file()
