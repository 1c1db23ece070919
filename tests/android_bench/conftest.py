"""A world with a fake device in it, and the tiny files."""
from __future__ import annotations

from pathlib import Path

import pytest

from android_bench.device.phone import Phone
from tests.android_bench.fake_device import FakeClient, FakeDevice, World

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a folder that behaves as a device."""
    return World(tmp_path / "world")


@pytest.fixture
def device(world: World) -> FakeDevice:
    """Return the device of that world."""
    return FakeDevice(world)


@pytest.fixture
def phone(device: FakeDevice) -> Phone:
    """Return our phone on that device, in haste."""
    return Phone(device, device.world.folder, client=FakeClient(device), poll_s=0.02,
                 reconnect_s=0.5)


@pytest.fixture(scope="session")
def tiny_int8() -> Path:
    """Return the tiny file with uint8 image and mask."""
    return GOLDEN / "tiny_int8.tflite"


@pytest.fixture(scope="session")
def tiny_float() -> Path:
    """Return the tiny file with float32 image and mask."""
    return GOLDEN / "tiny_float32.tflite"
