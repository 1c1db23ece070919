"""Steps on one device and shared by several, on JAX; prints both lists of losses as JSON.

usage: python tests/oace_tf/training/device_steps.py DATA WEIGHTS OUT DEVICES

Run by `test_devices.py` in a process of its own, with XLA's flag for the number of devices.
"""
from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[3])


def main(data: str, weights: str, out: str, devices: str) -> int:
    """Train three steps twice."""
    folder = Path(out)
    folder.mkdir(parents=True)
    settings = folder / "settings.json"
    settings.write_text(json.dumps({
        "phases": [{"size": 64, "batch": 4, "steps": 3}], "seed": 1, "weight_decay": 0.01,
        "clip_norm": 1.0, "losses": {"background_from": "pass1", "dice": 0.5}}))
    from oace_tf import train

    losses = {}
    for count in ("1", devices):
        run = folder / count
        code = train.main(["joint", "--data", data, "--init", weights, "--config", str(settings),
                           "--workers", "0", "--out", str(run), "--devices", count,
                           "--pictures-every", "3"])
        if code != 0:
            return code
        with (run / "log.csv").open(newline="") as file:
            losses[count] = [float(row["loss"]) for row in csv.DictReader(file)]
    import keras

    from oace_tf.networks.weights import read_arrays

    spread = keras.distribution.distribution()
    one, many = (read_arrays(folder / count / "weights.safetensors")[2]
                 for count in ("1", devices))
    apart = max(float(abs(one[name] - many[name]).max()) for name in one)
    print(json.dumps({"losses": losses, "apart": apart,
                      "devices": 0 if spread is None else spread.num_model_replicas}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
