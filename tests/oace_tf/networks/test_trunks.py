"""Trunks: features of falling resolution."""
from __future__ import annotations

import keras
import pytest

from oace_tf.networks.layers import Scope
from oace_tf.networks.trunks import stem_layout, trunk_features

SIZE = 64


@pytest.mark.parametrize(("trunk", "stem_stride", "small", "shapes"), (
    ("tiny", 1, False, [(64, 8), (32, 12), (16, 16)]),
    ("tiny", 4, False, [(16, 8), (8, 12), (4, 16)]),
    ("efficientnet_lite0", 1, False, [(64, 16), (32, 24), (16, 40), (8, 112), (4, 320)]),
    ("efficientnet_lite0", 2, False, [(32, 16), (16, 24), (8, 40), (4, 112), (2, 320)]),
    ("efficientnet_lite0", 4, True, [(16, 16), (8, 24), (4, 40), (2, 112), (1, 320)]),
    ("efficientnet_lite2", 2, False, [(32, 16), (16, 24), (8, 48), (4, 120), (2, 352)]),
    ("mobilenet_v2", 2, False, [(32, 16), (16, 24), (8, 32), (4, 96), (2, 320)]),
    ("hrnet", 4, True, [(16, 18), (8, 36), (4, 72), (2, 144)])))
def test_trunks_give_features_of_falling_resolution(trunk, stem_stride, small, shapes):
    image = keras.Input((SIZE, SIZE, 3))
    layout = stem_layout(trunk, stem_stride)
    cells = SIZE // layout.stride // (2 if layout.halve else 1)
    side = keras.Input((cells, cells, layout.channels))
    features = trunk_features(Scope("t"), image, trunk, stem_stride, small=small, side=side)
    assert [tuple(feature.shape) for feature in features] == [
        (None, cells, cells, channels) for cells, channels in shapes]
