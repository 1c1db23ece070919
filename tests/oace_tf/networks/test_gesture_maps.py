"""The maps drawn inside the model against those of numpy."""
from __future__ import annotations

import numpy as np
import pytest

from oace_tf.gestures import draw_maps, pack_rows
from oace_tf.networks.gesture_maps import GestureMaps

SIZE = 128


def _points(*rows: tuple[float, float, int]) -> np.ndarray:
    return pack_rows(np.array(rows, np.float32).reshape(-1, 3), 8)


@pytest.mark.parametrize("frame", [SIZE, 4 * SIZE])
def test_the_model_draws_what_numpy_draws(frame):
    rng = np.random.default_rng(5)
    gestures = [
        [], [(3, 4, 1)], [(100, 20, 1), (30, 30, 0), (31, 30, 0)], [(90, 10, 2), (12, 70, 3)],
        [(90, 10, 2), (12, 70, 3), (50, 50, 1), (2, 2, 0)],
        [(8, 40, 4), (40, 8, 4), (90, 44, 4), (44, 90, 4)], [(60, 60, 1), (80, 75, 5)],
        [(60, 60, 1), (60, 60, 5)], [tuple(r) for r in rng.uniform(-9, 140, (8, 2)).tolist()],
    ]
    rows = [[(*row, 1) if len(row) == 2 else row for row in gesture] for gesture in gestures]
    points = np.stack([_points(*gesture) for gesture in rows])
    points[..., :2] *= frame / SIZE
    drawn = GestureMaps(SIZE, frame)(points)
    for index, gesture in enumerate(points):
        reference = draw_maps(gesture, frame, SIZE)
        for stride, maps in reference.maps.items():
            # float32: measured differences up to 4e-7, of sums in another order
            assert np.allclose(drawn[f"maps{stride}"][index], maps, atol=2e-6)
        for kind, weights in (("object", reference.object_weights),
                              ("background", reference.background_weights)):
            for stride, values in weights.items():
                assert np.allclose(drawn[f"{kind}{stride}"][index], values, atol=2e-6)
