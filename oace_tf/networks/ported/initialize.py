"""Initialization of a pair's trunks from ported checkpoints: `train --init FILE`.

A ported trunk sees photographs as its checkpoint does, (byte / 255 - mean) / deviation; ours sees
(byte - 128) / 128. The factors go into the first convolution's weights, the offsets, as a constant,
into the running mean of the normalisation behind it: away from the frame's edge, where the padding
stands for another grey, both see the same.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.fileio import sha256_file
from oace_tf.networks.pair import Pair, build_pair
from oace_tf.networks.ported.classifiers import HRNET_HEAD
from oace_tf.networks.ported.registry import RITM, TRUNKS, Ported, read_ported
from oace_tf.networks.weights import named_variables, value_of

# Which network's trunk a checkpoint fills.
_OWNERS = {"hrnet18": ("msfnet",), "hrnet18s": ("prior",),
           "ritm_hrnet18": ("msfnet",), "ritm_hrnet18s": ("prior",),
           "efficientnet_lite0": ("prior", "msfnet")}
_STEMS = {"hrnet": ("conv1.weight", "bn1.running_mean"),
          "efficientnet_lite0": ("_conv_stem.weight", "_bn0.running_mean")}
_HEADS = (*(f"{name}." for name in HRNET_HEAD), "_conv_head.", "_bn1.", "_fc.")
_RITM_TRUNK = "feature_extractor."
_RITM_REST = ("aux_head.", "conv3x3_ocr.", "ocr_distri_head.", "cls_head.")


def is_ported(path: str | Path) -> bool:
    """Return whether a file holds ported weights; false for what is no such file."""
    from oace_tf.tensor_file import PORTED_FORMAT, format_of

    return format_of(path) == PORTED_FORMAT


def pair_from_ports(paths: Sequence[Path], preset: str) -> tuple[Pair, list[dict[str, Any]]]:
    """Return a pair whose trunks start from ported checkpoints, and the record of them.

    The pair is that of the preset, or the preset `hrnet` where the checkpoints are HRNets and the
    preset is not; it enlarges as the checkpoints do. What no checkpoint fills stays fresh. Whole
    networks (prior, msfnet) fill theirs, and bring their configuration along.

    Args:
      paths: files that `export/port.py` wrote; two where prior and MSFNet have trunks of their own.
      preset: a name of `config.PRESETS`.
    Raises:
      UsageError: a file is damaged, or the files do not fit each other.
    """
    ports = [(path, *read_ported(path)) for path in paths]
    config = merged_config([(path, ported) for path, ported, _, _ in ports], preset)
    pair = build_pair(config, size=None)
    filled: dict[str, Path] = {}
    assigned: list[tuple[Any, np.ndarray]] = []
    for path, ported, _, tensors in ports:
        for model in pair.models():
            if model.name not in _owners(ported, pair):
                continue
            if model.name in filled:
                raise UsageError(f"{path}: the trunk of {model.name} is already filled from "
                                 f"{filled[model.name]}; leave one of them out")
            filled[model.name] = path
            wanted = _for_trunk(ported, tensors) if ported.config is None else tensors
            prefix = f"{model.name}.trunk." if ported.config is None else f"{model.name}."
            assigned += _assignments(model, prefix, wanted, path)
    if len({*filled.values()}) < len(ports):
        unused = next(path for path, *_ in ports if path not in filled.values())
        raise UsageError(f"{unused}: this pair has no network that it could fill")
    for variable, array in assigned:  # only now, so that a pair is filled as a whole or not at all
        variable.assign(array)
    return pair, [{"file": sha256_file(path), "network": ported.network, "resize": ported.resize,
                   "fills": sorted(name for name, source in filled.items() if source == path),
                   "record": record} for path, ported, record, _ in ports]


def _owners(ported: Ported, pair: Pair) -> tuple[str, ...]:
    """Return the networks of a pair that a ported file may fill."""
    if ported.config is not None:
        return (ported.network,)
    if pair.shared is not None:  # the larger HRNet, for both
        return () if ported.network.endswith("18s") else ("shared",)
    return _OWNERS[ported.network]


def standardised_stem(ported: Ported, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a trunk's tensors for photographs as ours see them, (byte - 128) / 128."""
    mean, spread = (np.array(values, np.float64) for values in ported.statistics)
    factor = 128 / 255 / spread  # per colour: theirs = factor x ours + offset
    offset = (128 / 255 - mean) / spread
    weight, shifted = _STEMS[ported.trunk]
    kernel = tensors[weight].astype(np.float64)  # (h, w, 3, O)
    constant = (kernel * offset[:, None]).sum(axis=(0, 1, 2))
    return {**tensors, weight: (kernel * factor[:, None]).astype(np.float32),
            shifted: (tensors[shifted] - constant).astype(np.float32)}


def merged_config(found: Sequence[tuple[Path, Ported]], preset: str) -> NetworkConfig:
    config = NetworkConfig.preset(preset)
    parts = [ported.config for _, ported in found if ported.config is not None]
    if parts:
        config = parts[0]
    trunks = {ported.trunk for _, ported in found}
    if len(trunks) == 1 and config.trunk not in trunks and not parts:
        config = NetworkConfig.preset(next(iter(trunks)))
    resizes = {ported.resize for _, ported in found if ported.trunk == "hrnet"
               and ported.config is None}
    if len(resizes) > 1:
        raise UsageError(f"{found[-1][0]}: its checkpoint resizes otherwise than that of "
                         f"{found[0][0]} ({', '.join(sorted(resizes))}); take both from one source")
    if resizes:
        config = dataclasses.replace(config, trunk_resize=resizes.pop())
    for path, ported in found:
        if ported.trunk != config.trunk or ported.config not in (None, config):
            raise UsageError(f"{path}: holds {ported.network} of trunk {ported.trunk}, which does "
                             f"not fit a pair of trunk {config.trunk}; give another --preset")
        if not config.has_prior and _OWNERS.get(ported.network) == ("prior",):
            raise UsageError(f"{path}: this preset has no prior; give another --preset")
    return config


def _for_trunk(ported: Ported, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the trunk's tensors alone, for our photographs."""
    assert ported.network in TRUNKS or ported.network in RITM
    if ported.network in RITM:
        tensors = {name.removeprefix(_RITM_TRUNK): array for name, array in tensors.items()
                   if name.startswith(_RITM_TRUNK)}
        trunk = {name: array for name, array in tensors.items()
                 if not name.startswith(_RITM_REST)}
    else:
        trunk = {name: array for name, array in tensors.items() if not name.startswith(_HEADS)}
    return standardised_stem(ported, trunk)


def _assignments(model: Any, prefix: str, tensors: Mapping[str, np.ndarray],
                 path: Path) -> list[tuple[Any, np.ndarray]]:
    from oace_tf.networks.ported.imagenet import widened
    from oace_tf.networks.weights import check_names

    ours = {name.removeprefix(prefix): variable for name, variable in named_variables(model)
            if name.startswith(prefix)}
    # A late fusion adds layers inside the trunk's scope that have no weights; names must agree.
    check_names(set(ours), set(tensors), str(path))
    return [(variable, widened(name, tensors, value_of(variable), str(path)))
            for name, variable in ours.items()]
