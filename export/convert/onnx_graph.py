"""ONNX graph: read from its file; and what a click model's takes and gives, whoever made it.

Inputs are told apart by their shapes, channels first: three channels are the photograph, four the
photograph and the previous mask, two the click maps (object, background), one the previous mask
where click maps are there too and else the click map of the object. A photograph that arithmetic
reads first is in [0, 1]; one that a convolution reads at once is taken for standardised by
ImageNet's statistics. A JSON file beside the graph, MODEL.onnx.inputs.json, says otherwise:

    {"image": "rgb", "clicks": "coords", "previous": "prev", "range": "symmetric"}

with the names of inputs, and `range` one of `RANGES`.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oace_tf import fileio
from oace_tf.errors import UsageError, quoted
from oace_tf.fileio import read_bytes, read_start
from oace_tf.geometry import IMAGENET_DEVIATION, IMAGENET_MEAN
from oace_tf.networks.ported.containers import suffix_of
from oace_tf.other_files import other_file

OLDEST_OPSET = 11  # from here on Resize says how it samples
MAX_BYTES = 2**31
SETTINGS_SUFFIX = ".inputs.json"
# Mean and deviation of byte / 255 behind each range.
RANGES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0,) * 3, (1.0,) * 3),
    "imagenet": (IMAGENET_MEAN, IMAGENET_DEVIATION),
    "symmetric": ((0.5,) * 3, (0.5,) * 3),
    "byte": ((0.0,) * 3, (1 / 255,) * 3),
}
ROLES = ("image", "image_and_previous", "clicks", "previous")
_ARITHMETIC = ("Sub", "Div", "Mul", "Add")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickGraph:
    """A graph's inputs by role, and its one result."""

    path: Path
    model: Any  # onnx.ModelProto
    roles: dict[str, str]  # role -> name of the input
    range: str
    side: int | None  # of the square it takes; None: any
    click_channels: int
    result: str
    is_probability: bool  # else logits

    @property
    def guided(self) -> bool:
        """Whether it takes its previous mask."""
        return "previous" in self.roles or "image_and_previous" in self.roles


def read_click_graph(path: Path) -> ClickGraph:
    """Return what a click model's graph takes and gives.

    Raises:
      UsageError: not ONNX, or its inputs and results are not those of a click model.
    """
    model = load_graph(path)
    shapes = input_shapes(model)
    settings_path = path.with_name(path.name + SETTINGS_SUFFIX)
    settings = _settings(settings_path, shapes) if settings_path.is_file() else {}
    roles = {role: name for role, name in settings.items() if role in ROLES}
    for name, shape in shapes.items():
        if name not in roles.values():
            role = _role(path, name, shape, shapes)
            if role in roles:
                raise UsageError(f"{path}: inputs {roles[role]} and {name} both look like the "
                                 f"{role}; say which is which in {settings_path.name}")
            roles[role] = name
    if "clicks" not in roles or not {"image", "image_and_previous"} & set(roles):
        raise UsageError(f"{path}: takes {_listed(shapes)}; expected a photograph and click maps; "
                         f"say which is which in {settings_path.name}")
    image = roles.get("image", roles.get("image_and_previous", ""))
    side = _side(path, [shapes[name] for name in roles.values()])
    given = "unit" if takes_unit(model, image) else "imagenet"
    result = _result(path, model)
    maker = next((node for node in model.graph.node if result in node.output), None)
    return ClickGraph(path=path, model=model, roles=roles, range=str(settings.get("range", given)),
                      side=side, click_channels=shapes[roles["clicks"]][1] or 0, result=result,
                      is_probability=maker is not None and maker.op_type == "Sigmoid")


def load_graph(path: Path) -> Any:
    """Return the onnx.ModelProto of a file, the weights of external files brought inside.

    Raises:
      UsageError: not ONNX, too old, an external file missing, or onnx is not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
        from onnx import external_data_helper
    except ImportError as error:
        raise UsageError(f"{error}; reading ONNX needs: "
                         "pip install -c constraints.txt '.[port]'") from error
    data = read_bytes(path, MAX_BYTES)
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: not an ONNX file, or a part of one; "
                         f"{_in_truth(data)}") from error
    if not model.graph.node or not model.opset_import:
        raise UsageError(f"{path}: not an ONNX file (it has no graph); {_in_truth(data)}")
    opset = _opset(model)
    if opset < OLDEST_OPSET:
        raise UsageError(f"{path}: has opset {opset}, expected {OLDEST_OPSET} or later, where a "
                         "resize says how it samples; export with opset_version=17")
    _refuse_damaged_names(path, model)
    refuse_newer(path, model)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _load_external(path, tensor, external_data_helper)
    return model


def _in_truth(data: bytes) -> str:
    """Return what a file is that is no graph, and what to do."""
    suffix = suffix_of(data)
    named = f"it is a {suffix} file" if suffix not in ("", ".onnx", ".pth") else ""
    return other_file(data) or (f"{named}; give the graph" if named else "export it again")


def refuse_newer(path: Path, model: Any) -> None:
    """Refuse a graph of a later version than the installed onnxruntime takes, before any work.

    It is asked by a graph of one node with the same versions. Without onnxruntime, onnx is asked.

    Raises:
      UsageError: names the graph's version and the latest that is taken.
    """
    import onnx

    if model.ir_version > onnx.IR_VERSION:
        raise _too_new(path, "IR version", model.ir_version, str(onnx.IR_VERSION), "onnx")
    try:
        import onnxruntime
    except ImportError:
        return
    small = onnx.helper.make_model(onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["a"], ["b"])], "versions",
        [onnx.helper.make_tensor_value_info("a", 1, [1])],
        [onnx.helper.make_tensor_value_info("b", 1, [1])]), ir_version=model.ir_version or 8,
        opset_imports=[entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        onnxruntime.InferenceSession(small.SerializeToString(), options,
                                     providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes are private
        words = " ".join(str(error).split())
        for what, asked, pattern in (
                ("IR version", model.ir_version, r"max supported IR version: (\d+)"),
                ("opset", _opset(model), r"is till opset (\d+)")):
            if match := re.search(pattern, words):
                raise _too_new(path, what, asked, match[1], "onnxruntime") from error
        raise UsageError(f"{path}: IR version {model.ir_version}, opset {_opset(model)}: "
                         f"onnxruntime {onnxruntime.__version__} refuses these versions "
                         f"({last_words(error)}); export it again, opset_version=17") from error


def _too_new(path: Path, what: str, asked: int, latest: str, by: str) -> UsageError:
    return UsageError(f"{path}: has {what} {asked}, the installed {by} takes {latest} at most; "
                      f"export it again for an older one (opset_version=17), or install a later "
                      f"{by}")


def _opset(model: Any) -> int:
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
               default=0)


def _refuse_damaged_names(path: Path, model: Any) -> None:
    """Refuse names that are no text: protobuf hands them over as bytes."""
    graph = model.graph
    names = [entry.name for part in (graph.initializer, graph.input, graph.output, graph.node)
             for entry in part]
    names += [name for node in graph.node for name in (node.op_type, *node.input, *node.output)]
    bad = next((name for name in names if not isinstance(name, str)), None)
    if bad is not None:
        raise UsageError(f"{path}: the name {quoted(repr(bad), 60)} is damaged (no UTF-8); "
                         "export it again")


def last_words(error: Exception, most: int = 300) -> str:
    """Return the end of an error of onnxruntime: the reason stands there, after its sources."""
    words = " ".join(str(error).split())
    return quoted(words if len(words) <= most else f"…{words[-most:]}", most + 1)


def input_shapes(model: Any) -> dict[str, tuple[int | None, ...]]:
    """Return the inputs that are not weights: name -> shape, None where a side is open."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return {value.name: tuple(side.dim_value or None for side in value.type.tensor_type.shape.dim)
            for value in model.graph.input if value.name not in weights}


def takes_unit(model: Any, name: str) -> bool:
    """Return whether the graph itself does arithmetic on this input before anything else.

    A slice that takes photograph and previous mask apart is looked through.
    """
    readers = [node for node in model.graph.node if name in node.input]
    kinds = {node.op_type for node in readers}
    for node in readers:
        if node.op_type in ("Slice", "Split", "Identity", "Cast"):
            kinds |= {other.op_type for other in model.graph.node
                      if set(node.output) & set(other.input)}
    return bool(kinds & set(_ARITHMETIC))


def _load_external(path: Path, tensor: Any, helper: Any) -> None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    where = str(entries.get("location", ""))
    try:
        size = (path.parent / where).stat().st_size if (path.parent / where).is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        size = None
    if not where or size is None:
        raise UsageError(f"{path}: keeps {quoted(tensor.name)} in the file {quoted(where)!r}, "
                         "which is not beside it; bring both files, or export with "
                         "external_data=False")
    if words := other_file(read_start(path.parent / where)):
        raise UsageError(f"{path}: keeps {quoted(tensor.name)} in {quoted(where)!r}: {words}")
    span = [int(entries[key]) for key in ("offset", "length")
            if re.fullmatch(r"[0-9]{1,18}", entries.get(key, ""))]
    if sum(span) > size or len(span) != len(entries.keys() & {"offset", "length"}):
        raise UsageError(f"{path}: {quoted(tensor.name)} cannot be read from {quoted(where)!r}, "
                         f"which has {size} bytes; bring the whole file, or export again")
    try:
        helper.load_external_data_for_tensor(tensor, str(path.parent))
    except Exception as error:  # onnx raises what it likes for paths that lead elsewhere
        raise UsageError(f"{path}: {tensor.name} cannot be read from {where!r} "
                         f"({last_words(error)}); export again") from error
    tensor.data_location = 0  # inside, from now on
    del tensor.external_data[:]


def _role(path: Path, name: str, shape: tuple[int | None, ...],
          shapes: dict[str, tuple[int | None, ...]]) -> str:
    channels = shape[1] if len(shape) == 4 else None
    has_two = any(len(other) == 4 and other[1] == 2 for other in shapes.values())
    roles = {3: "image", 4: "image_and_previous", 2: "clicks",
             1: "previous" if has_two else "clicks"}
    if channels not in roles:
        raise UsageError(f"{path}: its input {name} has shape {_shape(shape)}, which is neither a "
                         "photograph nor click maps; export the network without its drawing of "
                         "clicks (docs/port.md)")
    return roles[channels]


def _settings(path: Path, shapes: dict[str, tuple[int | None, ...]]) -> dict[str, str]:
    content = fileio.read_json(path)
    if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
        raise UsageError(f"{path}: expected an object of names, like "
                         '{"image": "rgb", "clicks": "coords", "range": "unit"}')
    for key, value in content.items():
        if key not in (*ROLES, "range"):
            raise UsageError(f"{path}: key {key!r} is unknown; there are {', '.join(ROLES)}, range")
        if key == "range" and value not in RANGES:
            raise UsageError(f"{path}: range is {value!r}, expected one of {', '.join(RANGES)}")
        if key != "range" and value not in shapes:
            raise UsageError(f"{path}: the graph has no input {value!r}; it takes "
                             f"{_listed(shapes)}")
    return content


def _side(path: Path, shapes: list[tuple[int | None, ...]]) -> int | None:
    if any(shape[0] not in (None, 1) for shape in shapes):
        raise UsageError(f"{path}: takes several images at once; export it for one")
    sides = {side for shape in shapes for side in shape[2:] if side}
    if len(sides) > 1:
        raise UsageError(f"{path}: its inputs have sides {sorted(sides)}, expected one square; "
                         "export it with a square")
    return sides.pop() if sides else None


def _result(path: Path, model: Any) -> str:
    """The first result of one channel; without shapes, the first of all."""
    for value in model.graph.output:
        shape = [side.dim_value for side in value.type.tensor_type.shape.dim]
        if len(shape) == 4 and shape[1] in (0, 1):
            return str(value.name)
    raise UsageError(f"{path}: none of its results is a mask [1, 1, H, W]; export the model with "
                     "its logits as result")


def _listed(shapes: dict[str, tuple[int | None, ...]]) -> str:
    return ", ".join(f"{name} {_shape(shape)}" for name, shape in shapes.items()) or "nothing"


def _shape(shape: tuple[int | None, ...]) -> str:
    return "x".join("?" if side is None else str(side) for side in shape)
