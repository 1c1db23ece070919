"""Checkpoints: whole or refused."""
from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.tensor_file import write_tensors
from oace_tf.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    keep_older,
    last_good,
    older_checkpoints,
    read_checkpoint,
    write_checkpoint,
)

STATE = Checkpoint(
    step=12, run={"stage": "joint", "settings": {"phases": [{"size": 64}], "sources": []}},
    weights={"msfnet.a.weight": np.arange(6, dtype=np.float32).reshape(2, 3)},
    average={"msfnet.a.weight": np.full((2, 3), 1 / 3, np.float32)},
    # scalars stay scalars, integers integers
    optimizer={"iteration": np.array(12, np.int64),
               **{f"a.weight_{i}": np.full((2, i), i, np.float32) for i in range(11)}},
    skipped=("cats/images/0.png", "dogs/images/ä 1.png"), notes={"best": {"step": 8}},
    optimizer_of="prior")


@pytest.fixture()
def path(tmp_path):
    write_checkpoint(tmp_path / "run" / "checkpoint.safetensors", STATE)
    return tmp_path / "run" / "checkpoint.safetensors"


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one, other, strict=True)


def test_round_trip(path):
    state = read_checkpoint(path)
    assert (state.step, state.run, state.skipped) == (12, STATE.run, STATE.skipped)
    assert (state.notes, state.optimizer_of) == (STATE.notes, "prior")
    for found, expected in ((state.weights, STATE.weights), (state.average, STATE.average),
                            (state.optimizer, STATE.optimizer)):
        assert found.keys() == expected.keys()
        assert_same(list(found.values()), [expected[name] for name in found])
    state.average["msfnet.a.weight"] += 1  # the trainer goes on with it


def test_without_a_moving_average(path):
    write_checkpoint(path, Checkpoint(step=0, run={}, weights=STATE.weights, average={},
                                      optimizer=STATE.optimizer, skipped=()))
    state = read_checkpoint(path)
    assert (state.step, state.average, state.skipped) == (0, {}, ())


def test_damage_is_refused(path):
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 100):
        flipped = bytearray(whole)
        flipped[place] ^= 16
        path.write_bytes(flipped)
        with pytest.raises(UsageError, match="checkpoint.safetensors.*start without --resume"):
            read_checkpoint(path)
    for end in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(UsageError, match="checkpoint.safetensors.*start without --resume"):
            read_checkpoint(path)


def test_other_files_are_refused(path):
    write_tensors(path, {"a": np.zeros(3)}, {"format": "oace-pair-1"})
    with pytest.raises(UsageError, match="'oace-pair-1', expected 'oace-checkpoint-1'"):
        read_checkpoint(path)
    path.unlink()
    with pytest.raises(UsageError, match="no checkpoint to resume from"):
        read_checkpoint(path)


def test_a_failed_write_leaves_the_last_good_one(path, monkeypatch):
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        write_checkpoint(path, STATE)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_last_ones_are_kept_and_the_last_good_one_is_found(tmp_path, caplog):
    newest = tmp_path / CHECKPOINT
    with pytest.raises(UsageError, match="no checkpoint to resume from"):
        last_good(tmp_path)
    for step in range(1, 6):
        if step > 1:
            keep_older(tmp_path, step - 1, keep=3)
        write_checkpoint(newest, dataclasses.replace(STATE, step=step))
    assert [path.name for path in older_checkpoints(tmp_path)] == [
        "checkpoint-00000004.safetensors", "checkpoint-00000003.safetensors"]
    assert [read_checkpoint(path).step for path in older_checkpoints(tmp_path)] == [4, 3]
    assert last_good(tmp_path)[1].step == 5
    # the newest damaged, then also the one before: the next is taken, and the fault is named
    newest.write_bytes(newest.read_bytes()[:-9])
    assert last_good(tmp_path)[1].step == 4
    assert "checkpoint.safetensors" in caplog.text and "going on from" in caplog.text
    older_checkpoints(tmp_path)[0].write_bytes(b"rubbish")
    path, state = last_good(tmp_path)
    assert state.step == 3 and path.name == "checkpoint-00000003.safetensors"
    path.unlink()
    with pytest.raises(UsageError, match="checkpoint.safetensors"):
        last_good(tmp_path)
    # one alone
    write_checkpoint(newest, STATE)
    keep_older(tmp_path, 12, keep=1)
    assert older_checkpoints(tmp_path) == [] and newest.is_file()
