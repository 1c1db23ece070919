"""Conversion of ported RITM weights to a float32 file: the second architecture."""
from __future__ import annotations

from pathlib import Path

from oace_tf.errors import UsageError


def convert_ritm(weights: Path, trunk: str | None, max_points: int, size: int, out: Path) -> object:
    """Write the float32 file of a ported RITM; the arguments are those of `convert_weights`.

    What has no effect on the mask (see `ritm.UNUSED`) is left out, of file, parameters and GMAC.

    Raises:
      UsageError: the file is damaged, holds another network, or the size does not divide.
    """
    from export.convert.keras_pair import Converted, float_tflite
    from oace_tf.networks.cost import add_up, cost_table
    from oace_tf.networks.ported.registry import (
        HRNET_VARIANTS,
        RITM,
        fill_ported,
        layer_variables,
        read_ported,
    )
    from oace_tf.networks.ported.ritm import CLICK_CHANNELS, UNUSED, build_fused_ritm, build_ritm

    ported, record, tensors = read_ported(weights)
    if ported.network not in RITM:
        raise UsageError(f"{weights}: holds a ported {ported.network}, which gives no mask by "
                         "itself; start a training from it: `python -m oace_tf.train --init`")
    if trunk not in (None, ported.trunk):
        raise UsageError(f"{weights}: holds {ported.network} of trunk {ported.trunk}, not {trunk}; "
                         "leave --trunk out")
    if size % 32:
        raise UsageError(f"--size is {size}; an HRNet takes multiples of 32")
    model = build_ritm(HRNET_VARIANTS[ported.network], size, 1, resize=ported.resize, whole=False)
    left_out = frozenset(name for name in tensors if name.startswith(UNUSED))
    fill_ported(model, tensors, str(weights), left_out)
    totals = add_up(cost_table(model))
    out.write_bytes(float_tflite(build_fused_ritm(model, max_points, size)))
    network = {"trunk": ported.trunk, "architecture": ported.network, "resize": ported.resize,
               "tensors_without_effect": len(left_out)}
    assert sum(1 for _ in layer_variables(model)) + len(left_out) == len(tensors)
    return Converted(network=network,
                     record={**record, "licence": f"weights: {record.get('licence', 'unknown')}"},
                     click_channels=CLICK_CHANNELS, params=totals.params, gmac=totals.gmac)
