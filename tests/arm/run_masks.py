"""Masks of a .tflite file for prepared inputs, by whatever interpreter this Python has.

    python tests/arm/run_masks.py FILE.tflite INPUTS.npz MASKS.npz

Needs numpy and a LiteRT runtime, and nothing of this toolkit: it also runs in an emulated Python.
INPUTS holds images (K, S, S, 3) uint8 and points (K, N, 3) float32; MASKS gets masks (K, S, S)
uint8, seconds (K,) and machine.
"""
from __future__ import annotations

import platform
import sys
import time
from pathlib import Path

import numpy as np


def main(model: str, source: str, target: str) -> int:
    """Write the masks; 0."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tflite_runtime.interpreter import Interpreter
    runner = Interpreter(model_content=Path(model).read_bytes(), num_threads=1
                         ).get_signature_runner()
    masks, seconds = [], []
    with np.load(source) as inputs:
        images, points = inputs["images"], inputs["points"]
    for image, taps in zip(images, points):
        begin = time.perf_counter()
        feed = {"image": image[None], "points": taps[None]}
        if "previous" in runner.get_input_details():  # zeros at the first tap
            feed["previous"] = np.zeros((1, *image.shape[:2], 1), np.uint8)
        masks.append(runner(**feed)["mask"][0, :, :, 0])
        seconds.append(time.perf_counter() - begin)
    np.savez(target, masks=np.array(masks), seconds=np.array(seconds),
             machine=np.array(platform.machine()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
