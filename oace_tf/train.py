"""Train the prior, MSFNet, or both at once: `python -m oace_tf.train STAGE --data DIR`."""
from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oace_tf.errors import UsageError, guarded
from oace_tf.fileio import read_json
from oace_tf.training.settings import STAGES, TrainSettings

_EPILOG = """example:
  python -m oace_tf.train joint --data data/train --config docs/configs/first.json \\
      --init imagenet --out build/train
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m oace_tf.train", description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES, help="prior: contrastive loss; msfnet: mask loss, "
                        "prior frozen; joint: both losses at once")
    parser.add_argument("--data", type=Path, action="append", metavar="DIR",
                        help="a COCO-format folder (instances.json, images/), a folder of such, a "
                        "COCO or LVIS file, or A.json+B.json: the instances of both on the same "
                        "photographs; may be repeated (default: OACE_DATA/train)")
    parser.add_argument("--config", type=Path, metavar="FILE",
                        help="JSON with training settings; the paper's where it says nothing")
    parser.add_argument("--preset", default="efficientnet_lite0",
                        help="the network (default: %(default)s); ignored with --init FILE")
    parser.add_argument("--init", nargs="+", default=["none"], metavar="WHAT",
                        help="none, imagenet, a weights file to go on from, or one or two files "
                        "that export/port.py wrote: the trunks start from them (default: none)")
    parser.add_argument("--out", type=Path, default=Path("build/train"), metavar="DIR",
                        help="folder of checkpoint, log and weights (default: %(default)s)")
    parser.add_argument("--resume", action="store_true",
                        help="go on from the checkpoint in --out, with the same arguments")
    parser.add_argument("--workers", type=int, default=1, metavar="N",
                        help="processes that prepare scenes; 0: none (default: %(default)s)")
    parser.add_argument("--checkpoint-every", type=int, default=100, metavar="STEPS",
                        help="steps between checkpoints (default: %(default)s)")
    parser.add_argument("--stop-at", type=int, metavar="STEP",
                        help="stop before this step; go on later with --resume")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Train as the arguments say; returns the exit code.

    Raises:
      UsageError: bad arguments, data or files.
    """
    folders = _folders(args.data)
    stop_at = 1 if args.stop_at is None else args.stop_at
    if min(args.workers + 1, args.checkpoint_every, stop_at) < 1:
        raise UsageError("--workers must not be negative, --checkpoint-every and --stop-at "
                         "at least 1")
    fields = read_json(args.config) if args.config else {}
    settings = TrainSettings.from_json(fields, str(args.config))
    if (args.out / "checkpoint.safetensors").is_file() and not args.resume:
        raise UsageError(f"{args.out}: holds a checkpoint; add --resume to go on from it, "
                         "or choose another --out")
    data = _data_record(folders, settings)
    # Keras is loaded only now, so that bad arguments are answered at once.
    import keras

    from oace_tf.training.trainer import Trainer

    keras.utils.set_random_seed(settings.seed)
    pair, start = _pair(args)
    trainer = Trainer(pair, args.stage, settings, folders, args.out, args.workers)
    if args.resume:
        trainer.resume()
    trainer.run(args.checkpoint_every, args.stop_at)
    record = {"stage": args.stage, "settings": settings.to_json(), "seed": settings.seed,
              "steps": trainer.step, "start": start, "data": data,
              "skipped_images": len(trainer.skipped), "keras": keras.version(),
              "backend": keras.backend.backend()}
    if trainer.teacher_sha256 is not None:
        record["teacher"] = trainer.teacher_sha256
    if trainer.ranges:
        record["quantize_aware"] = {"ranges": trainer.ranges}
    path = trainer.save(record)
    print(f"{path}: weights after {trainer.step} steps; {len(trainer.skipped)} unreadable images")
    return 0


def _folders(given: Sequence[Path] | None) -> list[Path]:
    if given:
        folders = list(given)
    elif os.environ.get("OACE_DATA"):
        folders = [Path(os.environ["OACE_DATA"]) / "train"]
    else:
        raise UsageError("no training data; name a folder with --data, or set OACE_DATA")
    from oace_tf.training.sources import named_files

    for folder in folders:
        files = named_files(folder)
        for file in files:
            if not file.is_file():
                raise UsageError(f"{file}: no such file")
        if not files and not folder.is_dir():
            raise UsageError(f"{folder}: no such folder")
    return folders


def _pair(args: argparse.Namespace) -> tuple[Any, Any]:
    """Return the pair to start from and how it was made, for the record."""
    from oace_tf.config import NetworkConfig
    from oace_tf.fileio import sha256_file
    from oace_tf.networks.imagenet import PACKAGE, init_trunks
    from oace_tf.networks.initialise import is_ported, pair_from_ports
    from oace_tf.networks.pair import build_pair
    from oace_tf.networks.weights import build_from_weights

    first = args.init[0]
    if all(is_ported(name) for name in args.init):
        pair, ports = pair_from_ports([Path(name) for name in args.init], args.preset)
        return pair, {"ported": ports}
    if len(args.init) > 1:
        raise UsageError(f"--init takes several files only where export/port.py wrote all of them; "
                         f"got {' '.join(args.init)}")
    if first not in ("none", "imagenet"):
        pair, record = build_from_weights(first, size=None)
        return pair, {"weights": sha256_file(first), "record": record}
    pair = build_pair(NetworkConfig.preset(args.preset), size=None)
    if first == "imagenet":
        init_trunks(pair)
        return pair, {"trunk": PACKAGE}
    return pair, None


def _data_record(folders: list[Path], settings: TrainSettings) -> list[dict[str, Any]]:
    from oace_tf.training.sources import find_sources

    return [source.record() for source in find_sources(folders, dict(settings.sources))]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    args = parse_args(argv)
    return guarded(lambda: run(args), "oace_tf.train")


if __name__ == "__main__":
    raise SystemExit(main())
