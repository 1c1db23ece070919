"""SBD (Semantic Boundaries Dataset) in its published layout: img/*.jpg, inst/*.mat, val.txt.

Every instance of every image that val.txt names is a sample (6671 of 2820 images). The numbers of
the instances stand in the .mat files only, so listing reads all of them.
Source: Hariharan et al., "Semantic contours from inverse detectors", ICCV 2011; the instances as in
RITM's evaluation.
"""
from __future__ import annotations

import struct
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.fileio import read_bytes
from oace_tf.images import read_image
from oace_tf.samples.sample import Sample, SampleFile, checked_sample

IMAGES, INSTANCES, NAMES = "img", "inst", "val.txt"
DATASET = "sbd"
_MAX_BYTES = 2**26
_BROKEN = (ValueError, TypeError, KeyError, IndexError, NotImplementedError, OverflowError,
           EOFError, OSError, struct.error, zlib.error)  # what scipy raises at a broken file


def list_sbd(folder: Path) -> tuple[SampleFile, ...]:
    """Return the instances of the images that val.txt names, in its order, then by number.

    Raises:
      UsageError: a folder, val.txt, an image or a .mat file is missing, a .mat file is not one of
        SBD, or there is no instance; scipy is not installed.
    """
    for name in (IMAGES, INSTANCES):
        if not (folder / name).is_dir():
            raise UsageError(f"the folder {folder / name} is missing; "
                             "put the set there as it is published")
    names = read_bytes(folder / NAMES, _MAX_BYTES).decode("utf-8", "replace").split()
    files = []
    for name in names:
        image, mat = folder / IMAGES / f"{name}.jpg", folder / INSTANCES / f"{name}.mat"
        if not image.is_file():
            raise UsageError(f"{image} is missing, but {folder / NAMES} names it")
        if not mat.is_file():
            raise UsageError(f"{image} has no {mat}; add it or take {name} out of {NAMES}")
        for number in np.unique(read_instances(mat)):
            if number != 0:
                files.append(SampleFile(
                    f"{name}:{number}", DATASET, partial(_read, image, mat, int(number)),
                    name, files=(image, mat)))
    if not files:
        raise UsageError(f"{folder / NAMES} names no image with an instance")
    return tuple(files)


def read_instances(path: Path) -> np.ndarray:
    """Return the instance numbers of a .mat file of SBD.

    Returns:
      (H, W) uint8; 0 is background.
    Raises:
      UsageError: the file is missing, damaged or of another kind; scipy is not installed.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError:
        raise UsageError("reading SBD needs scipy; pip install -c constraints.txt "
                         "'.[evaluate]'") from None
    read_bytes(path, _MAX_BYTES)  # says what is wrong with its place or its size
    try:
        found: Any = loadmat(path)["GTinst"][0, 0]["Segmentation"]
    except (*_BROKEN, MatReadError) as error:
        raise UsageError(f"{path} is not a readable .mat file of SBD "
                         f"({' '.join(str(error).split()):.80}); replace it") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype != np.uint8:
        raise UsageError(f"{path}: its GTinst.Segmentation is no matrix of bytes; replace it")
    return found


def _read(image_path: Path, mat: Path, number: int) -> Sample:
    mask = (read_instances(mat) == number).astype(np.int8)
    name = image_path.stem
    return checked_sample(f"{name}:{number}", read_image(image_path), mask, DATASET, mat, name)
