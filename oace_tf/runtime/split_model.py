"""Encoder and decoder of a network of gestures: the photograph is encoded once for many taps.

Two files of the interface `encoder-decoder`, made of one int8 file: together they give its bytes.
"""
from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.fileio import read_bytes
from oace_tf.runtime.interpreter import check_threads, open_interpreter
from oace_tf.runtime.model import MAX_FILE_BYTES
from oace_tf.runtime.tflite_reader import PREVIOUS, SIGNATURE, FileSummary, read_facts

FEATURES = "features_"  # beginning of the names of what the encoder gives and the decoder takes
INTERFACE = "encoder-decoder"


class SplitModel:
    """An opened encoder with its decoder. Made by `open_split`.

    Has the attributes of `TfliteModel`, of which it answers `run` as the one file would.

    Attributes:
      path: the decoder's file.
      size, max_points, click_channels, quantized, metadata, takes_previous, gestures,
      has_alternatives, sealed: as in `TfliteModel`.
    """

    def __init__(self, path: str, encoder: FileSummary, decoder: FileSummary,
                 runners: tuple[Any, Any]) -> None:
        self.path = path
        self.size = encoder.inputs["image"].shape[1]
        self.max_points = decoder.inputs["points"].shape[1]
        self.metadata = decoder.metadata
        self.click_channels = int(decoder.metadata.get("click_channels", 1))
        self.quantized, self.takes_previous, self.has_alternatives = True, True, False
        self.gestures = frozenset(decoder.metadata.get("gestures", ()))
        self.sealed = encoder.sealed and decoder.sealed
        self._encoder, self._decoder = runners
        self._lock = threading.Lock()

    def encode(self, image_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Return the features of a photograph, by name.

        Args:
          image_u8: (size, size, 3) uint8 RGB.
        Raises:
          ValueError: another shape or dtype.
          UsageError: the runtime cannot run this file.
        """
        if image_u8.shape != (self.size, self.size, 3) or image_u8.dtype != np.uint8:
            raise ValueError(f"image must be ({self.size}, {self.size}, 3) uint8, "
                             f"got {image_u8.shape} {image_u8.dtype}")
        return self._run(self._encoder, {"image": np.ascontiguousarray(image_u8[None])})

    def decode(self, features: Mapping[str, np.ndarray], points: np.ndarray,
               previous: np.ndarray | None = None) -> np.ndarray:
        """Return the mask of a gesture, (size, size) uint8.

        Args:
          features: as `encode` gives them.
          points, previous: as in `TfliteModel.run`.
        Raises:
          ValueError: an input of another shape or dtype, or points that are not finite.
          UsageError: the runtime cannot run this file.
        """
        if points.shape != (self.max_points, 3) or points.dtype != np.float32:
            raise ValueError(f"points must be ({self.max_points}, 3) float32, "
                             f"got {points.shape} {points.dtype}")
        if not np.isfinite(points).all():
            raise ValueError("points must be finite")
        shape = (self.size, self.size)
        before = np.zeros(shape, np.uint8) if previous is None else previous
        if before.shape != shape or before.dtype != np.uint8:
            raise ValueError(f"the previous mask must be {shape} uint8, "
                             f"got {before.shape} {before.dtype}")
        feed = {**features, "points": np.ascontiguousarray(points[None]),
                PREVIOUS: np.ascontiguousarray(before[None, :, :, None])}
        return self._run(self._decoder, feed)["mask"][0, :, :, 0]  # (S, S)

    def run(self, image_u8: np.ndarray, points: np.ndarray,
            previous: np.ndarray | None = None) -> np.ndarray:
        """Return the mask, encoding the photograph for it; as `TfliteModel.run`."""
        return self.decode(self.encode(image_u8), points, previous)

    def run_all(self, image_u8: np.ndarray, points: np.ndarray,
                previous: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Raise ValueError: a decoder gives one mask alone; `TfliteModel.run_all` gives several."""
        raise ValueError(f"{self.path} gives one mask alone")

    def _run(self, runner: Any, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            with self._lock:
                return dict(runner(**feed))
        except (ValueError, RuntimeError) as error:  # what the runtime raises at a bad graph
            raise UsageError(f"{self.path}: the runtime cannot run this file: {error}") from error


def open_split(encoder: str | os.PathLike[str], decoder: str | os.PathLike[str], threads: int = 1,
               ) -> SplitModel:
    """Return the opened model of an encoder's and a decoder's file.

    Args:
      encoder, decoder: the two files that `--interface encoder-decoder` makes.
      threads: of both interpreters, from 1 to 256.
    Raises:
      UsageError: a file is missing, damaged or another one; the two are not of one file; no
        runtime is installed; `threads` is out of range.
    """
    check_threads(threads)
    paths = [os.fspath(path) for path in (encoder, decoder)]
    contents = [read_bytes(path, MAX_FILE_BYTES) for path in paths]
    first, second = (read_facts(data, path) for data, path in zip(contents, paths))
    _check_pair(first, second, paths)
    runners = []
    for data, path in zip(contents, paths):
        try:
            runners.append(open_interpreter(data, threads).get_signature_runner(SIGNATURE))
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"{path}: the runtime refuses this file: {error}") from error
    return SplitModel(paths[1], first, second, (runners[0], runners[1]))


def _check_pair(encoder: FileSummary, decoder: FileSummary, paths: list[str]) -> None:
    """Raise UsageError unless the two are encoder and decoder of one file."""
    hint = f"make it with --interface {INTERFACE}"
    for facts, path, inputs, outputs in (
            (encoder, paths[0], {"image"}, set()),
            (decoder, paths[1], {"points", PREVIOUS}, {"mask"})):
        named = [{name for name in tensors if not name.startswith(FEATURES)}
                 for tensors in (facts.inputs, facts.outputs)]
        if named != [inputs, outputs]:
            raise UsageError(f"{path} is of another interface: its tensors are "
                             f"{', '.join(facts.inputs)} -> {', '.join(facts.outputs)}; {hint}")
    wanted = {name: fact for name, fact in decoder.inputs.items() if name.startswith(FEATURES)}
    weights = [facts.metadata.get("weights_sha256") for facts in (encoder, decoder)]
    if wanted != encoder.outputs or weights[0] != weights[1]:
        raise UsageError(f"{paths[0]} and {paths[1]} are not of one file; {hint}")
