"""Two steps of training on whichever backend KERAS_BACKEND names; prints their losses as JSON.

usage: python tests/oace_tf/training/backend_steps.py DATA WEIGHTS OUT [MODULE...]

The modules named last cannot be imported or found, as if they were not installed.
Run by `test_backends.py` in a process of its own: a backend is chosen when Keras is imported.
"""
from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path[0] = str(ROOT)


class Without(MetaPathFinder):
    """Finds what the path holds but for some modules: they are not there."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self.names:
            return None
        return PathFinder.find_spec(fullname, path, target)


def main(data: str, weights: str, out: str, *blocked: str) -> int:
    """Train two steps from a weights file, save, resume for a third."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not PathFinder]
    sys.meta_path.append(Without(blocked))
    settings = Path(out).with_suffix(".json")
    settings.write_text(json.dumps({
        "phases": [{"size": 64, "batch": 2, "steps": 3}], "seed": 1, "weight_decay": 0.01,
        "clip_norm": 1.0, "losses": {"background_from": "both", "dice": 0.5}}))
    from oace_tf import train

    arguments = ["joint", "--data", data, "--init", weights, "--config", str(settings),
                 "--workers", "0", "--out", out]
    for rest in (["--stop-at", "2"], ["--resume"]):
        if train.main([*arguments, *rest]) != 0:
            return 1
    import keras

    with (Path(out) / "log.csv").open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    loaded = sorted(name for name in ("tensorflow", "jax", "torch") if name in sys.modules)
    print(json.dumps({"backend": keras.backend.backend(), "losses": losses, "loaded": loaded}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
