"""The tiny .tflite files that stand in for a trained one; see tests/golden/make_tiny_tflite.py."""
from __future__ import annotations

from pathlib import Path

import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture(scope="session")
def tiny_int8() -> Path:
    """Return the file with uint8 image and mask: 32x32 px, 4 points, two click channels."""
    return GOLDEN / "tiny_int8.tflite"


@pytest.fixture(scope="session")
def tiny_float32() -> Path:
    """Return the same with float32 image and mask."""
    return GOLDEN / "tiny_float32.tflite"


@pytest.fixture(scope="session")
def tiny_one_channel(tiny_int8: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file whose metadata names one click channel."""
    from export.metadata import Description, add_metadata

    path = tmp_path_factory.mktemp("one_channel") / "one.tflite"
    path.write_bytes(add_metadata(tiny_int8.read_bytes(), Description(
        interface="points", click_channels=1, max_points=4, weights_sha256="0" * 64,
        licence="Apache-2.0", version="0", description="one click channel", network={})))
    return path
