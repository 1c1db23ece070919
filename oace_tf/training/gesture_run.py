"""A run of one trunk with many gestures, from the arguments of `oace_tf.train gestures`."""
from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.fileio import read_json, sha256_file
from oace_tf.training.gesture_settings import GestureTrainSettings
from oace_tf.training.sources import find_sources

PRESET = "one_trunk"
_PAIRS_ONLY = {"measure": None, "devices": 1, "hosts": "", "val": None, "val_every": 500,
               "val_limit": None, "pictures_every": 200}


def run_gestures(args: argparse.Namespace, folders: list[Path]) -> int:
    """Train as the arguments say and write the weights; returns the exit code.

    Raises:
      UsageError: bad arguments, data or files.
    """
    for name, default in _PAIRS_ONLY.items():
        if getattr(args, name) != default:
            raise UsageError(f"--{name.replace('_', '-')} belongs to the training of pairs; leave "
                             "it out, or measure the weights with `python -m oace_tf.evaluate`")
    settings = GestureTrainSettings.from_json(read_json(args.config) if args.config else {},
                                              str(args.config))
    sources = find_sources(folders, dict(settings.sources))
    unknown = set(settings.exact) - {source.name for source in sources}
    if unknown:
        raise UsageError(f"{args.config}: exact names {sorted(unknown)[0]!r}, which is no source")
    # Keras is loaded only now, so that bad arguments are answered at once.
    from oace_tf.training.devices import make_deterministic, use_onednn

    use_onednn()
    if args.deterministic:
        make_deterministic()
    import keras

    from oace_tf.training.gesture_trainer import WEIGHTS, GestureTrainer

    keras.utils.set_random_seed(settings.seed)
    networks, start = _start(args)
    data = [source.record() for source in sources]
    trainer = GestureTrainer(networks, settings, folders, args.out, args.workers, args.keep, data,
                             args.partner)
    if args.resume:
        trainer.resume()
    trainer.run(args.checkpoint_every, args.stop_at)
    record = {"stage": "gestures", "settings": settings.to_json(), "seed": settings.seed,
              "steps": trainer.step, "batches": trainer.batch, "start": start,
              "data": data,
              "skipped_images": len(trainer.skipped), "keras": keras.version(),
              "backend": keras.backend.backend()}
    path = args.out / WEIGHTS
    trainer.save(path, record)
    print(f"{path}: weights after {trainer.batch} batches, {trainer.step} steps; "
          f"{len(trainer.skipped)} unreadable images")
    return 0


def _start(args: argparse.Namespace) -> tuple[Any, Any]:
    """Return the networks to start from and how they were made, for the record."""
    from oace_tf.networks.gesture_networks import build_gesture_networks
    from oace_tf.networks.ported.imagenet import PUBLISHED, init_trunks
    from oace_tf.networks.weights import build_gestures_from_weights

    if len(args.init) > 1:
        raise UsageError(f"--init takes one word or file here; got {' '.join(args.init)}")
    first = args.init[0]
    if first not in ("none", "imagenet") and args.preset:
        return _grown(Path(first), args.preset)
    if first not in ("none", "imagenet"):
        networks, record = build_gestures_from_weights(first, size=None)
        return networks, {"weights": sha256_file(first), "steps": record.get("steps")}
    networks = build_gesture_networks(_one_trunk(args.preset or PRESET), None)
    if first == "imagenet":
        init_trunks(networks)
        return networks, {"trunk": PUBLISHED[networks.config.trunk].package}
    return networks, None


def _one_trunk(preset: str) -> NetworkConfig:
    config = NetworkConfig.preset(preset)
    if not config.one_trunk:
        raise UsageError(f"--preset {preset} is a pair of networks; gestures take {PRESET}")
    return config


def _grown(path: Path, preset: str) -> tuple[Any, Any]:
    """Return networks of a preset with the weights of a file; parts it lacks start fresh.

    A refiner that it lacks starts as its MSFNet.

    Raises:
      UsageError: a damaged file, or one with other parts or shapes.
    """
    from oace_tf.networks.gesture_networks import build_gesture_networks
    from oace_tf.networks.weights import get_arrays, read_arrays, set_arrays

    config, record, arrays = read_arrays(path)
    if not config.one_trunk:
        raise UsageError(f"{path}: holds a pair of networks, not one trunk with gestures")
    networks = build_gesture_networks(
        dataclasses.replace(_one_trunk(preset), frame=config.frame), None)
    fresh = {name: array for name, array in get_arrays(networks).items() if name not in arrays}
    # The refiner starts as MSFNet, which did its work before.
    copies = {name: arrays[origin] for name in fresh
              if (origin := name.replace("refiner.", "msfnet.", 1)) in arrays}
    set_arrays(networks, {**fresh, **copies, **arrays}, str(path))
    of_msfnet = f"; {len(copies)} of the refiner start as MSFNet's" if copies else ""
    print(f"{path}: {len(fresh) - len(copies)} tensors of {preset} are not in it and start fresh"
          f"{of_msfnet}")
    return networks, {"weights": sha256_file(path), "steps": record.get("steps"),
                      "fresh": sorted(set(fresh) - set(copies))}
