"""Muon for convolutions: steps whose directions are orthogonal, by matrix rather than by weight."""
from __future__ import annotations

from typing import Any

import keras
from keras import ops

_NARROWEST = 8  # channels; with fewer, a kernel is no matrix worth the name


class ConvMuon(keras.optimizers.Muon):
    """Keras's Muon, which takes matrices of dense layers, for kernels of convolutions as well.

    A kernel (H, W, I, O) is taken as the matrix (H W I, O). Its steps have the size of AdamW's
    (rms 0.2 of the learning rate), so that rates made for AdamW hold. Depthwise kernels, those of
    fewer than eight channels on a side, and vectors are moved by AdamW.

    Source: Jordan et al. 2024 (Muon); Liu et al. 2025, arXiv 2502.16982 (the size of the steps).
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) not in (2, 4) or min(variable.shape[-2:]) < _NARROWEST

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1.0)))
        ahead = ops.add(gradient, self.momentum * m) if self.nesterov else m
        matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
        update = self.lr_adjust(ops.cast(lr, variable.dtype)
                                * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(update, tuple(variable.shape)))
