"""Zero start of what joins a pretrained trunk, so that the trunk's own features survive.

With fresh weights the OACE is noise, and the click stem's normalisation makes it as loud as the
tap: the few pixels of a disk drown in it. The MSF module adds noise to the joined features in the
same way. From zero both come in as far as they help; their gradients are not zero. After 300 steps
of the ablations this is worth 10 points of mIoU@1 (experiments/ablation/README.md, row `loud`).
"""
from __future__ import annotations

import numpy as np

from oace_tf.networks.pair import Pair
from oace_tf.networks.prior import OACE_CHANNELS
from oace_tf.networks.weights import pair_variables, value_of

_CLICK_STEM = "msfnet.click_stem.conv.weight"
_MSF = "msfnet.msf_fuse_bn.weight"


def zero_start(pair: Pair) -> list[str]:
    """Silence what a fresh MSFNet joins to its trunk beside the disk.

    The click stem's weights of the OACE become zero where it takes the disk too (alone, the OACE is
    all there is), and the scale of the MSF module's last normalisation where there is one.

    Args:
      pair: fresh networks; changed in place.
    Returns:
      The names of the variables that were changed.
    """
    variables, changed = pair_variables(pair), []
    if pair.config.click_input == "oace+disk":
        kernel = np.array(value_of(variables[_CLICK_STEM]))  # (3, 3, OACE and disks, C)
        kernel[:, :, :OACE_CHANNELS] = 0.0
        variables[_CLICK_STEM].assign(kernel)
        changed.append(_CLICK_STEM)
    if pair.config.msf:
        variables[_MSF].assign(np.zeros_like(value_of(variables[_MSF])))
        changed.append(_MSF)
    return changed
