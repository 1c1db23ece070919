"""Metadata of the finished file: TensorFlow's standard record, and ours as JSON.

`TFLITE_METADATA` is the flatbuffer that other tools read (names, ranges, description, licence,
version); it is written with `flatbuffers` alone, by the slot numbers of metadata_schema.fbs.
`OACE_METADATA` is UTF-8 JSON that the runtime reads; the seal (SHA-256 of the file) goes into it.
Both name the SHA-256 of the weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.tflite import model as tflite
from oace_tf.runtime.tflite_reader import METADATA_NAME, PREVIOUS, SEAL_KEY, seal

STANDARD_NAME = "TFLITE_METADATA"
STANDARD_IDENTIFIER = b"M001"
SEGMENTER_NAME = "SEGMENTER_METADATA"  # what MediaPipe's segmenter looks for
_SEGMENTER_IDENTIFIER = b"V001"
_MIN_PARSER_VERSION = "1.5.0"
_IMAGE_PROPERTIES = 2  # ContentProperties
_RGB = 1  # ColorSpaceType
_NORMALIZATION_OPTIONS = 1  # ProcessUnitOptions
_MEAN_STD = 128.0  # (byte - 128) / 128 is what the network sees
_NO_ACTIVATION = 0  # of ImageSegmenterOptions: the file's output is a probability already
_ALIGNMENT = 16  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a file says of itself."""

    interface: str  # "points", "mediapipe", ...
    click_channels: int  # 1: background taps are ignored; 2: they are drawn
    max_points: int
    weights_sha256: str
    licence: str
    version: str
    description: str
    network: Mapping[str, Any]  # the network configuration as JSON object
    gestures: tuple[str, ...] = ()  # trained on; empty: taps alone


@dataclass(frozen=True, slots=True)
class TensorText:
    """What a file says of one of its inputs or outputs."""

    text: str
    limits: tuple[float, float] | None = None  # smallest and largest value
    mean_std: tuple[float, float] | None = None  # given for photographs: (byte - mean) / std


def add_metadata(
    content: bytes, about: Description, tensors: Mapping[str, TensorText] | None = None,
    segmenter: bool = False, compact: bool = False,
) -> bytes:
    """Return the file with both records appended and sealed; nothing may change afterwards.

    Args:
      content: a file with one signature.
      about: what it is.
      tensors: a text for each name of the signature; None for those of the interface `points`.
      segmenter: whether MediaPipe's own record goes in too: the output needs no activation.
      compact: that of `tflite.serialise`.
    """
    model = tflite.parse(content)
    model.description = about.description
    ours = {
        "interface": about.interface,
        "click_channels": about.click_channels,
        "max_points": about.max_points,
        "weights_sha256": about.weights_sha256,
        "licence": about.licence,
        "version": about.version,
        "description": about.description,
        "network": dict(about.network),
        **({"gestures": list(about.gestures)} if about.gestures else {}),
        SEAL_KEY: "0" * 64,
    }
    texts = points_texts(model, about) if tensors is None else tensors
    records = {
        STANDARD_NAME: _standard(model, about, texts, segmenter),
        METADATA_NAME: json.dumps(ours, ensure_ascii=False, allow_nan=False).encode("utf-8"),
    }
    others = [m for m in model.metadata or [] if _text(m.name) not in records]
    model.metadata = others + [_entry(model, name, data) for name, data in records.items()]
    return seal(tflite.serialise(model, compact))


def points_texts(model: Any, about: Description) -> dict[str, TensorText]:
    """Return the texts of the interface `points`, for the int8 or the float32 file."""
    tensors = tflite.graph(model).tensors
    inputs, outputs = tflite.signature(model)
    image, mask = (tflite.type_name(tensors[index]) for index in (
        inputs["image"], outputs["mask"]))
    ignored = " (ignored)" if about.click_channels == 1 else ""
    labels = "1 object, 0 background{ignored}, -1 unused".format(ignored=ignored)
    if about.gestures:
        labels = ("1 object, 0 background, 2 and 3 opposite corners of a box, 4 extreme point, "
                  "5 end of a drag that began in the row before, -1 unused")
    return {
        "image": TensorText(
            "RGB photograph, stretched to the network's square frame; the network sees "
            f"(byte - 128) / 128; {image}",
            (-1.0, 127 / 128) if image == "float32" else (0.0, 255.0), (_MEAN_STD, _MEAN_STD)),
        "points": TensorText(
            f"taps, {about.max_points} rows of x, y in pixels of the frame (pixel centres are "
            f"whole numbers) and label: {labels}"),
        "masks": TensorText(
            "several masks for the same taps, as `mask`",
            (0.0, 255.0) if mask == "uint8" else (0.0, 1.0)),
        "scores": TensorText("the predicted IoU of each of them", (0.0, 1.0)),
        PREVIOUS: TensorText(
            "the mask that this file gave for the taps before; zeros at the first tap",
            (0.0, 255.0) if mask == "uint8" else (0.0, 1.0)),
        "mask": TensorText(
            "probability of the tapped object; as a byte round(256 p), at most 255: object from "
            "128 on", (0.0, 255.0) if mask == "uint8" else (0.0, 1.0)),
    }


def _entry(model: Any, name: str, data: bytes) -> Any:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(model.buffers) - 1
    return entry


def _standard(
    model: Any, about: Description, texts: Mapping[str, TensorText], segmenter: bool
) -> bytes:
    """Return the ModelMetadata record as bytes."""
    build = flatbuffers.Builder(1024)
    inputs, outputs = tflite.signature(model)
    # The lists follow the order of the subgraph's inputs and outputs, as readers expect.
    graph = tflite.graph(model)
    ins, outs = (
        _vector(build, [_tensor(build, name, texts[name])
                        for name in sorted(named, key=lambda n: list(order).index(named[n]))])
        for named, order in ((inputs, graph.inputs), (outputs, graph.outputs)))
    fields: dict[int, Field] = {2: (_ref, ins), 3: (_ref, outs)}
    if segmenter:
        data = _bytes(build, _segmenter_options())
        custom = _table(build, 2, {
            0: (_ref, build.CreateString(SEGMENTER_NAME)), 1: (_ref, data)})
        fields[9] = (_ref, _vector(build, [custom]))
    graphs = _vector(build, [_table(build, 10, fields)])
    described = f"{about.description} SHA-256 of the weights: {about.weights_sha256}."
    strings = {slot: (_ref, build.CreateString(text)) for slot, text in {
        0: "oace_tf", 1: described, 2: about.version, 5: about.licence,
        7: _MIN_PARSER_VERSION}.items()}
    root = _table(build, 8, {**strings, 3: (_ref, graphs)})
    build.Finish(root, file_identifier=STANDARD_IDENTIFIER)
    return bytes(build.Output())


def _segmenter_options() -> bytes:
    """Return the record ImageSegmenterOptions."""
    build = flatbuffers.Builder(64)
    build.ForceDefaults(True)  # activation NONE is 0, which would be left out
    build.Finish(_table(build, 2, {0: (_byte, _NO_ACTIVATION)}),
                 file_identifier=_SEGMENTER_IDENTIFIER)
    return bytes(build.Output())


def _tensor(build: Any, name: str, about: TensorText) -> int:
    fields = {0: (_ref, build.CreateString(name)), 1: (_ref, build.CreateString(about.text))}
    if about.mean_std is not None:
        properties = _table(build, 2, {0: (_byte, _RGB)})
        fields[3] = (_ref, _table(build, 3, {0: (_byte, _IMAGE_PROPERTIES), 1: (_ref, properties)}))
        vectors = [_floats(build, [value]) for value in about.mean_std]
        options = _table(build, 2, {k: (_ref, offset) for k, offset in enumerate(vectors)})
        unit = _table(build, 2, {0: (_byte, _NORMALIZATION_OPTIONS), 1: (_ref, options)})
        fields[4] = (_ref, _vector(build, [unit]))
    if about.limits is not None:
        low, high = _floats(build, [about.limits[0]]), _floats(build, [about.limits[1]])
        fields[5] = (_ref, _table(build, 2, {0: (_ref, high), 1: (_ref, low)}))  # max, then min
    return _table(build, 7, fields)


Field = tuple[Callable[[Any, int, int], None], int]


def _table(build: Any, slots: int, fields: Mapping[int, Field]) -> int:
    build.StartObject(slots)
    for slot, (put, value) in fields.items():
        put(build, slot, value)
    return build.EndObject()


def _ref(build: Any, slot: int, value: int) -> None:
    build.PrependUOffsetTRelativeSlot(slot, value, 0)


def _byte(build: Any, slot: int, value: int) -> None:
    build.PrependUint8Slot(slot, value, 0)


def _vector(build: Any, places: Sequence[int]) -> int:
    build.StartVector(4, len(places), 4)
    for offset in reversed(places):
        build.PrependUOffsetTRelative(offset)
    return build.EndVector()


def _floats(build: Any, values: Sequence[float]) -> int:
    build.StartVector(4, len(values), 4)
    for value in reversed(values):
        build.PrependFloat32(value)
    return build.EndVector()


def _bytes(build: Any, content: bytes) -> int:
    build.StartVector(1, len(content), _ALIGNMENT)
    for value in reversed(content):
        build.PrependByte(value)
    return build.EndVector()


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("utf-8")
