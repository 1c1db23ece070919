"""Training on TensorFlow, JAX and torch: the same losses from the same weights and scenes.

JAX and torch run with every import of TensorFlow refused, as where it is not installed.
"""
from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oace_tf.networks.weights import build_from_weights, save_weights

SCRIPT = Path(__file__).with_name("backend_steps.py")


def steps(backend: str, data: Path, weights: Path, out: Path, *blocked: str) -> dict:
    """Run the script; the last line that it prints."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    if backend == "jax":  # compiling takes all the time
        environment["XLA_FLAGS"] = ("--xla_backend_optimization_level=0 "
                                    "--xla_llvm_disable_expensive_passes=true")
    done = subprocess.run([sys.executable, str(SCRIPT), str(data), str(weights), str(out),
                           *blocked], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def weights(fresh_pair, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, fresh_pair(msf=False), {})
    return path


@pytest.fixture(scope="module")
def on_tensorflow(dataset, weights, tmp_path_factory) -> dict:
    return steps("tensorflow", dataset, weights, tmp_path_factory.mktemp("tensorflow") / "run")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ("jax", "torch"))
def test_without_tensorflow_the_losses_are_the_same(backend, dataset, weights, on_tensorflow,
                                                    tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    found = steps(backend, dataset, weights, tmp_path / "run", "tensorflow")
    assert found["backend"] == backend and "tensorflow" not in found["loaded"]
    # measured: equal in all three steps, to the 1e-5 that the log shows
    assert found["losses"] == pytest.approx(on_tensorflow["losses"], abs=1e-3)
    # what was written there can be read here: the layer names of torch have no dots
    pair, record = build_from_weights(tmp_path / "run" / "weights.safetensors", 64)
    assert (record["backend"], record["steps"]) == (backend, 3)
    assert pair.prior is not None


def test_training_can_be_imported_where_tensorflow_is_absent():
    code = ("import sys, oace_tf.train, oace_tf.training.batches, oace_tf.training.scenes; "
            "print(*({'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
