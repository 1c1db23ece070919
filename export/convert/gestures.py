"""Weights of one trunk -> float32 TFLite file: image, points, previous mask -> all answers."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from oace_tf.errors import UsageError

KINDS = ("background", "box", "drag", "extreme", "tap")  # `Gesture.kinds`


def convert_gestures(weights: Path, max_points: int, size: int, out: Path) -> Any:
    """Write the float32 file of a weights file of one trunk; as `convert_weights`.

    It gives `mask`, `masks` and `scores`; `interfaces.answers.one_answer` leaves the mask alone.
    """
    from export.convert.keras_pair import Converted, float_tflite
    from oace_tf.networks.cost import add_up, network_costs
    from oace_tf.networks.gesture_networks import build_fused_gestures
    from oace_tf.networks.weights import build_gestures_from_weights, read_record

    side = read_record(weights)[0].network_side(size)
    if size % 16 or side % 32:
        raise UsageError(f"--size is {size}; one trunk takes multiples of 64")
    networks, record = build_gestures_from_weights(weights, size, 1)
    totals = add_up(row for rows in network_costs(networks).values() for row in rows)
    out.write_bytes(float_tflite(build_fused_gestures(networks, max_points, size,
                                                      alternatives=True)))
    return Converted(network=networks.config.to_json(), record=dict(record), click_channels=2,
                     params=totals.params, gmac=totals.gmac, gestures=KINDS)
