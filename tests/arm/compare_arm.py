"""Compare the int8 file's masks on Arm with this machine's: an aarch64 interpreter under qemu.

Counts the bytes that differ on five photographs and what they do to the mask. The emulated Python
is made by tests/arm/arm_env.sh.
"""
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf import fileio
from oace_tf.cli import Parser
from oace_tf.clicker import first_click
from oace_tf.clicks import Click, pack_points
from oace_tf.errors import UsageError, guarded
from oace_tf.evaluation.metrics import mask_agreement
from oace_tf.geometry import Frame
from oace_tf.images import read_image
from oace_tf.runtime.model import open_model
from oace_tf.samples.layouts import find_dataset, list_samples
from oace_tf.segmenter import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = Path(__file__).with_name("arm_env.sh")
RUN_MASKS = Path(__file__).with_name("run_masks.py")
PHOTOGRAPHS = 5
LEAST_IOU = 0.98  # of the masks, on every photograph
OBJECT = 128  # of a mask's byte
# name -> what qemu calls it, part number and features for the emulated /proc/cpuinfo, which the
# runtime reads to choose its kernels (without it and the numbers of processors it crashes)
_BASE = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_DOT = f"{_BASE} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"
CPUS: Mapping[str, tuple[str, str, str]] = {
    "cortex-a72": ("cortex-a72", "0xd08", _BASE),
    "cortex-a76": ("cortex-a76", "0xd0b", _DOT),  # int8 dot products
    # int8 matrices, as Cortex-X3 has them; SVE and SME off: see docs/interfaces.md
    "i8mm": ("max,sve=off,sme=off", "0xd4e", f"{_DOT} i8mm bf16"),
}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = Parser(
        prog="compare_arm", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tests/arm/arm_env.sh && python tests/arm/compare_arm.py --data DATA")
    add = parser.add_argument
    add("model", type=Path, nargs="?", default=DEFAULT_MODEL,
        help="an int8 file of the interface points (default: the one in the package)")
    add("--data", type=Path, help="folder with GrabCut (default: what OACE_DATA names, else the "
        "sample photographs)")
    add("--cpu", choices=CPUS, default="cortex-a76", help="default: %(default)s")
    add("--photographs", type=int, default=PHOTOGRAPHS, metavar="N", help="default: %(default)s")
    add("--json", type=Path, metavar="FILE", help="the figures as JSON")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Compare and print; 0, or 1 where a mask is another one."""
    if args.photographs < 1:
        raise UsageError(f"--photographs is {args.photographs}; it must be at least 1")
    environment = find_environment()
    model = open_model(args.model)
    if not model.quantized:
        raise UsageError(f"{args.model}: not an int8 file; give one of export/quantize.py --int8")
    named = args.data or (Path(os.environ["OACE_DATA"]) if os.environ.get("OACE_DATA") else None)
    cases = photographs(named, args.photographs)
    inputs = [prepared(image, tap, model.size, model.max_points) for image, tap in cases]
    arm = emulated(environment, args.cpu, args.model, inputs)
    entries = [compare(mask, model.run(*pair)) for mask, pair in zip(arm, inputs)]
    print(table(entries))
    if args.json:
        fileio.write_json(args.json, {"cpu": args.cpu, "file": fileio.sha256_file(args.model),
                                      "photographs": entries})
    return 0 if all(entry["mask_iou"] >= LEAST_IOU for entry in entries) else 1


def find_environment() -> Path:
    """Return the folder of the emulated Python.

    Raises:
      UsageError: there is none; the text says how to make it.
    """
    done = subprocess.run([ENVIRONMENT, "--find"], capture_output=True, text=True)
    if done.returncode:
        raise UsageError(done.stderr.strip().removeprefix("arm_env.sh: "))
    return Path(done.stdout.strip())


def photographs(data: Path | None, count: int) -> list[tuple[np.ndarray, Click]]:
    """Return photographs with a tap each: evenly from GrabCut, else the samples and their mirrors.
    """
    if data is not None and find_dataset("grabcut", data) is not None:
        files = list_samples("grabcut", data)
        samples = [file.read() for file in files[:: max(1, len(files) // count)][:count]]
        return [(sample.image, first_click(sample.mask)) for sample in samples]
    found = []
    for name, x, y in (("coffee", 290, 120), ("cat", 225, 150), ("coffee", 60, 200)):
        image = read_image(ROOT / "docs" / "samples" / f"{name}.jpg")
        found += [(image, Click(x, y)),
                  (np.ascontiguousarray(image[:, ::-1]), Click(image.shape[1] - 1 - x, y))]
    return found[:count]


def prepared(image: np.ndarray, tap: Click, size: int, max_points: int
             ) -> tuple[np.ndarray, np.ndarray]:
    """Return the file's inputs, without the batch axis."""
    frame = Frame(image.shape[0], image.shape[1], size)
    return frame.image(image), pack_points([frame.click(tap)], max_points)


def emulated(
    environment: Path, cpu: str, model: Path, inputs: Sequence[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Return the masks (K, S, S) uint8 of an emulated processor.

    Raises:
      RuntimeError: the emulated interpreter broke down.
    """
    name, part, features = CPUS[cpu]
    told = {
        "proc/cpuinfo": f"processor\t: 0\nFeatures\t: {features}\nCPU implementer\t: 0x41\n"
                        f"CPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: {part}\n"
                        "CPU revision\t: 0\n\n",
        "sys/devices/system/cpu/possible": "0\n",
        "sys/devices/system/cpu/present": "0\n",
    }
    for place, text in told.items():  # qemu looks below root/ before it asks this machine
        path = environment / "root" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        fileio.atomic_write(path, text.encode())
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "inputs.npz", Path(folder) / "masks.npz"
        images, points = (np.array(arrays) for arrays in zip(*inputs))
        np.savez(source, images=images, points=points)
        done = subprocess.run(
            [environment / "qemu", "-cpu", name, "-L", environment / "root",
             environment / "root" / "usr" / "bin" / "python3.11", RUN_MASKS, model.absolute(),
             source, target],
            env={"PYTHONPATH": str(environment / "site"), "OPENBLAS_NUM_THREADS": "1",
                 "PATH": os.environ.get("PATH", ""), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the emulated interpreter ended with {done.returncode}: "
                               f"{done.stderr.strip()[-500:]}")
        with np.load(target) as made:
            if str(made["machine"]) != "aarch64":
                raise RuntimeError(f"the emulated machine calls itself {made['machine']}")
            return made["masks"]


def compare(arm: np.ndarray, here: np.ndarray) -> dict[str, Any]:
    """Return how two masks (S, S) uint8 differ.

    Returns:
      bytes, differing, largest (difference), flipped (pixels that are object in one only),
      mask_iou.
    """
    gap = np.abs(arm.astype(int) - here.astype(int))
    return {"bytes": int(gap.size), "differing": int(np.count_nonzero(gap)),
            "largest": int(gap.max()),
            "flipped": int(np.count_nonzero((arm >= OBJECT) != (here >= OBJECT))),
            "mask_iou": round(mask_agreement(arm >= OBJECT, here >= OBJECT), 6)}


def table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures as text."""
    lines = [f"{'photograph':>10} {'differing':>10} {'largest':>8} {'flipped':>8} {'mask IoU':>9}"]
    for number, entry in enumerate(entries, 1):
        lines.append(f"{number:>10} {entry['differing']:>10} {entry['largest']:>8} "
                     f"{entry['flipped']:>8} {entry['mask_iou']:>9.4f}")
    total = sum(entry["differing"] for entry in entries)
    lines.append(f"{total} of {sum(entry['bytes'] for entry in entries)} bytes differ")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 same masks, 1 a mask is another one, 2 bad input or no emulator."""
    return guarded(lambda: run(parse_args(argv)), "compare_arm")


if __name__ == "__main__":
    raise SystemExit(main())
