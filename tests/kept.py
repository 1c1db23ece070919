"""What takes long to make and follows from sources alone: kept in .cache/ under their hash."""
from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable
from functools import cache
from pathlib import Path

from oace_tf.fileio import atomic_write

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".cache" / "tests"
_SOURCES = ("oace_tf/*.py", "oace_tf/networks/**/*.py", "oace_tf/runtime/*.py",
            "export/tflite/*.py",
            "export/convert/*.py", "export/calibration/*.py", "export/quantization/*.py",
            "export/quantization/recipes/*.json", "tests/export/conftest.py",
            "tests/drawn_photograph.py")
_PACKAGES = ("tensorflow", "keras", "ai-edge-quantizer", "ai-edge-litert", "numpy",
             "opencv-python-headless")


@cache
def sources_digest() -> str:
    """Return the hash of all that a conversion of a tiny network follows from."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    for path in sorted({path for pattern in _SOURCES for path in ROOT.glob(pattern)}):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\n" + path.read_bytes())
    return digest.hexdigest()


def kept(name: str, make: Callable[[], bytes]) -> bytes:
    """Return what `make` gives; it is called where the sources are others than the last time."""
    path = FOLDER / f"{name}-{sources_digest()[:16]}"
    if path.is_file():
        return path.read_bytes()
    content = make()
    for older in FOLDER.glob(f"{name}-{'[0-9a-f]' * 16}"):
        older.unlink(missing_ok=True)
    atomic_write(path, content)
    return content
