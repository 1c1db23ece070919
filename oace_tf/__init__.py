"""Tap on a photograph, get the cutout of the tapped object.

`TapSegmenter` is the whole of it for a program; it needs numpy, OpenCV and the LiteRT runtime.
Importing this package imports none of them, and never Keras or TensorFlow.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oace_tf.segmenter import TapSegmenter

__all__ = ["TapSegmenter", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `TapSegmenter` when it is first asked for."""
    if name == "TapSegmenter":
        from oace_tf.segmenter import TapSegmenter
        return TapSegmenter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
