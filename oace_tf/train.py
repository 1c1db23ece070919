"""Command: train prior and MSFNet, apart or at once, or one trunk with many gestures."""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oace_tf.cli import Parser, command, need, required_data_root, typed
from oace_tf.errors import UsageError
from oace_tf.fileio import make_folder, read_json
from oace_tf.training.settings import STAGES, TrainSettings

BELOW_ZERO = ("the loss may lie below zero: its contrastive part is a difference of mean cosines, "
              "from -3 (best) to 3")
PROG = "python -m oace_tf.train"
_EPILOG = """example:
  %(prog)s joint --data data/train --config configs/train.json \\
      --init imagenet --out build/train
"""


def parse_args(argv: Sequence[str] | None = None, prog: str = PROG) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        prog=prog, epilog=_EPILOG, description="Train one trunk with many gestures, or the prior, "
        "MSFNet or both of a pair.",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=(*STAGES, "gestures"), help="prior: contrastive loss; "
                        "msfnet: mask loss, prior frozen; joint: both losses at once; gestures: "
                        "one trunk with many gestures a photograph")
    parser.add_argument("--data", type=Path, action="append", metavar="DIR",
                        help="a COCO-format folder (instances.json, images/), a folder of such, a "
                        "COCO or LVIS file, or A.json+B.json: the instances of both on the same "
                        "photographs; may be repeated (default: OACE_DATA/train)")
    parser.add_argument("--config", type=Path, metavar="FILE",
                        help="JSON with training settings; the paper's where it says nothing")
    parser.add_argument("--preset", help="the network (default: efficientnet_lite0, of gestures "
                        "one_trunk); ignored with --init FILE")
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
    parser.add_argument("--keep", type=int, default=3, metavar="N",
                        help="checkpoints that are kept (default: %(default)s)")
    parser.add_argument("--stop-at", type=int, metavar="STEP",
                        help="stop before this step; go on later with --resume")
    _add_looking(parser)
    _add_machine(parser)
    return parser.parse_args(argv)


def _add_looking(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("looking at a run")
    group.add_argument("--val", type=Path, metavar="DIR",
                       help="sets such as ecssd/ that choose the weights that are saved; GrabCut "
                       "in it is left out (default: the last weights are saved)")
    group.add_argument("--val-every", type=int, default=500, metavar="STEPS",
                       help="steps between validations (default: %(default)s)")
    group.add_argument("--val-limit", type=int, metavar="N",
                       help="at most N photographs of each set, spread over it (default: all)")
    group.add_argument("--pictures-every", type=int, default=200, metavar="STEPS",
                       help="steps between pictures of taps, OACE and masks; 0: none "
                       "(default: %(default)s)")
    group.add_argument("--no-tensorboard", action="store_true", help=argparse.SUPPRESS)  # of 0.1
    group.add_argument("--measure", type=int, metavar="STEPS",
                       help="print images/s with and without the model as JSON, and end")


def _add_machine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the machine")
    group.add_argument("--devices", type=int, default=1, metavar="N",
                       help="devices that share each batch, with KERAS_BACKEND=jax; 0: all "
                       "(default: %(default)s)")
    group.add_argument("--hosts", default="", metavar="ADDRESS:PORT,COUNT,NUMBER",
                       help="this is host NUMBER of COUNT; host 0 listens at the address")
    group.add_argument("--partner", type=Path, action="append", default=[], metavar="DIR",
                       help="gestures: the --out of a run side by side, with another seed and the "
                       "same phases; at every checkpoint both go on from their mean. May be "
                       "repeated")
    group.add_argument("--deterministic", action="store_true",
                       help="one thread and deterministic operators: the same bits every time "
                       "(TensorFlow on a CPU)")


def run(args: argparse.Namespace) -> int:
    """Train as the arguments say; returns the exit code.

    Raises:
      UsageError: bad arguments, data or files.
    """
    folders = data_folders(args.data)
    _check(args)
    if (args.out / "checkpoint.safetensors").is_file() and not (args.resume or args.measure):
        raise UsageError(f"{args.out}: holds a checkpoint; add --resume to go on from it, "
                         "or choose another --out")
    if args.stage == "gestures":
        from oace_tf.training.gesture_run import run_gestures

        return run_gestures(args, folders)
    if args.partner:
        raise UsageError("--partner belongs to the training of gestures; leave it out")
    fields = read_json(args.config) if args.config else {}
    settings = TrainSettings.from_json(fields, str(args.config))
    data = _data_record(folders, settings)
    validation = _validation(args, settings)
    need("train")
    # Keras is loaded only now, so that bad arguments are answered at once.
    from oace_tf.training.devices import make_deterministic, use_devices

    share = use_devices(args.devices, args.hosts)
    if args.deterministic:
        make_deterministic()
    import keras

    from oace_tf.training.precision import computing_in
    from oace_tf.training.trainer import Options, Trainer

    keras.utils.set_random_seed(settings.seed)
    with computing_in(settings.precision):
        pair, start = _pair(args, settings)
    options = Options(workers=args.workers, keep=args.keep, pictures_every=args.pictures_every,
                      validation=validation, data=data, share=share)
    if args.measure:
        from oace_tf.training.throughput import measure

        plain = Options(workers=args.workers, share=share)
        print(json.dumps(measure(
            lambda out: Trainer(pair, args.stage, settings, folders, out, options=plain), settings,
            folders, pair.config.click_channels, plain, args.measure)))
        return 0
    trainer = Trainer(pair, args.stage, settings, folders, args.out, options=options)
    if args.resume:
        trainer.resume()
    if share.first and args.stage != "msfnet" and settings.losses.contrastive:
        make_folder(args.out)  # refused before anything is said
        print(BELOW_ZERO, file=sys.stderr)
    trainer.run(args.checkpoint_every, args.stop_at)
    record = {"stage": args.stage, "settings": settings.to_json(), "seed": settings.seed,
              "steps": trainer.step, "start": start, "data": data,
              "skipped_images": len(trainer.skipped), "keras": keras.version(),
              "backend": keras.backend.backend()}
    if trainer.teacher_sha256 is not None:
        record["teacher"] = trainer.teacher_sha256
    if trainer.ranges:
        record["quantize_aware"] = {"ranges": trainer.ranges}
    return _finish(trainer, record) if share.first else 0


def _finish(trainer: Any, record: dict[str, Any]) -> int:
    """Write weights and curve; returns the exit code."""
    from oace_tf.training.curves import CURVE, draw_curve
    from oace_tf.training.run_log import LOG

    path = trainer.save(record)
    best = trainer.notes.get("best")
    words = f", those of step {best['step']} by validation" if best else ""
    print(f"{path}: weights after {trainer.step} steps{words}; "
          f"{len(trainer.skipped)} unreadable images")
    if trainer.step > 1:
        print(draw_curve(path.with_name(LOG), path.with_name(CURVE)))
    return 0


def _check(args: argparse.Namespace) -> None:
    for name, least in (("workers", 0), ("checkpoint_every", 1), ("stop_at", 1), ("keep", 1),
                        ("val_every", 1), ("val_limit", 1), ("pictures_every", 0), ("measure", 1),
                        ("devices", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise UsageError(f"--{name.replace('_', '-')} is {value}; it must be at least {least}")


def _validation(args: argparse.Namespace, settings: TrainSettings) -> Any:
    if args.val is None:
        return None
    if args.stage == "prior":
        raise UsageError("--val measures masks: not for the prior alone")
    from oace_tf.training.validation import find_validation

    return find_validation(args.val, args.val_every, settings.phases[-1].size, args.val_limit)


def data_folders(given: Sequence[Path] | None) -> list[Path]:
    """Return the folders or files of training data: those given, else OACE_DATA/train.

    Raises:
      UsageError: neither, or one that is not there.
    """
    if given:
        folders = list(given)
    else:
        folders = [required_data_root(what="training data") / "train"]
    from oace_tf.training.sources import named_files

    for folder in folders:
        files = named_files(folder)
        for file in files:
            if not file.is_file():
                raise UsageError(f"{file}: no such file")
        if not files and not folder.is_dir():
            raise UsageError(f"{folder}: no such folder")
    return folders


def _pair(args: argparse.Namespace, settings: TrainSettings) -> tuple[Any, Any]:
    """Return the pair to start from and how it was made, for the record."""
    from oace_tf.config import NetworkConfig
    from oace_tf.fileio import sha256_file
    from oace_tf.networks.pair import build_pair
    from oace_tf.networks.ported.imagenet import PUBLISHED, init_trunks
    from oace_tf.networks.ported.initialize import is_ported, pair_from_ports
    from oace_tf.networks.weights import build_from_weights
    from oace_tf.networks.zero_start import zero_start

    first, preset = args.init[0], args.preset or "efficientnet_lite0"
    if all(is_ported(name) for name in args.init):
        pair, ports = pair_from_ports([Path(name) for name in args.init], preset)
        fresh = settings.zero_start and all(port["network"] != "msfnet" for port in ports)
        return pair, {"ported": ports, "zeroed": zero_start(pair) if fresh else []}
    if len(args.init) > 1:
        raise UsageError(f"--init takes several files only where export/port.py wrote all of them; "
                         f"got {' '.join(args.init)}")
    if first not in ("none", "imagenet"):
        pair, record = build_from_weights(first, size=None)
        return pair, {"weights": sha256_file(first), "record": record}
    config = NetworkConfig.preset(preset)
    if config.one_trunk:
        raise UsageError(f"--preset {preset} is one trunk with gestures: train it with the stage "
                         "`gestures`")
    pair = build_pair(config, size=None)
    changed = zero_start(pair) if settings.zero_start else []
    if first == "imagenet":
        init_trunks(pair)
        return pair, {"trunk": PUBLISHED[config.trunk].package, "zeroed": changed}
    return pair, {"zeroed": changed} if changed else None


def _data_record(folders: list[Path], settings: TrainSettings) -> list[dict[str, Any]]:
    from oace_tf.training.sources import find_sources

    return [source.record() for source in find_sources(folders, dict(settings.sources))]


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code."""
    return command(parse_args, run, argv, prog or typed(PROG), extra="train",
                   interrupted="the same call with --resume goes on from the last checkpoint")


if __name__ == "__main__":
    raise SystemExit(main())
