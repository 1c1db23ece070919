"""One trunk, many gestures: the photograph is encoded once, every gesture is decoded from it.

The paper's parts, laid out anew:

- `encoder`: a trunk (or two) and a neck see the photograph alone (B, S, S, 3).
- `prior` (paper 3.1): what lies under the gesture becomes a query, and the similarity of every
  pixel to the query, with the gesture's maps, becomes the OACE (B, S/8, S/8, 3) in [-1, 1].
- `msfnet` (paper 3.2): features, OACE (through the MSF module), maps and the mask answered before
  become logits at S/2: the mask, three alternatives and their predicted IoU.

A deviation from the paper, whose two trunks both see the click. Here K gestures on one photograph
cost one pass of the trunk, in training as in the hand. What the tap no longer steers by being in
the input, it steers by its features: as similarity, as scale and shift of channels at three
resolutions (feature-wise modulation, as DCT-Net's conditional inference), and as dense maps.
"""
from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from oace_tf.config import NetworkConfig
from oace_tf.gestures import STRIDES, channels
from oace_tf.networks.layers import HalfSize, Scope, se_inception
from oace_tf.networks.trunks import trunk_features

# Channels by stride: of the neck, of what MSFNet takes from it, and of MSFNet's own.
NECK = {32: 160, 16: 128, 8: 96, 4: 48}
VIEWS = {32: 64, 16: 64, 8: 48, 4: 24, 2: 16}
SIMILAR = {16: 32, 8: 24}
QUERY = 128
DEEP_NECK = 2  # residual blocks at 1/32 and at 1/16
DEEP_MSFNET = {32: 3, 16: 1}
DEEP_REFINER = 1  # residual blocks more, at 1/8 and at 1/4
TINY = 4  # the networks of tests have a quarter of the channels
OACE_CHANNELS = 3  # paper 3.1
ALTERNATIVES = 3


def build_encoder(config: NetworkConfig, size: int | None = 512,
                  batch: int | None = None) -> keras.Model:
    """Return trunk and neck.

    Args:
      config: the trunk, and the second one where there is one.
      size: side of the square frame, a multiple of 64; None for any.
      batch: fixed batch size, or None.
    Returns:
      A functional model named `shared`: `image` (B, S, S, 3) float32 in [-1, 1) -> a dict of
      `neck8`, `neck16`, `neck32`, of which the prior makes queries, and `view2` to `view32`, which
      MSFNet takes; each (B, S/stride, S/stride, channels) in [0, 6].
    """
    image = keras.Input((size, size, 3), batch_size=batch, name="image")
    scope, wide, views = Scope("shared"), _share(NECK, config), _share(VIEWS, config)
    c2, c4, c8, c16, c32 = trunk_features(scope("trunk"), image, config.trunk, 2, five_levels=True)
    more: dict[int, Any] = {}  # what a second trunk adds, by stride
    if config.second_trunk is not None:
        features = trunk_features(scope("second_trunk"), image, config.second_trunk, 2,
                                  five_levels=True)
        more = dict(zip((8, 16, 32), features[2:]))
    neck = scope("neck")
    p32 = _entered(neck, c32, more.get(32), wide[32])
    p32 = neck.conv_bn_relu(p32, "smooth32", wide[32], 3)
    p32 = _deepened(neck, p32, "deep32", DEEP_NECK, wide[32], config)
    p16 = _joined(neck, c16, p32, 16, wide[16], more.get(16))
    p16 = neck.conv_bn_relu(p16, "smooth16", wide[16], 3)
    p8 = _joined(neck, c8, p16, 8, wide[8], more.get(8))
    p8 = neck.conv_bn_relu(p8, "smooth8", wide[8], 3)
    p8 = neck.conv_bn_relu(p8, "again8", wide[8], 3)
    back = neck.bn(neck.conv(p8, "back16", wide[16], 3, 2), "back16_bn")
    p16 = neck.relu(neck.add([p16, back], "back16_add"), "back16_relu", six=True)
    p16 = _deepened(neck, p16, "deep16", DEEP_NECK, wide[16], config)
    p4 = _joined(neck, c4, p8, 4, wide[4])
    p4 = neck.conv_bn_relu(p4, "smooth4", wide[4], 3)
    p2 = _joined(neck, c2, p4, 2, views[2])
    outputs = {"neck8": p8, "neck16": p16, "neck32": p32, "view2": p2}
    for stride, x in ((4, p4), (8, p8), (16, p16), (32, p32)):
        outputs[f"view{stride}"] = neck.conv_bn_relu(x, f"view{stride}", views[stride], 1)
    return keras.Model(image, outputs, name="shared")


def _share(widths: dict[int, int], config: NetworkConfig) -> dict[int, int]:
    """Return the channels by stride of a configuration."""
    return {s: w // TINY if config.trunk == "tiny" else w for s, w in widths.items()}


def _deepened(scope: Scope, x: Any, part: str, count: int, inner: int,
              config: NetworkConfig) -> Any:
    """Pass x through residual blocks where the configuration is `deep`: as `_residual`."""
    return _residual(scope, x, part, count, inner) if config.deep else x


def _residual(scope: Scope, x: Any, part: str, count: int, inner: int) -> Any:
    """Pass x through residual blocks: [0, 6] -> [0, 6].

    With fresh weights a block changes nothing, so that it can be added to a trained network.

    Args:
      scope: where the layers are named.
      x: (B, h, w, C) in [0, 6].
      part: name of the blocks.
      count: blocks.
      inner: channels between the two convolutions of a block.
    """
    for index in range(count):
        block = scope(part)(index)
        y = block.conv_bn_relu(x, "in", inner, 3)
        y = block.bn(block.conv(y, "out", x.shape[-1], 3), "out_bn", gamma="zeros")
        x = block.relu(block.add([x, y], "add"), "relu", six=True)
    return x


def _entered(neck: Scope, trunk: Any, second: Any, width: int) -> Any:
    """Bring the trunks' coarsest features to the neck's width: (B, S/32, S/32, width)."""
    if second is None:
        return neck.conv_bn_relu(trunk, "in32", width, 1)
    scope = neck("in32")
    side = scope.bn(scope.conv(trunk, "conv", width, 1), "bn")
    return scope.relu(scope.add([side, _second(neck, second, 32, width)], "add"), six=True)


def _joined(neck: Scope, lateral: Any, coarse: Any, stride: int, width: int,
            second: Any = None) -> Any:
    """Add the trunks' features and the coarser neck, enlarged: (B, S/stride, S/stride, width)."""
    side = neck.bn(neck.conv(lateral, f"in{stride}", width, 1), f"in{stride}_bn")
    if second is not None:
        side = neck.add([side, _second(neck, second, stride, width)], f"sides{stride}")
    coarse = neck.bn(neck.conv(coarse, f"to{stride}", width, 1), f"to{stride}_bn")
    total = neck.add([side, neck.up(coarse, f"up{stride}")], f"add{stride}")
    return neck.relu(total, f"relu{stride}", six=True)


def _second(neck: Scope, feature: Any, stride: int, width: int) -> Any:
    """Bring a feature of the second trunk to the neck's width; zeros with fresh weights."""
    x = neck.conv(feature, f"second{stride}", width, 1)
    return neck.bn(x, f"second{stride}_bn", gamma="zeros")


@keras.saving.register_keras_serializable(package="oace_tf")
class WeightedMean(layers.Layer):
    """Features averaged under weights: x (B, h, w, C), weights (B, h, w, 1) -> (B, 1, 1, C).

    The weights sum to 1 (or are all 0). Computed in float32 also in the int8 file: the means are a
    few hundred numbers, and everything that follows depends on them.
    """

    def call(self, inputs: Any) -> Any:
        x, weights = inputs
        return ops.sum(x * ops.cast(weights, x.dtype), axis=(1, 2), keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return (B, 1, 1, C)."""
        return (input_shape[0][0], 1, 1, input_shape[0][-1])


@keras.saving.register_keras_serializable(package="oace_tf")
class RegionMean(layers.Layer):
    """Features averaged over a soft region: x (B, h, w, C), mask (B, h, w, 1) -> (B, 1, 1, C).

    As `WeightedMean`, computed in float32 also in the int8 file.

    Args:
      inside: whether the region is the mask, or what it leaves out.
    """

    def __init__(self, inside: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inside = bool(inside)

    def call(self, inputs: Any) -> Any:
        x, mask = inputs
        weights = mask if self.inside else 1.0 - mask
        total = ops.sum(weights, axis=(1, 2), keepdims=True)
        weights = ops.cast(weights / (total + 1e-3), x.dtype)
        return ops.sum(x * weights, axis=(1, 2), keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return (B, 1, 1, C)."""
        return (input_shape[0][0], 1, 1, input_shape[0][-1])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "inside": self.inside}


def build_gesture_prior(encoder: keras.Model) -> keras.Model:
    """Return the prior of an encoder.

    Returns:
      A functional model named `prior`: `neck8`, `neck16`, `neck32`, `maps8`, and the weights
      `object8` ... `background32` of `gestures` -> a dict of `oace` (B, S/8, S/8, 3) float32 in
      [-1, 1], `query` (B, 1, 1, 128), `similar8` and `similar16`, all in [0, 6].
    """
    scope = Scope("prior")
    necks = {s: _input_like(encoder.output[f"neck{s}"], f"neck{s}") for s in (8, 16, 32)}
    weights = {f"{kind}{s}": _map_input(necks[s], 1, f"{kind}{s}")
               for kind in ("object", "background") for s in (8, 16, 32)}
    maps8 = _map_input(necks[8], channels(8), "maps8")
    under = [WeightedMean(name=scope.at(f"query.{name}"))([necks[int(name.strip(_LETTERS))], w])
             for name, w in weights.items()]
    # The delegate joins five tensors at most.
    query = scope.concat([scope.concat(under[:3], "query.objects"),
                          scope.concat(under[3:], "query.backgrounds")], "query.joined")
    for index in (1, 2):
        query = scope.relu(scope.conv(query, f"query.dense{index}", QUERY, 1, use_bias=True),
                           f"query.relu{index}", six=True)
    similar = {}
    for stride, width in SIMILAR.items():
        key = scope.conv(query, f"key{stride}", necks[stride].shape[-1], 1, use_bias=True,
                         kernel_initializer="glorot_uniform")
        key = layers.Activation("tanh", name=scope.at(f"key{stride}_tanh"))(key)
        product = layers.Multiply(name=scope.at(f"product{stride}"))([necks[stride], key])
        similar[stride] = scope.conv_bn_relu(product, f"similar{stride}", width, 1)
    x = scope.concat([similar[8], scope.up(similar[16], "up16"), maps8], "joined8")
    x = scope.conv_bn_relu(x, "block1", 24, 3)
    x = scope.conv_bn_relu(x, "block2", 24, 3)
    x = scope.conv(x, "embed", OACE_CHANNELS, 1, use_bias=True,
                   kernel_initializer="glorot_uniform")
    oace = layers.Activation("tanh", name=scope.at("tanh"))(x)
    inputs = {f"neck{s}": x for s, x in necks.items()} | {"maps8": maps8} | weights
    return keras.Model(inputs, {"oace": oace, "query": query, "similar8": similar[8],
                                "similar16": similar[16]}, name="prior")


def build_gesture_msfnet(config: NetworkConfig, encoder: keras.Model, prior: keras.Model,
                         refiner: bool = False) -> keras.Model:
    """Return MSFNet of an encoder and its prior.

    With `second_pass` the file runs it twice; the second time `previous` is its first answer.

    Args:
      config: the trunk, and which parts there are.
      encoder: as `build_encoder` gives it.
      prior: as `build_gesture_prior` gives it.
      refiner: whether it is MSFNet of the second pass alone, with residual blocks at 1/8 and 1/4 as
        well, where outlines are drawn.
    Returns:
      A functional model named `msfnet` (or `refiner`): `view2` ... `view32`, `maps4`, `maps8`,
      `maps16`, `previous` (B, S/4, S/4, 1) in [0, 1], and the prior's outputs -> a dict of `logits`
      (B, S/2, S/2, 1), `alternatives` (B, S/2, S/2, 3), logits as well, and `scores` (B, 1, 1, 3);
      with `second_query` also `first` (B, S/16, S/16, 1) in [0, 1], the estimate that it is of.
    """
    name = "refiner" if refiner else "msfnet"
    scope = Scope(name)
    views = {s: _input_like(encoder.output[f"view{s}"], f"view{s}") for s in VIEWS}
    given = {name: _input_like(x, name) for name, x in prior.output.items()}
    maps = {s: _map_input(views[s], channels(s), f"maps{s}") for s in STRIDES}
    before = _map_input(views[4], 1, "previous")
    query = given["query"]
    before8 = HalfSize(name=scope.at("previous8"))(before)
    before16 = HalfSize(name=scope.at("previous16"))(before8)

    x = scope.concat([views[16], given["similar16"], maps[16], before16], "joined16")
    x = scope.conv_bn_relu(x, "a16", 64, 3)
    x = _modulated(scope("film16"), x, query)
    x = scope.conv_bn_relu(x, "b16", 64, 3)
    x = _deepened(scope, x, "deep16", DEEP_MSFNET[16], 64, config)
    # Reach: at 1/32 four convolutions carry a gesture 128 px to each side of a frame of 512.
    y = layers.MaxPooling2D(2, name=scope.at("pool32"))(x)
    y = scope.conv_bn_relu(scope.concat([y, views[32]], "joined32"), "a32", 64, 1)
    for part in ("b32", "c32", "d32", "e32"):
        y = scope.conv_bn_relu(y, part, 64, 3)
    y = _deepened(scope, y, "deep32", DEEP_MSFNET[32], 128, config)
    x = scope.add([x, scope.up(y, "up32")], "add16")
    x = scope.conv_bn_relu(scope.relu(x, "add16_relu", six=True), "c16", 48, 3)

    outputs = {}
    query8, found = query, None
    if config.second_query:
        outputs["first"], found, query8 = _second_query(scope("found"), x, views[16], query)

    msf = scope.conv_bn_relu(given["oace"], "msf.conv", 32, 3)
    for index in range(1, 4 if config.msf else 1):
        msf = se_inception(scope(f"msf.inception{index}"), msf, 8)
    x = scope.concat([scope.up(x, "up16"), views[8], given["similar8"]], "features8")
    x = scope.concat([x, msf, maps[8], before8], "joined8")  # the delegate joins five at most
    x = scope.conv_bn_relu(x, "a8", 48, 1)
    if found is not None:
        x = _compared(scope("found8"), x, views[8], found)
    x = _modulated(scope("film8"), x, query8)
    x = scope.conv_bn_relu(x, "b8", 48, 3)
    if refiner:
        x = _residual(scope, x, "deep8", DEEP_REFINER, 48)
    x8 = scope.conv_bn_relu(x, "c8", 32, 3)

    x = scope.concat([scope.up(x8, "up8"), views[4], maps[4], before], "joined4")
    x = scope.conv_bn_relu(x, "a4", 24, 1)
    x = _modulated(scope("film4"), x, query8)
    x = scope.conv_bn_relu(x, "b4", 24, 3)
    if refiner:
        x = _residual(scope, x, "deep4", DEEP_REFINER, 24)
    x = scope.conv_bn_relu(x, "c4", 16, 3)

    x = scope.concat([scope.up(x, "up4"), views[2]], "joined2")
    x = scope.conv_bn_relu(x, "a2", 12, 1)
    x = scope.conv_bn_relu(x, "b2", 12, 3)
    bias = keras.initializers.Constant(-1.0)  # objects cover about a quarter of a scene
    glorot = "glorot_uniform"
    logits = scope.conv(x, "mask", 1, 1, use_bias=True, kernel_initializer=glorot,
                        bias_initializer=bias)
    others = scope.conv(x, "alternatives", ALTERNATIVES, 1, use_bias=True,
                        kernel_initializer=glorot, bias_initializer=bias)
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name=scope.at("scores.mean"))(x8)
    score = scope.relu(scope.conv(scope.concat([pooled, query], "scores.joined"), "scores.dense",
                                  64, 1, use_bias=True), "scores.relu", six=True)
    score = scope.conv(score, "scores.out", ALTERNATIVES, 1, use_bias=True,
                       kernel_initializer=glorot)
    inputs = {f"view{s}": x for s, x in views.items()} | {f"maps{s}": x for s, x in maps.items()}
    outputs |= {"logits": _float32(logits, "logits"),
                "alternatives": _float32(others, "alternatives"),
                "scores": _float32(score, "scores")}
    return keras.Model(inputs | given | {"previous": before}, outputs, name=name)


_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _float32(x: Any, name: str) -> Any:
    return layers.Activation("linear", dtype="float32", name=name)(x)


def _input_like(x: Any, name: str) -> Any:
    return keras.Input(batch_shape=x.shape, name=name)


def _map_input(like: Any, width: int, name: str) -> Any:
    return keras.Input(batch_shape=(*like.shape[:3], width), name=name)


def _second_query(scope: Scope, x: Any, view: Any, query: Any) -> tuple[Any, Any, Any]:
    """Make a query of what a first estimate of the mask holds, and of what it leaves out.

    The first query knows the few cells under the tap; a windscreen says little of a bus. Features
    averaged over the part that was found say more. With fresh weights the query stays as it was.

    Args:
      scope: where the layers are named.
      x: (B, S/16, S/16, C) in [0, 6].
      view: (B, S/16, S/16, V) of the photograph.
      query: (B, 1, 1, 128) in [0, 6].
    Returns:
      The estimate (B, S/16, S/16, 1) in [0, 1], what was found and the second query, each
      (B, 1, 1, 128) in [0, 6].
    """
    logits = scope.conv(x, "estimate", 1, 1, use_bias=True, kernel_initializer="glorot_uniform",
                        bias_initializer=keras.initializers.Constant(-1.0))
    estimate = layers.Activation("sigmoid", dtype="float32", name=scope.at("mask"))(logits)
    joined = scope.concat([x, view], "joined")
    means = [RegionMean(inside, name=scope.at(name))([joined, estimate])
             for name, inside in (("object", True), ("background", False))]
    found = scope.relu(scope.conv(scope.concat(means, "means"), "dense", QUERY, 1, use_bias=True),
                       "dense_relu", six=True)
    change = scope.conv(found, "change", QUERY, 1, use_bias=True, kernel_initializer="zeros")
    query = scope.relu(scope.add([query, change], "changed"), "query", six=True)
    return estimate, found, query


def _compared(scope: Scope, x: Any, view: Any, found: Any) -> Any:
    """Add to x how alike each cell of a view is to what was found: x itself with fresh weights."""
    key = scope.conv(found, "key", view.shape[-1], 1, use_bias=True,
                     kernel_initializer="glorot_uniform")
    key = layers.Activation("tanh", name=scope.at("key_tanh"))(key)
    product = layers.Multiply(name=scope.at("product"))([view, key])
    alike = scope.conv(product, "alike", x.shape[-1], 1, use_bias=True, kernel_initializer="zeros")
    return scope.relu(scope.add([x, alike], "added"), "added_relu", six=True)


def _modulated(scope: Scope, x: Any, query: Any) -> Any:
    """Scale and shift the channels of x by the query: (B, h, w, C) in [0, 6] -> the same."""
    width = x.shape[-1]
    factor = scope.conv(query, "factor", width, 1, use_bias=True, kernel_initializer="zeros")
    factor = layers.Activation("sigmoid", name=scope.at("gate"))(factor)
    factor = layers.Rescaling(2.0, name=scope.at("twice"))(factor)  # 1 with fresh weights
    shift = scope.conv(query, "shift", width, 1, use_bias=True, kernel_initializer="zeros")
    x = layers.Multiply(name=scope.at("scaled"))([x, factor])
    return scope.relu(scope.add([x, shift], "shifted"), "shifted_relu", six=True)
