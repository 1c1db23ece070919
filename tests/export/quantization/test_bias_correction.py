"""Bias correction: means against a plain loop, and the shift of a channel is really gone."""
from __future__ import annotations

import numpy as np
import pytest

from export.calibration import observers
from export.quantization import bias_correction
from export.tflite import model as tflite
from tests.export.conftest import SIZE, Made, feeds


@pytest.mark.parametrize("height, width, kernel, stride, padding", [
    (7, 6, 3, 1, "same"), (8, 8, 3, 2, "same"), (7, 9, 5, 2, "same"), (9, 9, 3, 2, "valid"),
    (4, 4, 1, 1, "same"), (6, 6, 1, 2, "same"),
])
def test_means_of_taps_against_a_convolution(
    height: int, width: int, kernel: int, stride: int, padding: str
) -> None:
    """TensorFlow's own convolution, one tap of the kernel at a time, is the oracle."""
    import tensorflow as tf

    value = np.random.default_rng(0).normal(1, 1, (height, width, 2)).astype(np.float32)
    found = np.zeros(0)
    wanted = np.zeros((kernel, kernel, 2))
    for a in range(kernel):
        for b in range(kernel):
            tap = np.zeros((kernel, kernel, 2, 1), np.float32)
            tap[a, b] = 1
            out = tf.nn.depthwise_conv2d(value[None], tap, [1, stride, stride, 1],
                                         padding.upper())[0].numpy()
            wanted[a, b] = out.mean(axis=(0, 1))
            found = observers.tap_means(value, (kernel, kernel), out.shape[:2], (stride, stride))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_mean_error_of_rounded_kernels_is_gone(made: Made) -> None:
    """The float file with rounded kernels: its channel means, without and with the correction."""
    observer = observers.ChannelObserver(made.float_bytes)
    feed = list(feeds(4, SIZE))
    seen = observers.merge_channels(map(observer.see, feed))
    linear = linear_outputs(made.float_bytes)
    assert len(linear) >= 2

    def means(corrected: bool) -> dict[str, np.ndarray]:
        model = tflite.parse(made.float_bytes)
        # Only the kernels of linear convolutions: behind a cut the mean is another matter, and
        # one layer's error must not reach the next one's input.
        name = linear[0]
        operator = next(op for op in tflite.graph(model).operators if name == tflite.name_of(
            tflite.graph(model).tensors[int(op.outputs[0])]))
        index = int(operator.inputs[1])
        kernel = tflite.constant(model, index)
        error = bias_correction.rounding_error(kernel, tflite.operator_name(model, operator), 4)
        tflite.set_constant(model, index, (kernel + error).astype(np.float32))
        if corrected:
            all_shifts = bias_correction.corrections(tflite.parse(made.float_bytes), seen.means,
                                                     bits=4)
            bias_correction.apply(model, {name: all_shifts[name]})
        inner = observers.InnerTensors(tflite.serialise(model))
        made_at = tflite.by_name(inner.model, name)
        total = []
        for one in feed:
            inner.run(one)
            total.append(inner.value(made_at).mean(axis=(0, 1), dtype=np.float64))
        return {name: np.mean(total, axis=0)}

    exact = observers.InnerTensors(made.float_bytes)
    wanted = []
    for one in feed:
        exact.run(one)
        wanted.append(exact.value(tflite.by_name(exact.model, linear[0]))
                      .mean(axis=(0, 1), dtype=np.float64))
    true = np.mean(wanted, axis=0)
    before = np.abs(means(False)[linear[0]] - true).max()
    after = np.abs(means(True)[linear[0]] - true).max()
    assert before > 1e-3 and after < 1e-5 < before / 50  # 4 bits: an error that can be seen


def linear_outputs(content: bytes) -> list[str]:
    """Return the outputs of a file's convolutions without activation."""
    model = tflite.parse(content)
    return [tflite.name_of(tflite.graph(model).tensors[int(op.outputs[0])])
            for op in tflite.graph(model).operators
            if tflite.operator_name(model, op) == "CONV_2D"
            and not op.builtinOptions.fusedActivationFunction]
