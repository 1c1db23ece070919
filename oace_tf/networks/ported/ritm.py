"""RITM with HRNet-OCR: photograph, previous mask and click disks -> logits of the mask.

The second architecture, to compare with on equal terms: Sofiiuk et al., "Reviving Iterative
Training with Mask Guidance for Interactive Segmentation", 2021; its HRNet-18 and HRNet-18s models
of iterative training (disks of radius 5, previous mask, `conv3x3_ocr` of 128 and 96 channels).
Names and shapes are those of its checkpoints.

Its object-contextual representation knows one region, the object. The attention over regions is
then a softmax over one number: one, everywhere. So the context of every pixel is the same, and the
tensors of the attention's query and key have no effect; `UNUSED` names them.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from oace_tf.geometry import IMAGENET_DEVIATION, IMAGENET_MEAN
from oace_tf.networks.fused import DISKS_LAYER, MASK_LAYER, Disks
from oace_tf.networks.hrnet import hrnet_trunk
from oace_tf.networks.layers import Scope
from oace_tf.networks.resize import enlarge
from oace_tf.runtime.tflite_reader import PREVIOUS

OCR_WIDTHS = {"w18": 64, "w18_small_v2": 48}
MAP_CHANNELS = 16
LEAK = 0.2
STEM_CHANNELS = 64
STRIDE = 4  # pixels of the frame per cell of the logits
CLICK_CHANNELS = 2
ATTENTION = "feature_extractor.ocr_distri_head.object_context_block"
UNUSED = (f"{ATTENTION}.f_pixel", f"{ATTENTION}.f_object")
GATHER = "ocr_gather_head"  # in the names of what must stay float


def build_ritm(variant: str, size: int = 512, batch: int | None = None, *,
               resize: str = "aligned", whole: bool = True) -> keras.Model:
    """Return RITM.

    Args:
      variant: of the HRNet, a key of `OCR_WIDTHS`.
      size: side of the square frame, a multiple of 32; None for any.
      batch: fixed batch size, or None.
      resize: how it enlarges, everywhere; `aligned` as published.
      whole: with the query and key of the attention, which have no effect (`UNUSED`); what is
        deployed goes without.
    Returns:
      A functional model named `ritm`: `image` (B, S, S, 3) float32 in [-1, 1), `previous`
      (B, S, S, 1) in [0, 1], `disks` (B, S, S, 2) in {0, 1}, object taps first -> logits
      (B, S, S, 1), auxiliary logits (B, S/4, S/4, 1), and if `whole` the attention
      (B, S/4, S/4, 1), which is one.
    """
    image = keras.Input((size, size, 3), batch_size=batch, name="image")
    previous = keras.Input((size, size, 1), batch_size=batch, name=PREVIOUS)
    disks = keras.Input((size, size, CLICK_CHANNELS), batch_size=batch, name="disks")
    root = Scope("ritm")
    maps = _map_stem(root("maps_transform"), root.concat([previous, disks], "maps"))
    scope = root("feature_extractor")
    x = Standardise(name=root.at("standardise"))(image)
    branches = hrnet_trunk(scope, x, variant, STRIDE, maps, resize=resize, bounded=False)
    same_size = [branches[0], *(enlarge(scope, x, f"up{level}", 2 ** level, resize)
                                for level, x in enumerate(branches[1:], start=1))]
    features = scope.concat(same_size, "features")  # (B, S/4, S/4, 270)

    auxiliary = _auxiliary(scope("aux_head"), features)
    width = OCR_WIDTHS[variant]
    x = _conv_bn_relu(scope("conv3x3_ocr"), features, 2 * width, 3, use_bias=True)
    context, attention = _context(scope, x, auxiliary, width, whole)
    context = Spread(name=scope.at("ocr_distri_head.spread"))([context, x])
    x = scope.concat([context, x], "ocr_distri_head.concat")
    part = scope("ocr_distri_head")("conv_bn_dropout")
    x = part.relu(part(1).bn(part.conv(x, 0, 2 * width, 1), 0), "1.1")
    logits = scope.conv(x, "cls_head", 1, 1, use_bias=True)
    logits = enlarge(root, logits, "up", STRIDE, resize)
    logits = layers.Activation("linear", dtype="float32", name=root.at("logits"))(logits)
    outputs = [logits, auxiliary, *([attention] if whole else [])]
    return keras.Model([image, previous, disks], outputs, name="ritm")


def build_fused_ritm(ritm: keras.Model, max_points: int = 20, size: int = 512) -> keras.Model:
    """Return the model that draws the taps, runs RITM and gives the mask; batch 1.

    Returns:
      Inputs `image` (1, S, S, 3) float32 in [-1, 1), `points` (1, N, 3) float32 as in
      `fused.build_fused`, `previous` (1, S, S, 1) float32 in [0, 1]; output mask
      (1, S, S, 1) float32 in [0, 1].
    Raises:
      ValueError: `max_points` below 1.
    """
    if max_points < 1:
        raise ValueError(f"max_points is {max_points}; it must be at least 1")
    image = keras.Input(batch_shape=(1, size, size, 3), name="image")
    points = keras.Input(batch_shape=(1, max_points, 3), name="points")
    previous = keras.Input(batch_shape=(1, size, size, 1), name=PREVIOUS)
    disks = UnitDisks(size, CLICK_CHANNELS, name=DISKS_LAYER)(points)
    logits = ritm([image, previous, disks])[0]
    mask = layers.Activation("sigmoid", dtype="float32", name=MASK_LAYER)(logits)
    return keras.Model([image, points, previous], mask, name="fused")


def _map_stem(scope: Scope, maps: Any) -> Any:
    """(B, S, S, 3) previous mask and disks -> (B, S/2, S/2, 64), to be added to the stem."""
    x = LeakyConv(MAP_CHANNELS, name=scope.at(0))(maps)
    x = scope.conv(x, 2, STEM_CHANNELS, 3, 2, padding="torch", use_bias=True)
    return Scale(name=scope.at(3))(x)


def _auxiliary(scope: Scope, features: Any) -> Any:
    channels = features.shape[-1]
    x = scope.relu(scope.bn(scope.conv(features, 0, channels, 1, use_bias=True), 1), 2)
    return scope.conv(x, 3, 1, 1, use_bias=True)


def _context(scope: Scope, x: Any, auxiliary: Any, width: int, whole: bool) -> tuple[Any, Any]:
    """Return the object's context (B, 1, 1, 2 width), and the attention if `whole`."""
    region = Gather(name=scope.at(GATHER))([auxiliary, x])  # (B, 1, 1, 2 width)
    part = scope("ocr_distri_head")("object_context_block")
    value = _chain(part("f_down"), region, width, 1)
    context = _chain(part("f_up"), value, 2 * width, 1)
    if not whole:
        return context, None
    query = _chain(part("f_pixel"), x, width, 2)
    key = _chain(part("f_object"), region, width, 2)
    return context, Attention(name=part.at("attention"))([query, key])


def _chain(scope: Scope, x: Any, width: int, length: int) -> Any:
    """1x1 convolutions, each with normalisation and activation, as published names count them."""
    for index in range(0, 2 * length, 2):
        after = scope(index + 1)
        x = after.relu(after.bn(scope.conv(x, index, width, 1), 0), 1)
    return x


def _conv_bn_relu(scope: Scope, x: Any, width: int, kernel: int, use_bias: bool) -> Any:
    return scope.relu(scope.bn(scope.conv(x, 0, width, kernel, use_bias=use_bias), 1), 2)


@keras.saving.register_keras_serializable(package="oace_tf")
class UnitDisks(Disks):
    """RITM's disks: one, where ours are 127/128."""

    on = 1.0


@keras.saving.register_keras_serializable(package="oace_tf")
class Standardise(layers.Layer):
    """(byte - 128) / 128 -> (byte / 255 - mean) / deviation, per channel of RGB.

    Args:
      mean, deviation: of each channel.

    A layer of its own, not a part of the first convolution: that pads its input with zeros, which
    stand for the mean.
    """

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN,
                 deviation: Sequence[float] = IMAGENET_DEVIATION, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean, self.deviation = tuple(mean), tuple(deviation)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mean": self.mean, "deviation": self.deviation}

    def call(self, x: Any) -> Any:
        deviation, mean = np.array(self.deviation), np.array(self.mean)
        factor = (128 / 255 / deviation).astype(np.float32)
        offset = ((128 / 255 - mean) / deviation).astype(np.float32)
        kernel = ops.convert_to_tensor(factor.reshape(1, 1, 3, 1))  # one operator in TFLite
        return ops.depthwise_conv(x, kernel, data_format="channels_last") + offset


@keras.saving.register_keras_serializable(package="oace_tf")
class LeakyConv(layers.Conv2D):
    """1x1 convolution and leaky activation: (B, H, W, C) -> (B, H, W, filters).

    leaky(x) = LEAK x + (1 - LEAK) max(x, 0), as two convolutions and a sum: int8 kernels know no
    leaky activation, but the cut at zero inside a convolution.
    """

    activated = True  # the published convolution ends before the activation

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(filters, **{"kernel_size": 1, **kwargs})

    def call(self, x: Any) -> Any:
        def part(share: float) -> Any:
            return ops.conv(x, share * self.kernel, data_format="channels_last"
                            ) + share * self.bias

        return part(LEAK) + ops.relu(part(1.0 - LEAK))


@keras.saving.register_keras_serializable(package="oace_tf")
class Scale(layers.Layer):
    """Multiply by the size of one learned number."""

    folds = True  # into the convolution before it

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(1,), initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        return x * ops.abs(self.scale)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable(package="oace_tf")
class Gather(layers.Layer):
    """Mean of the features, weighted by the softmax of the logits over all places.

    [(B, H, W, 1), (B, H, W, C)] -> (B, 1, 1, C). A weight is about 1 / (H W), far below any int8
    step: this stays float.
    """

    def call(self, inputs: Sequence[Any]) -> Any:
        logits, features = inputs
        places, channels = np.prod(features.shape[1:3]), features.shape[3]
        weights = ops.softmax(ops.reshape(logits, (-1, 1, places)), axis=-1)
        mean = ops.matmul(weights, ops.reshape(features, (-1, places, channels)))
        return ops.reshape(mean, (-1, 1, 1, channels))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[1][0], 1, 1, input_shape[1][3])


@keras.saving.register_keras_serializable(package="oace_tf")
class Spread(layers.Layer):
    """Repeat one cell over a map's places: [(B, 1, 1, C), (B, H, W, D)] -> (B, H, W, C)."""

    def call(self, inputs: Sequence[Any]) -> Any:
        cell, like = inputs
        # A resize of one cell is that cell everywhere, and int8 kernels take it.
        return ops.image.resize(cell, like.shape[1:3], interpolation="bilinear",
                                data_format="channels_last")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[1][:3], input_shape[0][3])


@keras.saving.register_keras_serializable(package="oace_tf")
class Attention(layers.Layer):
    """Softmax over the one region: [(B, H, W, C), (B, 1, 1, C)] -> (B, H, W, 1), all ones."""

    def call(self, inputs: Sequence[Any]) -> Any:
        query, key = inputs
        similarity = ops.sum(query * key, axis=-1, keepdims=True) * query.shape[-1] ** -0.5
        largest = ops.max(similarity, axis=-1, keepdims=True)
        weights = ops.exp(similarity - largest)  # Keras warns of a softmax over one number
        return weights / ops.sum(weights, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:3], 1)
