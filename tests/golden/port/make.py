"""Make the ONNX graphs and golden outputs of the port's tests, with PyTorch and published code.

    python tests/golden/port/make.py CLASSIFICATION SEGMENTATION RITM

The arguments are checkouts of HRNet-Image-Classification (f760c98), of HRNet-Semantic-Segmentation,
branch HRNet-OCR (0bbb288), and of ritm_interactive_segmentation (b9b4460). Needs torch 2.13.0,
timm, onnx, yaml, and what those checkouts import. The published networks are instantiated as they
are, filled by `weights.seeded`, and run: the outputs here are PyTorch's. The graphs come from
`torch.onnx.export` as docs/port.md shows it; their weights are then taken out.
"""
from __future__ import annotations

import gzip
import importlib.abc
import importlib.machinery
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import yaml
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from weights import inputs, seeded  # noqa: E402

OPSET = 17


def fill(model: Any) -> Any:
    """Fill a PyTorch model by name; it is in evaluation mode then."""
    state = {name: torch.from_numpy(seeded(name, tuple(tensor.shape)))
             if tensor.is_floating_point() else tensor
             for name, tensor in model.state_dict().items()}
    model.load_state_dict(state, strict=True)
    return model.eval()


def export(key: str, model: Any, names: list[str], results: list[str]) -> dict[str, np.ndarray]:
    """Write the graph of a filled model, and return its inputs and PyTorch's outputs."""
    values, path = inputs(key), str(Path(tempfile.mkdtemp()) / "graph.onnx")
    with torch.no_grad():
        found = model(*map(torch.from_numpy, values))
    found = [found] if isinstance(found, torch.Tensor) else list(found)
    torch.onnx.export(model, tuple(map(torch.from_numpy, values)), path, input_names=names,
                      output_names=results, opset_version=OPSET, dynamo=False,
                      do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
    graph = onnx.load(path)
    emptied = 0
    for tensor in graph.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.name.split(".")) > 1:
            tensor.ClearField("raw_data")
            emptied += 1
    for node in graph.graph.node:
        node.ClearField("doc_string")
    del graph.graph.value_info[:]
    content = gzip.compress(graph.SerializeToString(), 9, mtime=0)
    (HERE / f"{key}.onnx.gz").write_bytes(content)
    print(key, len(content), "bytes,", emptied, "tensors taken out,",
          [tuple(value.shape) for value in found])
    return {f"{key}.{name}": value.numpy() for name, value in zip(results, found, strict=True)}


class Clicked(torch.nn.Module):
    """RITM without its drawing of clicks: image in [0, 1], previous mask, click maps -> logits."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Any, previous: Any, clicks: Any) -> Any:
        """Return the logits, (1, 1, H, W), and the auxiliary ones."""
        maps = torch.cat((previous, clicks), dim=1)
        found = self.model.backbone_forward(self.model.normalization(image),
                                            self.model.maps_transform(maps))
        return torch.nn.functional.interpolate(found["instances"], size=image.shape[2:],
                                               mode="bilinear", align_corners=True)


def settings_of(root: Path, variant: str) -> Path:
    """The published configuration file of a classifier."""
    return root / f"experiments/cls_hrnet_{variant}_sgd_lr5e-2_wd1e-4_bs32_x100.yaml"


def classification(root: Path, variant: str) -> Any:
    """The published classifier, as its configuration file says."""
    sys.path.insert(0, str(root / "lib"))
    import models.cls_hrnet as published

    model = published.get_cls_net(yaml.safe_load(settings_of(root, variant).read_text()))
    sys.path.pop(0)
    for name in [name for name in sys.modules if name.split(".")[0] == "models"]:
        del sys.modules[name]
    return model


def segmentation(root: Path, extra: dict[str, Any]) -> Any:
    """The published segmentation network (two classes) with a classifier's `EXTRA`."""
    sys.path.insert(0, str(root / "lib" / "models"))
    sys.modules["bn_helper"] = types.ModuleType("bn_helper")
    helper: Any = sys.modules["bn_helper"]
    helper.BatchNorm2d, helper.BatchNorm2d_class = torch.nn.BatchNorm2d, torch.nn.BatchNorm2d
    helper.relu_inplace = True
    source = (root / "lib/models/seg_hrnet.py").read_text().replace(
        "from .bn_helper", "from bn_helper")
    module: Any = types.ModuleType("seg_hrnet")
    module.__file__ = "seg_hrnet.py"
    sys.modules["seg_hrnet"] = module
    exec(compile(source, "seg_hrnet.py", "exec"), module.__dict__)
    config = types.SimpleNamespace(
        MODEL=_Both(ALIGN_CORNERS=False, EXTRA=_Both(**{**extra, "FINAL_CONV_KERNEL": 1})),
        DATASET=_Both(NUM_CLASSES=2))
    return module.HighResolutionNet(config)


class _Both(dict[str, Any]):
    """A dict whose keys are attributes too, as yacs has them."""

    def __getattr__(self, name: str) -> Any:
        value = self[name]
        return _Both(**value) if type(value) is dict else value


def ritm(root: Path, small: bool) -> Any:
    """The published model of iterative training."""
    sys.path.insert(0, str(root))
    from isegm.model.is_hrnet_model import HRNetModel

    return HRNetModel(width=18, ocr_width=48 if small else 64, small=small, with_aux_output=True,
                      use_leaky_relu=True, use_rgb_conv=False, use_disks=True, norm_radius=5,
                      with_prev_mask=True)


class _Nothing(type):
    """A class that has every attribute."""

    def __getattr__(cls, name: str) -> str:
        return name


class _Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for torchvision, which timm imports and HRNet does not use."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name.split(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def exec_module(self, module: Any) -> None:
        def attribute(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return _Nothing(name, (), {})

        module.__getattr__ = attribute


def timm_model(variant: str) -> Any:
    """The same network in timm."""
    sys.meta_path.insert(0, _Absent())
    import timm

    return timm.create_model(f"hrnet_{variant}", pretrained=False)


def names_of(model: Any) -> list[str]:
    """The names and shapes of a state dict, without counters."""
    return [f"{name} {tuple(tensor.shape)}" for name, tensor in model.state_dict().items()
            if not name.endswith("num_batches_tracked")]


def main() -> int:
    """Write everything beside this file."""
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    cls, seg, isegm = map(Path, sys.argv[1:])
    np.int = int  # type: ignore[attr-defined]  # the checkouts are of 2021
    golden: dict[str, np.ndarray] = {}
    for key, variant in (("hrnet18", "w18"), ("hrnet18s", "w18_small_v2")):
        model = fill(classification(cls, variant))
        theirs = timm_model(variant)
        assert sorted(names_of(theirs)) == sorted(names_of(model)), "timm's names differ"
        timm_out = fill(theirs)(torch.from_numpy(inputs(key)[0])).detach().numpy()
        golden |= export(key, model, ["image"], ["logits"])
        print("timm against the original:", np.abs(timm_out - golden[f"{key}.logits"]).max())
    extra = yaml.safe_load(settings_of(cls, "w18_small_v2").read_text())
    golden |= export("segmentation18s",
                     fill(segmentation(seg, extra["MODEL"]["EXTRA"])),
                     ["image"], ["classes"])
    for key, small in (("ritm_hrnet18", False), ("ritm_hrnet18s", True)):
        golden |= export(key, Clicked(fill(ritm(isegm, small))).eval(),
                         ["image", "previous", "clicks"], ["instances"])
    save_file(golden, HERE / "outputs.safetensors")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
