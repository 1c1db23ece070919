"""Splice: a link of unequal tensors is refused."""
from __future__ import annotations

import pytest

from export.interfaces import build as interfaces
from export.interfaces import input_graphs
from export.tflite import model as tflite
from export.tflite import splice
from tests.export.conftest import SIZE, Made


def test_a_link_of_unequal_tensors(made: Made) -> None:
    body = interfaces.parse_points(made.int8_bytes)
    front = tflite.parse(input_graphs.tap_channel(SIZE, SIZE // 2, 1))
    with pytest.raises(ValueError, match="take its place"):
        splice.join(front, body, {
            tflite.signature(front)[1]["disks"]: tflite.by_name(body, "disks")})
