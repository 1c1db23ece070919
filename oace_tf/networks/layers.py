"""Building blocks: named Keras layers, the joins that quantize well, and the SE-Inception block.

Layer names are dotted paths (`prior.trunk.stage2.0.branches.0.0.conv1`) as in the published
PyTorch checkpoints, so that weights travel by name. Every activation follows a convolution or an
addition, every resize is bilinear with half-pixel centres, and pooling takes the maximum: other
choices split the int8 graph.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

HE_NORMAL = "he_normal"
_TORCH_DOT = "-"  # no published name has one


def keras_name(dotted: str) -> str:
    """Return the Keras layer name of a dotted name: the same, but for the torch backend.

    There a layer's variables become keys of a `torch.nn.ParameterDict`, which refuses dots.
    """
    return dotted.replace(".", _TORCH_DOT) if keras.backend.backend() == "torch" else dotted


def dotted_name(name: str) -> str:
    """Return the dotted name of a Keras layer name, the inverse of `keras_name`."""
    return name.replace(_TORCH_DOT, ".")


@dataclass(frozen=True, slots=True)
class Scope:
    """A dotted name prefix that makes layers under it."""

    name: str
    epsilon: float = 1e-5
    momentum: float = 0.97  # Keras's sense: the share of the old statistics that is kept

    def __call__(self, part: str | int) -> Scope:
        return Scope(f"{self.name}.{part}", self.epsilon, self.momentum)

    def at(self, part: str | int) -> str:
        """Return the Keras name of the layer `part` of this scope."""
        return keras_name(f"{self.name}.{part}")

    def conv(self, x: Any, part: str | int, filters: int, kernel: int, stride: int = 1, *,
             padding: str = "same", use_bias: bool = False, kernel_initializer: Any = HE_NORMAL,
             bias_initializer: Any = "zeros") -> Any:
        """Convolve; `padding="torch"` pads (kernel - 1) / 2 on each side whatever the stride."""
        name = self.at(part)
        x, padding = pad(x, name, kernel, stride, padding)
        return layers.Conv2D(filters, kernel, stride, padding=padding, use_bias=use_bias, name=name,
                             kernel_initializer=kernel_initializer,
                             bias_initializer=bias_initializer)(x)

    def depthwise(self, x: Any, part: str | int, kernel: int, stride: int = 1, *,
                  padding: str = "same") -> Any:
        """Convolve each channel by itself, without bias."""
        name = self.at(part)
        x, padding = pad(x, name, kernel, stride, padding)
        return layers.DepthwiseConv2D(kernel, stride, padding=padding, use_bias=False, name=name,
                                      depthwise_initializer=HE_NORMAL)(x)

    def bn(self, x: Any, part: str | int, *, gamma: str = "ones") -> Any:
        """Normalise over the batch."""
        return BatchNorm(epsilon=self.epsilon, momentum=self.momentum, gamma_initializer=gamma,
                         name=self.at(part))(x)

    def relu(self, x: Any, part: str | int = "relu", *, six: bool = False) -> Any:
        """Cut below zero, and above six where `six`."""
        return layers.ReLU(max_value=6.0 if six else None, name=self.at(part))(x)

    def conv_bn_relu(self, x: Any, part: str | int, filters: int, kernel: int,
                     stride: int = 1) -> Any:
        """Convolution `PART.conv`, normalisation `PART.bn`, cut to [0, 6] `PART.relu`.

        Six, because a bounded range keeps the int8 step small: without it single outliers reached
        20 to 40 where the standard deviation was 0.6.
        """
        scope = self(part)
        x = scope.conv(x, "conv", filters, kernel, stride)
        return scope.relu(scope.bn(x, "bn"), six=True)

    def fuse(self, x: Any, side: Any) -> Any:
        """Add a side input to a stem's output (late fusion) and cut to [0, 6] again.

        The stem's own activation comes first: without it the sum's first operand is unbounded,
        and int8 lost 23 dB of it (range 101, of which [0, 6] mattered).
        """
        return self.relu(self.add([x, side], "fuse"), "fuse_relu", six=True)

    def up(self, x: Any, part: str | int, factor: int = 2) -> Any:
        """Enlarge bilinearly with half-pixel centres."""
        return layers.UpSampling2D(factor, interpolation="bilinear", name=self.at(part))(x)

    def add(self, xs: Sequence[Any], part: str | int) -> Any:
        """Add tensors of one shape."""
        return layers.Add(name=self.at(part))(list(xs))

    def concat(self, xs: Sequence[Any], part: str | int) -> Any:
        """Join along the channels."""
        return layers.Concatenate(name=self.at(part))(list(xs))


def pad(x: Any, name: str, kernel: int, stride: int, padding: str) -> tuple[Any, str]:
    """Return x padded as asked, and the padding that is left for the convolution to do.

    Args:
      x: (B, H, W, C).
      name: of the convolution; the padding layer is named after it.
      kernel, stride: of the convolution.
      padding: "torch" pads (kernel - 1) / 2 on each side whatever the stride; others stay.
    """
    # With stride 1 both conventions pad alike. With stride 2 and an even size, "same" pads nothing
    # before and one after, PyTorch one on each side: a shift by a pixel.
    if padding == "torch":
        if stride > 1 and kernel > 1:
            padded = layers.ZeroPadding2D((kernel - 1) // 2, name=f"{name}{keras_name('.')}pad")
            return padded(x), "valid"
        return x, "same"
    return x, padding


@keras.saving.register_keras_serializable(package="oace_tf")
class BatchNorm(layers.BatchNormalization):
    """Batch normalisation; in training, TensorFlow's fused kernel where that is the backend.

    Keras composes the statistics and their gradient of a dozen operators there. With the fused
    kernel a training step of the light pair takes 13 % less on one CPU core.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training or not self.trainable or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        # Statistics are taken in float32, also where the networks compute in bfloat16.
        wanted = inputs.dtype
        inputs = tf.cast(inputs, tf.float32)
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
        outputs, mean, variance = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=tf.convert_to_tensor(self.gamma.value),
            offset=tf.convert_to_tensor(self.beta.value), mean=tf.zeros([0]),
            variance=tf.zeros([0]), epsilon=self.epsilon, is_training=True)[:3]
        variance = variance * (count - 1.0) / count  # the kernel's is the unbiased estimate
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return tf.cast(outputs, wanted)


@keras.saving.register_keras_serializable(package="oace_tf")
class HalfSize(layers.Layer):
    """Halve height and width: each pixel is the mean of two by two.

    (B, H, W, C) -> (B, H/2, W/2, C); H and W even. A bilinear resize, because average pooling has
    no int8 kernel in XNNPACK while a resize has; at exactly one half the two are the same.
    """

    def call(self, x: Any) -> Any:
        height, width = x.shape[1], x.shape[2]
        if height is None or width is None:
            height, width = ops.shape(x)[1:3]
        return ops.image.resize(x, (height // 2, width // 2), interpolation="bilinear",
                                antialias=False, data_format="channels_last")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, height, width, channels = input_shape
        return (batch, height and height // 2, width and width // 2, channels)


@keras.saving.register_keras_serializable(package="oace_tf")
class Resized(layers.Layer):
    """Resize bilinearly with half-pixel centres to side S: (B, H, W, C) -> (B, S, S, C).

    Shrinking reads between the pixels and does not average more than two by two.
    """

    def __init__(self, side: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.side = int(side)

    def call(self, x: Any) -> Any:
        return ops.image.resize(x, (self.side, self.side), interpolation="bilinear",
                                antialias=False, data_format="channels_last")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.side, self.side, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "side": self.side}


def merge(scope: Scope, features: Sequence[Any], width: int, *, smooth: bool) -> Any:
    """Join features of falling resolution at the finest one.

    Args:
      scope: where the layers are named.
      features: finest first, each (B, H / 2^i, W / 2^i, C_i).
      width: channels of the result.
      smooth: a 3x3 convolution after each join, as in a feature pyramid; without it the result
        is what resizing, concatenating and a 1x1 convolution would give (up to the cut), at a
        fraction of the cost.
    Returns:
      (B, H, W, width) in [0, 6].
    """
    last = len(features) - 1
    x = scope.bn(scope.conv(features[last], f"lateral{last}", width, 1), f"lateral{last}_bn")
    for level in range(last, -1, -1):
        if level < last:
            side = scope.bn(scope.conv(features[level], f"lateral{level}", width, 1),
                            f"lateral{level}_bn")
            x = scope.add([scope.up(x, f"up{level}"), side], f"add{level}")
        if smooth or level == 0:
            x = scope.relu(x, f"relu{level}", six=True)
        if smooth:
            x = scope.conv_bn_relu(x, f"smooth{level}", width, 3)
    return x


def squeeze_excite(scope: Scope, x: Any, reduction: int = 4) -> Any:
    """Scale each channel of (B, H, W, C) by a factor in (0, 1) made from all channel means."""
    channels = x.shape[-1]
    s = layers.GlobalAveragePooling2D(keepdims=True, name=scope.at("mean"))(x)
    s = scope.conv(s, "reduce", max(4, channels // reduction), 1, use_bias=True)
    s = scope.relu(s)
    s = scope.conv(s, "expand", channels, 1, use_bias=True, kernel_initializer="glorot_uniform")
    s = layers.Activation("sigmoid", name=scope.at("gate"))(s)
    return layers.Multiply(name=scope.at("scale"))([x, s])


def se_inception(scope: Scope, x: Any, width: int) -> Any:
    """Four arms of `width` channels, joined, then squeeze and excitation (paper 3.2).

    (B, H, W, C) -> (B, H, W, 4 width). Arms: 1x1; 1x1 and 3x3; 1x1 and two 3x3; pooling and 1x1.
    """
    one = scope.conv_bn_relu(x, "arm1", width, 1)
    three = scope.conv_bn_relu(x, "arm3_in", width, 1)
    three = scope.conv_bn_relu(three, "arm3", width, 3)
    five = scope.conv_bn_relu(x, "arm5_in", width, 1)
    five = scope.conv_bn_relu(five, "arm5_mid", width, 3)
    five = scope.conv_bn_relu(five, "arm5", width, 3)
    pooled = layers.MaxPooling2D(3, 1, padding="same", name=scope.at("pool"))(x)
    pooled = scope.conv_bn_relu(pooled, "arm_pool", width, 1)
    return squeeze_excite(scope("se"), scope.concat([one, three, five, pooled], "concat"))
