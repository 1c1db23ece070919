"""Both records of the metadata: readable by others, sealed, and without effect on the mask."""
from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from flatbuffers import encode, number_types, packer
from flatbuffers.table import Table

from export.tflite import metadata
from export.tflite import model as tflite
from oace_tf.errors import UsageError
from oace_tf.runtime.model import open_model
from oace_tf.runtime.tflite_reader import METADATA_NAME
from tests.export.conftest import MAX_POINTS, SIZE, Made, metadata_entry, pictures

ABOUT = metadata.Description(
    interface="points", click_channels=2, max_points=MAX_POINTS, weights_sha256="ab" * 32,
    licence="Apache-2.0", version="1.2.3", description="Tippen genügt", network={"trunk": "tiny"})


class Reader:
    """A table of a flatbuffer by slot numbers: an independent reading of the record."""

    def __init__(self, content: bytes, place: int | None = None) -> None:
        root = encode.Get(packer.uoffset, content, 0) if place is None else place
        self.table = Table(content, root)

    def offset(self, slot: int) -> int:
        return self.table.Offset(4 + 2 * slot)

    def text(self, slot: int) -> str:
        return self.table.String(self.table.Pos + self.offset(slot)).decode()

    def byte(self, slot: int) -> int:
        return self.table.Get(number_types.Uint8Flags, self.table.Pos + self.offset(slot))

    def child(self, slot: int) -> Reader:
        place = self.table.Indirect(self.table.Pos + self.offset(slot))
        return Reader(self.table.Bytes, place)

    def children(self, slot: int) -> list[Reader]:
        start = self.table.Vector(self.offset(slot))
        return [Reader(self.table.Bytes, self.table.Indirect(start + 4 * k))
                for k in range(self.table.VectorLen(self.offset(slot)))]

    def floats(self, slot: int) -> list[float]:
        start = self.table.Vector(self.offset(slot))
        return [self.table.Get(number_types.Float32Flags, start + 4 * k)
                for k in range(self.table.VectorLen(self.offset(slot)))]


def test_our_record_is_read_back(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "file.tflite"
    path.write_bytes(metadata.add_metadata(made.int8_bytes, ABOUT))
    model = open_model(path)
    assert model.sealed and model.click_channels == 2
    wanted = dataclasses.asdict(ABOUT)
    assert wanted.pop("gestures") == () and "gestures" not in model.metadata  # of a pair
    assert {key: model.metadata[key] for key in wanted} == wanted
    path.write_bytes(metadata.add_metadata(made.int8_bytes, dataclasses.replace(
        ABOUT, gestures=("box", "tap"))))
    assert open_model(path).gestures == {"box", "tap"}


@pytest.mark.parametrize("kind", ("int8", "float"))
def test_standard_record(made: Made, kind: str) -> None:
    content = metadata.add_metadata(getattr(made, f"{kind}_bytes"), ABOUT)
    record = metadata_entry(content, "TFLITE_METADATA")
    assert record[4:8] == b"M001"
    root = Reader(record)
    assert root.text(1) == f"Tippen genügt SHA-256 of the weights: {'ab' * 32}."
    assert (root.text(2), root.text(5)) == ("1.2.3", "Apache-2.0")
    assert root.text(7) == "1.5.0"
    graph, = root.children(3)
    image, points = graph.children(2)
    mask, = graph.children(3)
    assert [tensor.text(0) for tensor in (image, points, mask)] == ["image", "points", "mask"]
    assert image.child(3).byte(0) == 2 and image.child(3).child(1).byte(0) == 1  # an RGB image
    unit, = image.children(4)
    assert unit.byte(0) == 1  # NormalizationOptions
    assert unit.child(1).floats(0) == [128.0] and unit.child(1).floats(1) == [128.0]
    ends = [tensor.child(5).floats(slot) for tensor in (image, mask) for slot in (1, 0)]
    assert ends == ([[0.0], [255.0], [0.0], [255.0]] if kind == "int8"
                    else [[-1.0], [127 / 128], [0.0], [1.0]])


def test_the_mask_stays(made: Made, tmp_path: Path) -> None:
    masks = []
    for name, content in (("bare", made.int8_bytes),
                          ("told", metadata.add_metadata(made.int8_bytes, ABOUT))):
        (tmp_path / name).write_bytes(content)
        model = open_model(tmp_path / name)
        masks.append([model.run(*pair) for pair in pictures(2, SIZE)])
    np.testing.assert_array_equal(masks[0], masks[1])


def test_a_second_writing_replaces_the_first(made: Made) -> None:
    once = metadata.add_metadata(made.int8_bytes, ABOUT)
    twice = metadata.add_metadata(once, dataclasses.replace(ABOUT, licence="other"))
    names = [entry.name.decode() for entry in tflite.parse(twice).metadata]
    assert names.count(METADATA_NAME) == names.count("TFLITE_METADATA") == 1
    assert json.loads(metadata_entry(twice, METADATA_NAME))["licence"] == "other"


def test_a_flipped_bit_breaks_the_seal(made: Made, tmp_path: Path) -> None:
    content = bytearray(metadata.add_metadata(made.int8_bytes, ABOUT))
    content[len(content) // 2] ^= 1
    path = tmp_path / "file.tflite"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        open_model(path)
