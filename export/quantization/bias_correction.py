"""Bias correction: the mean error of each rounded kernel is taken out of its bias.

A kernel rounded to int8 is off by D = W' - W. Its input is far from zero mean (it has passed a cut
at zero), so that D times the mean input shifts a whole channel, in every picture alike, and dozens
of layers add their shifts up. The shift is known: it is subtracted from the bias beforehand. Only
the float file's own means are needed, no int8 run: each layer's error is its own.
Source: Nagel et al., Data-free quantization through weight equalization and bias correction,
ICCV 2019, section 4.2, with means from photographs.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from export.calibration.observers import KERNELS
from export.tflite import model as tflite


def corrections(
    model: Any, means: Mapping[str, np.ndarray], bits: int = 8
) -> dict[str, np.ndarray]:
    """Return what is to be added to each bias of a float file.

    Args:
      model: the float file.
      means: output of a convolution -> (kh, kw, C_in) mean input of each tap of its kernel.
      bits: of the weights.
    Returns:
      Output of a convolution -> (C_out,) float32; convolutions without bias left out.
    """
    shifts = {}
    tensors = tflite.graph(model).tensors
    for operator in tflite.graph(model).operators:
        kind = tflite.operator_name(model, operator)
        if kind not in KERNELS or len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        name = tflite.name_of(tensors[int(operator.outputs[0])])
        error = rounding_error(tflite.constant(model, int(operator.inputs[1])), kind, bits)
        if kind == "DEPTHWISE_CONV_2D":  # (1, kh, kw, C), each channel by itself
            shift = (error[0] * means[name]).sum(axis=(0, 1))
        else:  # (C_out, kh, kw, C_in)
            shift = (error * means[name]).sum(axis=(1, 2, 3))
        shifts[name] = (-shift).astype(np.float32)
    return shifts


def rounding_error(kernel: np.ndarray, kind: str, bits: int = 8) -> np.ndarray:
    """Return rounded minus true kernel, float64, for one symmetric step per output channel."""
    axes = (0, 1, 2) if kind == "DEPTHWISE_CONV_2D" else (1, 2, 3)
    exact = kernel.astype(np.float64)
    top = 2 ** (bits - 1) - 1
    step = np.abs(exact).max(axis=axes, keepdims=True) / top
    step[step == 0] = 1.0
    return np.clip(np.rint(exact / step), -top, top) * step - exact


def apply(model: Any, shifts: Mapping[str, np.ndarray]) -> None:
    """Add the corrections to the biases of a float file.

    Raises:
      KeyError: a convolution that `found` names is not in this file.
    """
    tensors = tflite.graph(model).tensors
    operator_of = {tflite.name_of(tensors[int(op.outputs[0])]): op
                   for op in tflite.graph(model).operators}
    for name, shift in shifts.items():
        index = int(operator_of[name].inputs[2])
        tflite.set_constant(model, index, tflite.constant(model, index) + shift)
