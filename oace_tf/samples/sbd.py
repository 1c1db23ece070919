"""SBD (Semantic Boundaries Dataset) in its published layout: img/*.jpg, inst/*.mat, val.txt.

Every instance of every image that val.txt names is a sample (6671 of 2820 images). The numbers of
the instances stand in the .mat files only, so listing reads all of them.
Source: Hariharan et al., "Semantic contours from inverse detectors", ICCV 2011; the instances as in
RITM's evaluation.
"""
from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.fileio import read_bytes
from oace_tf.samples.mat_file import MatFault, read_field
from oace_tf.samples.photograph import read_labelled
from oace_tf.samples.sample import Sample, SampleFile, checked_sample

IMAGES, INSTANCES, NAMES = "img", "inst", "val.txt"
DATASET = "sbd"
_MAX_BYTES = 2**26


def list_sbd(folder: Path) -> tuple[SampleFile, ...]:
    """Return the instances of the images that val.txt names, in its order, then by number.

    Raises:
      UsageError: a folder, val.txt, an image or a .mat file is missing, a .mat file is not one of
        SBD, or there is no instance.
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
                files.append(SampleFile(id=f"{name}:{number}", dataset=DATASET,
                                        read=partial(_read, image, mat, int(number)), group=name,
                                        files=(image, mat)))
    if not files:
        raise UsageError(f"{folder / NAMES} names no image with an instance")
    return tuple(files)


def read_instances(path: Path) -> np.ndarray:
    """Return the instance numbers of a .mat file of SBD.

    Returns:
      (H, W) uint8; 0 is background.
    Raises:
      UsageError: the file is missing, damaged or of another kind.
    """
    data = read_bytes(path, _MAX_BYTES)
    try:
        return read_field(data, "GTinst", "Segmentation")
    except MatFault as fault:
        raise UsageError(f"{path} is not a readable .mat file of SBD ({fault}); "
                         "replace it") from fault


def _read(image_path: Path, mat: Path, number: int) -> Sample:
    mask = (read_instances(mat) == number).astype(np.int8)
    name = image_path.stem
    return checked_sample(f"{name}:{number}", read_labelled(image_path), mask, DATASET, mat, name)
