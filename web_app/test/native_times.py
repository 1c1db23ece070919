"""Command for measure.mjs: times of the native interpreter on a golden scene, JSON on stdout."""
from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from oace_tf.clicks import Click  # noqa: E402
from oace_tf.segmenter import TapSegmenter  # noqa: E402
from web_app.golden.make import SCENES, draw_scene  # noqa: E402


def main() -> int:
    """Load, answer once, then as often as asked; return 0."""
    threads, runs = int(sys.argv[1]), int(sys.argv[2])
    width, height, ball, colour, taps = SCENES["mixed"]
    scene, clicks = draw_scene(width, height, ball, colour), [Click(*tap) for tap in taps]
    start = time.perf_counter()
    segmenter = TapSegmenter(threads=threads)
    times = [time.perf_counter() - start]
    for _ in range(runs + 1):
        start = time.perf_counter()
        segmenter.answer(scene, clicks)
        times.append(time.perf_counter() - start)
    load, first, *rest = (1000 * one for one in times)
    print(json.dumps({"load_ms": load, "first_ms": first, "runs_ms": rest}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
