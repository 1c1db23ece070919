"""Several devices: the losses of one, the parts of hosts, and what cannot be shared."""
from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oace_tf.errors import UsageError
from oace_tf.networks.weights import save_weights
from oace_tf.training.devices import Share, parse_host, use_devices
from oace_tf.training.settings import LossSettings, SceneSettings, TrainSettings

SCRIPT = Path(__file__).with_name("device_steps.py")


@pytest.mark.slow
def test_four_devices_give_the_losses_of_one(dataset, fresh_pair, tmp_path):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    save_weights(tmp_path / "tiny.safetensors", fresh_pair(msf=False), {})
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu",
                   "XLA_FLAGS": "--xla_force_host_platform_device_count=4 "
                   "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}
    done = subprocess.run([sys.executable, str(SCRIPT), str(dataset),
                           str(tmp_path / "tiny.safetensors"), str(tmp_path / "out"), "4"],
                          capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["devices"] == 4
    one, four = found["losses"]["1"], found["losses"]["4"]
    assert len(one) == 3 and len(set(one)) == 3
    assert four == pytest.approx(one, abs=1e-4)
    assert found["apart"] < 2e-3  # of the weights, float16 in the files


def test_hosts_share_a_batch():
    share = Share(1, 3, 6)
    assert list(share.of(12)) == [4, 5, 6, 7] and not share.first
    assert list(Share().of(5)) == [0, 1, 2, 3, 4] and Share().first


def test_what_cannot_be_shared(monkeypatch):
    plain = TrainSettings()
    Share(0, 1, 4).check(8, plain)
    with pytest.raises(UsageError, match="6 scenes cannot be shared by 4 devices"):
        Share(0, 1, 4).check(6, plain)
    with pytest.raises(UsageError, match="error_taps"):
        Share(0, 2, 4).check(8, TrainSettings(scenes=SceneSettings(error_taps=1)))
    with pytest.raises(UsageError, match="steadiness"):
        Share(0, 2, 4).check(8, TrainSettings(scenes=SceneSettings(twins=1.0),
                                              losses=LossSettings(steadiness=1.0)))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert use_devices(1) == Share()
    with pytest.raises(UsageError, match="KERAS_BACKEND=jax"):
        use_devices(4)


@pytest.mark.parametrize("text", ("", "host", "host:1", "host:1,2", "host:1,2,2", "host:1,x,0",
                                  "host,2,0", "host:1,0,0"))
def test_malformed_hosts(text):
    with pytest.raises(UsageError, match="ADDRESS:PORT,COUNT,NUMBER"):
        parse_host(text)
    assert parse_host("10.0.0.1:8476,2,1") == ("10.0.0.1:8476", 1, 2)
