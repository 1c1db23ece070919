"""Photographs of the kinds that people drop onto the page, and a running page."""
from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image


def halves(height: int = 60, width: int = 90) -> np.ndarray:
    """Return a photograph, red on the left half, blue on the right, the upper left corner white."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 240
    image[:, width // 2:, 2] = 240
    image[: height // 4, : width // 4] = 255
    return image


def encoded(image: np.ndarray, kind: str, **options: Any) -> bytes:
    """Return the image as the bytes of a file, by Pillow: another program than the one tested."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """Return what a file shows, (H, W, 3 or 4) uint8, by Pillow."""
    return np.array(Image.open(io.BytesIO(data)))


def animated(kind: str) -> bytes:
    """Return an animation whose first picture is `halves` and whose second is green."""
    green = np.zeros_like(halves())
    green[..., 1] = 255
    options = {"lossless": True} if kind == "WEBP" else {}
    return encoded(halves(), kind, save_all=True, append_images=[Image.fromarray(green)],
                   duration=100, **options)


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """Return the image as a camera stores it that asks for `orientation` (EXIF, 1 to 8)."""
    return {1: image, 2: image[:, ::-1], 3: image[::-1, ::-1], 4: image[::-1],
            5: image.swapaxes(0, 1), 6: np.rot90(image), 7: image[::-1, ::-1].swapaxes(0, 1),
            8: np.rot90(image, -1)}[orientation]


def exif(orientation: int) -> Image.Exif:
    """Return the EXIF record that says so."""
    record = Image.Exif()
    record[0x0112] = orientation
    return record


def fifty_megapixels() -> bytes:
    """Return a JPEG of 8660 x 5774 pixels, red left and blue right."""
    large = cv2.resize(halves(), (8660, 5774), interpolation=cv2.INTER_NEAREST)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(large, cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()


@contextmanager
def served(int8: Path, float32: Path | None = None,
           hosts: tuple[str, ...] | None = ("127.0.0.1",)) -> Iterator[str]:
    """Serve the page from a thread; give its address, without the last slash."""
    import uvicorn

    from oace_tf.demo.__main__ import page_facts
    from oace_tf.demo.engine import Engine
    from oace_tf.demo.web import make_app

    engine = Engine(int8, float32)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(
        make_app(engine, page_facts(engine, 1), hosts), ws="none",
        log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        limit = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive() and time.monotonic() < limit
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def serve() -> Callable[..., Any]:
    """Return `served`: test files cannot import their conftest."""
    return served


@pytest.fixture(scope="session")
def kinds() -> Any:
    """Return the makers of photographs above."""
    from types import SimpleNamespace
    return SimpleNamespace(halves=halves, encoded=encoded, decoded=decoded, animated=animated,
                           turned=turned, exif=exif, fifty_megapixels=fifty_megapixels)
