"""OACE reader: the prior's answer out of a .tflite file, which gives only the mask.

The file gives only the mask. Its prior ends in the one TANH of the graph that makes a picture of
three channels, the OACE; an interpreter that keeps every tensor shows it. Such an interpreter
cannot use XNNPACK and takes several times as long: it is for looking, not for use.
"""
from __future__ import annotations

import os
import threading
import warnings
from typing import Any

import cv2
import numpy as np

from oace_tf.errors import UsageError
from oace_tf.runtime.interpreter import interpreter_module, open_interpreter
from oace_tf.runtime.model import TfliteModel, open_model
from oace_tf.runtime.tflite_reader import SIGNATURE

CHANNELS = 3
_OPERATOR = "TANH"  # the prior's last activation; that of gestures has it on its query as well


class OaceReader:
    """Reads the OACE of taps from a .tflite file. Threads wait for each other.

    Args:
      path: an int8 or float file of the interface `points`.
      threads: threads of the interpreter.
    Raises:
      UsageError: the file cannot be opened, or holds no OACE (a network that takes the plain
        disk, or one of another make).
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        self.model: TfliteModel = open_model(path, threads)  # checks the file before it is mapped
        self._interpreter = _keeping_interpreter(self.model.path, threads)
        self._oace = _oace_tensor(self._interpreter, self.model.path)
        details = self._interpreter.get_signature_runner(SIGNATURE).get_input_details()
        self._inputs = {name: int(detail["index"]) for name, detail in details.items()}
        self._lock = threading.Lock()

    def read(self, image_u8: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return the OACE.

        Args:
          image_u8: (size, size, 3) uint8 RGB, as `TfliteModel.run` takes it.
          points: (max_points, 3) float32, likewise.
        Returns:
          (h, w, 3) float32 in [-1, 1], at the resolution at which the prior makes it: a fourth of
          the network's side, or an eighth where the network knows gestures.
        """
        inputs = self.model.inputs(image_u8, points)
        with self._lock:
            for name, value in inputs.items():
                self._interpreter.set_tensor(self._inputs[name], value)
            self._interpreter.invoke()
            oace = self._interpreter.get_tensor(self._oace["index"])[0].astype(np.float32)
        scale, zero_point = self._oace["quantization"]
        return (oace - zero_point) * np.float32(scale) if scale else oace


def oace_picture(oace: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Return the OACE as a picture: its three channels as red, green, blue, -1 black and 1 bright.

    Args:
      oace: (h, w, 3) float32 in [-1, 1].
      size_hw: height and width of the picture, pixels.
    Returns:
      (H, W, 3) uint8 RGB, enlarged by INTER_LINEAR.
    """
    colours = np.clip(np.rint((oace + 1) * 127.5), 0, 255).astype(np.uint8)
    return cv2.resize(colours, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_LINEAR)


def _keeping_interpreter(path: str, threads: int) -> Any:
    """Return an interpreter that keeps every tensor."""
    resolver = interpreter_module().OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with warnings.catch_warnings():  # LiteRT warns of what is asked for here
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors")
        return open_interpreter(path, threads, experimental_preserve_all_tensors=True,
                                experimental_op_resolver_type=resolver)


def _oace_tensor(interpreter: Any, path: str) -> dict[str, Any]:
    """Return index and quantization of the OACE."""
    activations = [op for op in interpreter._get_ops_details() if op["op_name"] == _OPERATOR]
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    outputs = [details[op["outputs"][0]] for op in activations]
    tensors = [tensor for tensor in outputs if tuple(tensor["shape"])[3:] == (CHANNELS,)]
    if len(tensors) != 1:
        raise UsageError(f"{path} holds no OACE that could be shown: {len(tensors)} of its "
                         f"{len(outputs)} {_OPERATOR} make three channels, expected one")
    tensor = tensors[0]
    return {key: tensor[key] for key in ("index", "quantization")}
