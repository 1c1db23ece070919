"""Steps on gestures on TensorFlow, JAX and torch: the same losses from the same weights."""
from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.networks.gesture_maps import GestureMaps
from oace_tf.networks.gesture_networks import build_gesture_networks, repeated
from oace_tf.networks.weights import get_arrays, pair_variables, read_arrays, save_weights
from oace_tf.training.gesture_losses import GestureLossSettings
from oace_tf.training.gesture_step import GestureStep

ROOT = Path(__file__).resolve().parents[3]
CONFIG = {"phases": [{"size": 64, "photographs": 2, "batches": 1, "frozen": True},
                     {"size": 64, "photographs": 2, "batches": 1}],
          # The second step asks again: a tap on the error of an answer would jump for a small
          # difference of the backends. The rate is small because AdamW's first update has the sign
          # of each gradient, also of those that are rounding alone.
          "rounds": [0.0, 1.0], "renewed": 0.0, "again": 1.0, "warmup": 1,
          "learning_rate": 0.0005, "clip_norm": 0.5, "seed": 3,
          "scenes": {"gestures": 2, "rows": 16}}


def trained(backend: str, data: Path, weights: Path, out: Path) -> list[dict[str, str]]:
    """Train in a process of its own, where Keras takes `backend`; the rows of the log."""
    config = out.with_suffix(".json")
    config.write_text(json.dumps(CONFIG))
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    if backend == "jax":  # compiling takes all the time
        environment["XLA_FLAGS"] = ("--xla_backend_optimization_level=0 "
                                    "--xla_llvm_disable_expensive_passes=true")
    done = subprocess.run(
        [sys.executable, "-m", "oace_tf.train", "gestures", "--data", str(data), "--init",
         str(weights), "--config", str(config), "--workers", "0", "--out", str(out)],
        capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    with (out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    # Without residual blocks: their layers are there as well, and compiling takes time.
    config = dataclasses.replace(NetworkConfig.preset("tiny_one_trunk"), deep=False)
    save_weights(path, build_gesture_networks(config, None), {})
    return path


@pytest.fixture(scope="module")
def on_tensorflow(dataset, weights, tmp_path_factory) -> tuple[list[dict[str, str]], Path]:
    out = tmp_path_factory.mktemp("tensorflow") / "run"
    return trained("tensorflow", dataset, weights, out), out


@pytest.mark.slow
@pytest.mark.parametrize("backend", ("jax", "torch"))
def test_the_losses_are_those_of_tensorflow(backend, dataset, weights, on_tensorflow, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    rows, out = on_tensorflow
    found = trained(backend, dataset, weights, tmp_path / "run")
    assert len(found) == len(rows) == 4
    for name in ("mask", "dice", "alternatives", "contrastive", "total", "norm"):
        ours, wanted = ([float(row[name]) for row in log] for log in (found, rows))
        # Two steps on one batch, the second with the answers of the first as previous masks.
        assert ours[0] == pytest.approx(wanted[0], rel=2e-3, abs=2e-3), name
        # Where the best of three answers changes, the gradient jumps and the losses do not.
        near = 0.1 if name == "norm" else 2e-3
        assert ours[1] == pytest.approx(wanted[1], rel=near, abs=near), name
        # Small differences grow with the steps that follow.
        assert np.isfinite(ours).all()
        if name != "norm":
            assert ours == pytest.approx(wanted, abs=0.5), name
    config, record, arrays = read_arrays(tmp_path / "run" / "weights.safetensors")
    assert record["backend"] == backend and config.one_trunk
    _, _, theirs = read_arrays(out / "weights.safetensors")
    _, _, before = read_arrays(weights)
    assert set(arrays) == set(theirs)
    moved = [name for name in arrays if abs(arrays[name] - before[name]).max() > 1e-4]
    assert len(moved) > 0.9 * len(arrays)
    for name in moved:
        assert abs(arrays[name] - theirs[name]).max() < 0.05, name


def test_frozen_blocks_keep_weights_and_statistics_and_the_rest_learns():
    keras.utils.set_random_seed(2)
    networks = build_gesture_networks(NetworkConfig.preset("one_trunk"), None)
    optimizer = keras.optimizers.AdamW(0.01)
    optimizer.build([v for model in networks.models() for v in model.trainable_variables])
    before = get_arrays(networks)
    step = GestureStep(networks, optimizer, GestureLossSettings(), 1.0, 64, False, frozen_blocks=5)
    learned = {id(variable) for variable in step.variables}
    networks.encode(np.random.default_rng(3).uniform(-1, 1, (1, 64, 64, 3)), True)
    after = get_arrays(networks)
    # What the optimizer is given, and what statistics the training's pass has moved.
    changes = {name for name, variable in pair_variables(networks).items()
               if id(variable) in learned or not np.array_equal(before[name], after[name])}
    for kept in ("_conv_stem", "_bn0.", *(f"_blocks.{index}." for index in range(5))):
        assert not [name for name in changes if name.startswith(f"shared.trunk.{kept}")], kept
    for part in ("shared.trunk._blocks.5.", "shared.trunk._blocks.15.", "shared.neck.in4"):
        for end in ("weight", "running_mean"):
            assert [name for name in changes if name.startswith(part) and name.endswith(end)]
    with pytest.raises(UsageError, match="frozen_blocks is 17, the trunk has 16 blocks"):
        GestureStep(networks, optimizer, GestureLossSettings(), 1.0, 64, False, frozen_blocks=17)


def test_with_frozen_statistics_it_learns_what_the_file_computes(eager):
    keras.utils.set_random_seed(4)
    networks = build_gesture_networks(NetworkConfig.preset("tiny_one_trunk"), None)
    optimizer = keras.optimizers.AdamW(0.01)
    optimizer.build([v for model in networks.models() for v in model.trainable_variables])
    batch = _batch()
    previous = np.zeros((4, 16, 16, 1), np.float32)
    image = (batch["image"].astype(np.float32) - 128.0) / 128.0
    drawn = GestureMaps(64)(batch["points"].reshape(4, 16, 3))
    answers = networks.decode(repeated(networks.encode(image), 2), drawn,
                              keras.ops.convert_to_tensor(previous))
    wanted = keras.ops.sigmoid(answers["logits"])[..., 0]
    before = get_arrays(networks)
    step = GestureStep(networks, optimizer, GestureLossSettings(), 1.0, 64, False,
                       frozen_statistics=True)
    _, probability = step(batch, previous)
    assert probability == pytest.approx(np.asarray(wanted), abs=1e-5)
    moved = {name for name, array in get_arrays(networks).items()
             if not np.array_equal(array, before[name])}
    assert moved and not [name for name in moved if "running_" in name]
    assert [name for name in moved if name.startswith("shared.trunk.")]


def test_alone_the_refiner_learns_from_what_the_file_s_first_pass_gives(eager):
    keras.utils.set_random_seed(6)
    config = dataclasses.replace(NetworkConfig.preset("tiny_one_trunk"), refiner=True)
    networks = build_gesture_networks(config, None)
    optimizer = keras.optimizers.AdamW(0.01)
    optimizer.build([v for model in networks.models() for v in model.trainable_variables])
    batch, previous = _batch(), np.zeros((4, 16, 16, 1), np.float32)
    image = (batch["image"].astype(np.float32) - 128.0) / 128.0
    features = repeated(networks.encode(image), 2)
    drawn = GestureMaps(64)(batch["points"].reshape(4, 16, 3))
    first = networks.decode(features, drawn, keras.ops.convert_to_tensor(previous))
    refined = networks.refine(features, drawn, keras.ops.sigmoid(first["logits"]))
    wanted = np.asarray(keras.ops.sigmoid(refined["logits"])[..., 0])
    before = get_arrays(networks)
    step = GestureStep(networks, optimizer, GestureLossSettings(), 1.0, 64, False,
                       frozen_statistics=True, refiner_only=True)
    _, probability = step(batch, previous)
    assert probability == pytest.approx(wanted, abs=1e-5)
    moved = {name for name, array in get_arrays(networks).items()
             if not np.array_equal(array, before[name])}
    assert {name.partition(".")[0] for name in moved} == {"refiner"}
    # In the phase after, all of it learns, and MSFNet has its own share of the loss.
    step = GestureStep(networks, optimizer, GestureLossSettings(), 1.0, 64, False)
    losses, _ = step(batch, previous)
    parts = sum(value for name, value in losses.items() if name not in ("total", "norm"))
    assert losses["total"] > parts + 0.1
    moved = {name for name, array in get_arrays(networks).items()
             if not np.array_equal(array, before[name])}
    assert {name.partition(".")[0] for name in moved} == {"shared", "prior", "msfnet", "refiner"}


def test_without_a_refiner_none_can_learn_alone():
    networks = build_gesture_networks(NetworkConfig.preset("tiny_one_trunk"), None)
    with pytest.raises(UsageError, match="no refiner"):
        GestureStep(networks, keras.optimizers.AdamW(0.01), GestureLossSettings(), 1.0, 64, False,
                    refiner_only=True)


def _batch() -> dict[str, np.ndarray]:
    """Two photographs of noise with two taps each."""
    rng = np.random.default_rng(5)
    points = np.full((2, 2, 16, 3), -1, np.float32)
    points[:, :, 0] = (20, 30, 1)
    cover = np.zeros((2, 2, 32, 32), np.uint8)
    cover[:, :, 8:20, 4:16] = 255
    return {"image": rng.integers(0, 256, (2, 64, 64, 3), np.uint8), "points": points,
            "cover": cover, "ignored": np.zeros((2, 32, 32), np.uint8),
            "outline": np.ones((2, 2), np.float32), "twin": np.zeros((2, 2), np.float32)}


@pytest.mark.parametrize(("preset", "frozen", "blocks"), (
    ("tiny_two_trunks", True, 0), ("two_trunks", False, 2)))
def test_both_trunks_are_frozen_together(preset, frozen, blocks):
    networks = build_gesture_networks(NetworkConfig.preset(preset), None)
    step = GestureStep(networks, keras.optimizers.AdamW(1e-3), GestureLossSettings(), 1.0, 64,
                       frozen, frozen_blocks=blocks)
    learned = {id(variable) for variable in step.variables}
    names = [name for name, variable in pair_variables(networks).items() if id(variable) in learned]
    assert [name for name in names if name.startswith("shared.neck.second32")]
    for trunk in ("shared.trunk.", "shared.second_trunk."):
        of_trunk = [name for name in names if name.startswith(trunk)]
        assert bool(of_trunk) is not frozen
        assert all(name.startswith(f"{trunk}_blocks.") for name in of_trunk)
        assert not [name for name in of_trunk
                    if name.startswith((f"{trunk}_blocks.0.", f"{trunk}_blocks.1."))]
