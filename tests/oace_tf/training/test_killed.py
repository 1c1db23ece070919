"""A run that is killed at random moments and resumed gives the bits of one that is not."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from oace_tf.tensor_file import PAIR_FORMAT, read_tensors
from oace_tf.training.checkpoint import read_checkpoint
from oace_tf.training.run_log import LOG

SCRIPT = Path(__file__).with_name("killed_run.py")
STEPS, KILLS = 30, 2
SETTINGS = {"phases": [{"size": 64, "batch": 2, "steps": 18},
                       {"size": 128, "batch": 1, "steps": STEPS - 18}],
            "learning_rate": 0.01, "schedule": "cosine", "warmup_steps": 3, "weight_decay": 0.01,
            "clip_norm": 1.0, "ema": 0.9, "seed": 7,
            "scenes": {"paste": 0.5, "more_taps": 0.3, "background_tap": 0.3, "error_taps": 1}}


def command(data: Path, folder: Path, out: str, resume: bool) -> list[str]:
    arguments = ["msfnet", "--data", str(data), "--preset", "tiny", "--config",
                 str(folder / "settings.json"), "--out", str(folder / out), "--workers", "1",
                 "--checkpoint-every", "2", "--deterministic", "--keep", "2"]
    return [sys.executable, str(SCRIPT), *arguments, *(["--resume"] if resume else [])]


def rows(path: Path) -> int:
    return len(path.read_text().splitlines()) - 1 if path.is_file() else 0


@pytest.mark.slow
def test_killed_at_random_moments(dataset, tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(command(dataset, tmp_path, "straight", False), check=True, env=environment,
                   capture_output=True)
    rng = np.random.default_rng()  # other moments each time: any must do
    out = tmp_path / "killed"
    for kill in range(KILLS):
        begun = rows(out / LOG)
        process = subprocess.Popen(command(dataset, tmp_path, "killed", begun > 0),
                                   env=environment, stderr=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)
        wanted = begun + int(rng.integers(2, STEPS // 3))
        while rows(out / LOG) < min(wanted, STEPS - 1) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(float(rng.uniform(0, 0.3)))  # in a step, a checkpoint, or between two
        process.send_signal(signal.SIGKILL)
        assert process.wait() in (-signal.SIGKILL, 0)
    subprocess.run(command(dataset, tmp_path, "killed", True), check=True, env=environment,
                   capture_output=True)
    ours, theirs = (read_checkpoint(tmp_path / name / "checkpoint.safetensors")
                    for name in ("killed", "straight"))
    assert ours.step == theirs.step == STEPS
    assert (ours.run, ours.skipped) == (theirs.run, theirs.skipped)
    for part in ("weights", "average", "optimizer"):
        found, expected = getattr(ours, part), getattr(theirs, part)
        assert found.keys() == expected.keys() and len(expected) > 20
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)
    logs = [[line.split(",")[:3] for line in (tmp_path / name / LOG).read_text().splitlines()]
            for name in ("killed", "straight")]
    assert logs[0] == logs[1]
    (found, ours_say), (expected, theirs_say) = (
        read_tensors(tmp_path / name / "weights.safetensors", PAIR_FORMAT)
        for name in ("killed", "straight"))
    assert ours_say == theirs_say  # the checksum over names and bits of every tensor among it
    assert found.keys() == expected.keys()
