"""Model of a .tflite file of the contract (interface `points`): image + points -> mask.

A file may take a third input, `previous`: its own answer to the clicks before (RITM, gestures). One
of the interface `points-multi` gives several answers beside the mask: `masks`, and the IoU that it
predicts for each, `scores`.

Needs numpy, OpenCV and a LiteRT runtime (`ai-edge-litert`, or `tflite-runtime` with numpy < 2),
nothing else. Tensors are found by the names in the signature, never by position: converters put
`points` before `image` as they like, and the output tensor's own name carries a suffix.
"""
from __future__ import annotations

import math
import os
import threading
from typing import Any

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.fileio import read_bytes, sha256_bytes
from oace_tf.geometry import normalise
from oace_tf.runtime.interpreter import check_threads, open_interpreter
from oace_tf.runtime.tflite_reader import (
    MASKS,
    PREVIOUS,
    SCORES,
    SIGNATURE,
    FileSummary,
    TensorSummary,
    read_facts,
)

MAX_FILE_BYTES = 2**29  # far above any file of ours; keeps a wrong file out of memory
# Bytes as they are; a mask that is handed back is read as it was given
_FIXED_SCALES = {"image": (1 / 128, 128), "mask": (1 / 256, 0), PREVIOUS: (1 / 256, 0),
                 "masks": (1 / 256, 0)}


class TfliteModel:
    """An opened file of the contract. Made by `open_model`.

    One model holds one interpreter. `run` may be called from several threads, but they wait for
    each other; to work in parallel, open the file once per thread.

    Attributes:
      path: the file.
      size: side of the network's frame, pixels (512 in shipped files).
      max_points: N, rows of `points`.
      click_channels: 2 if background taps count, 1 if the file ignores them or does not say.
      quantized: True for the int8 file (uint8 image and mask), False for the float file.
      metadata: the file's own record (weights' SHA-256, licence, version, ...); may be empty.
      takes_previous: whether the file wants its mask of the clicks before.
      gestures: what the file was trained on beside taps (`Gesture.kinds`), taps included; empty
        for a file that knows taps alone.
      has_alternatives: whether the file gives several answers, see `run_all`.
      sealed: whether the file's bytes were checked against the SHA-256 in its metadata.
    """

    def __init__(self, path: str, facts: FileSummary, interpreter: Any) -> None:
        self.path = path
        self.size = facts.inputs["image"].shape[1]
        self.max_points = facts.inputs["points"].shape[1]
        self.click_channels = int(facts.metadata.get("click_channels", 1))
        self.quantized = facts.inputs["image"].dtype == "uint8"
        self.metadata = facts.metadata
        self.takes_previous = PREVIOUS in facts.inputs
        self.gestures = frozenset(facts.metadata.get("gestures", ()))
        self.has_alternatives = MASKS in facts.outputs
        self.sealed = facts.sealed
        self._runner = interpreter.get_signature_runner(SIGNATURE)
        self._lock = threading.Lock()

    def run(self, image_u8: np.ndarray, points: np.ndarray,
            previous: np.ndarray | None = None) -> np.ndarray:
        """Return the mask, as the file gives it.

        The first call takes longer: the runtime packs the weights.

        Args:
          image_u8: (size, size, 3) uint8 RGB.
          points: (max_points, 3) float32: x, y in pixels of the frame, label (1 object,
            0 background, -1 unused); see `clicks.pack_points`.
          previous: for a file that takes it: what `run` gave for the clicks before, or None at
            the first click, which is a mask of zeros.
        Returns:
          (size, size): uint8, round(256 p) and at most 255, from the int8 file; float32 p in
          [0, 1] from the float file.
        Raises:
          ValueError: an input of another shape or dtype, or points that are not finite.
          UsageError: the runtime cannot run this file.
        """
        return self._outputs(image_u8, points, previous)["mask"][0, :, :, 0]  # (S, S)

    def run_all(self, image_u8: np.ndarray, points: np.ndarray,
                previous: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return several answers, as the file gives them; arguments as `run`.

        Returns:
          masks, (K, size, size), as `run` gives one; scores, (K,) float32, the IoU that the file
          predicts for each.
        Raises:
          ValueError: as `run`; the file has one answer alone.
          UsageError: as `run`.
        """
        if not self.has_alternatives:
            raise ValueError(f"{self.path} gives one mask alone")
        outputs = self._outputs(image_u8, points, previous)
        return np.moveaxis(outputs[MASKS][0], -1, 0), outputs[SCORES][0]  # (K, S, S), (K,)

    def _outputs(self, image_u8: np.ndarray, points: np.ndarray,
                 previous: np.ndarray | None) -> dict[str, np.ndarray]:
        inputs = self.inputs(image_u8, points, previous)
        try:
            with self._lock:
                return self._runner(**inputs)
        except (ValueError, RuntimeError) as error:  # what the runtime raises at a bad graph
            raise UsageError(f"{self.path}: the runtime cannot run this file: {error}") from error

    def inputs(self, image_u8: np.ndarray, points: np.ndarray,
               previous: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return the file's input tensors by name, with the batch axis; arguments as `run`.

        Raises:
          ValueError: an input of another shape or dtype, or points that are not finite.
        """
        if image_u8.shape != (self.size, self.size, 3) or image_u8.dtype != np.uint8:
            raise ValueError(f"image must be ({self.size}, {self.size}, 3) uint8, "
                             f"got {image_u8.shape} {image_u8.dtype}")
        if points.shape != (self.max_points, 3) or points.dtype != np.float32:
            raise ValueError(f"points must be ({self.max_points}, 3) float32, "
                             f"got {points.shape} {points.dtype}")
        if not np.isfinite(points).all():
            raise ValueError("points must be finite")
        image = image_u8 if self.quantized else normalise(image_u8)
        feed = {"image": np.ascontiguousarray(image[None]),
                "points": np.ascontiguousarray(points[None])}
        if self.takes_previous:
            feed[PREVIOUS] = self._previous(previous)
        elif previous is not None:
            raise ValueError(f"{self.path} takes no previous mask")
        return feed

    def _previous(self, mask: np.ndarray | None) -> np.ndarray:
        """Return the previous mask as the file takes it, (1, S, S, 1)."""
        dtype = np.uint8 if self.quantized else np.float32
        shape = (self.size, self.size)
        if mask is None:
            mask = np.zeros(shape, dtype)
        if mask.shape != shape or mask.dtype != dtype:
            raise ValueError(f"the previous mask must be {shape} {np.dtype(dtype)}, "
                             f"got {mask.shape} {mask.dtype}")
        return np.ascontiguousarray(mask[None, :, :, None])


def open_model(path: str | os.PathLike[str], threads: int = 1,
               sha256: str | None = None) -> TfliteModel:
    """Return the opened model of a .tflite file.

    Args:
      path: an int8 or float file of the interface `points`.
      threads: threads of the interpreter, from 1 to 256.
      sha256: the SHA-256 that the file must have, 64 hexadecimal digits; None to check only the
        one that a sealed file carries itself.
    Raises:
      UsageError: the file is missing, truncated, damaged, no .tflite file, not of this interface,
        or has another SHA-256; no runtime is installed; `threads` is out of range.
    """
    name = os.fspath(path)
    check_threads(threads)
    data = read_bytes(path, MAX_FILE_BYTES)
    if sha256 is not None and sha256_bytes(data) != sha256.lower():
        raise UsageError(f"{name} has the SHA-256 {sha256_bytes(data)}, expected {sha256}; "
                         "fetch it or build it again")
    facts = read_facts(data, name)
    _check_contract(facts, name)
    try:
        return TfliteModel(name, facts, open_interpreter(data, threads))
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"{name}: the runtime refuses this file: {error}") from error


def _check_contract(facts: FileSummary, name: str) -> None:
    """Raise UsageError unless the signature and the metadata are those of the contract."""
    interface = f"{', '.join(sorted(facts.inputs))} -> {', '.join(sorted(facts.outputs))}"
    outputs = set(facts.outputs)
    if set(facts.inputs) - {PREVIOUS} != {"image", "points"} or (
            outputs not in ({"mask"}, {"mask", MASKS, SCORES})):
        raise UsageError(f"{name} is of another interface: its tensors are {interface}, expected "
                         "image, points -> mask; make it with --interface points")
    tensors = {**facts.inputs, **facts.outputs}
    image, points = tensors["image"], tensors["points"]
    side = image.shape[1] if len(image.shape) == 4 else 0
    count = points.shape[1] if len(points.shape) == 3 else 0
    pixels = image.dtype if image.dtype in ("uint8", "float32") else "uint8"
    expected = {"image": (pixels, (1, side, side, 3)), "points": ("float32", (1, count, 3)),
                "mask": (pixels, (1, side, side, 1))}
    if PREVIOUS in tensors:
        expected[PREVIOUS] = expected["mask"]
    if MASKS in tensors:
        kinds = tensors[SCORES].shape[-1] if tensors[SCORES].shape else 0
        expected[MASKS] = (pixels, (1, side, side, kinds))
        expected[SCORES] = ("float32", (1, kinds))
    for tensor, (dtype, shape) in expected.items():
        fact = tensors[tensor]
        if (fact.dtype, fact.shape) != (dtype, shape) or min(shape) < 1:
            raise UsageError(f"{name}: its {tensor} is {fact.dtype} {list(fact.shape)}, expected "
                             f"{dtype} {list(shape)}; make the file with export/quantize.py")
        if fact.dtype == "uint8" and not _scale_fits(tensor, fact):
            raise UsageError(f"{name}: its {tensor} has the scale {fact.scale:g} and zero point "
                             f"{fact.zero_point}, expected {_FIXED_SCALES[tensor]}")
    _check_metadata(facts.metadata, count, name)


def _scale_fits(tensor: str, fact: TensorSummary) -> bool:
    scale, zero_point = _FIXED_SCALES[tensor]
    return math.isclose(fact.scale, scale, rel_tol=1e-6) and fact.zero_point == zero_point


def _check_metadata(metadata: dict[str, Any], max_points: int, name: str) -> None:
    """Raise UsageError if the metadata contradicts the file; what is not there is not checked."""
    gestures = metadata.get("gestures", [])
    if not (isinstance(gestures, list) and all(isinstance(kind, str) for kind in gestures)):
        raise UsageError(f"{name}: its metadata says gestures = {gestures!r}, expected a list of "
                         "words; build the file again")
    for key, allowed in (("interface", ("points", "points-multi")), ("click_channels", (1, 2)),
                         ("max_points", (max_points,))):
        if metadata.get(key, allowed[0]) not in allowed:
            raise UsageError(f"{name}: its metadata says {key} = {metadata[key]!r}, expected "
                             f"{' or '.join(map(str, allowed))}; build the file again")
