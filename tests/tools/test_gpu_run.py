"""Photographs and code in parts for another machine, and the training there."""
from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.oace_tf.training.drawn import write_dataset
from tools import gpu_run

CONFIG = {"phases": [{"size": 64, "photographs": 1, "batches": 2, "later_taps": False}],
          "scenes": {"gestures": 2, "rows": 16}, "sources": {"drawn": 1.0}}


@pytest.fixture()
def packed(tmp_path: Path) -> Path:
    """Return a folder of parts of a few kilobytes."""
    data = write_dataset(tmp_path / "data" / "drawn", 4)
    write_dataset(tmp_path / "data" / "other", 1)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    gpu_run.pack(tmp_path / "parts", tmp_path / "config.json", None, [data.parent], 200_000)
    return tmp_path / "parts"


def test_parts_hold_code_settings_and_the_named_sources(packed: Path) -> None:
    names: list[str] = []
    sums = json.loads((packed / "parts.json").read_text())
    assert len(sums) > 2 and set(sums) == {path.name for path in packed.glob("*.tar")}
    for path in packed.glob("*.tar"):
        assert path.stat().st_size < 300_000
        with tarfile.open(path) as tar:
            names += tar.getnames()
    assert len(names) == len(set(names))
    assert {"config.json", "oace_tf/train.py", "data/drawn/instances.json"} <= set(names)
    assert sum(name.startswith("data/drawn/images/") for name in names) == 4
    assert not [name for name in names if name.startswith("data/other")]


def test_what_arrives_is_checked(packed: Path, tmp_path: Path,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    into = tmp_path / "into"
    gpu_run.unpack(packed, into)
    assert (into / "data" / "drawn" / "instances.json").is_file()
    (into / "data" / "drawn" / "instances.json").unlink()
    gpu_run.unpack(packed, into)  # once is enough
    assert not (into / "data" / "drawn" / "instances.json").exists()
    part = packed / "part-01.tar"
    content = part.read_bytes()
    part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(gpu_run.Refused, match="part-01.tar: damaged"):
        gpu_run.unpack(packed, tmp_path / "again")
    part.unlink()
    assert gpu_run.main(["train", str(packed), "--out", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr().err
    assert "part-01.tar: missing" in printed and printed.count("\n") == 1


def test_what_cannot_be_packed_is_named(packed: Path, tmp_path: Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.json"
    for fields, words in (({"sources": {"cats": 1.0}}, "no source 'cats'"), ({}, "no sources"),
                          ("no object", "no settings")):
        config.write_text(json.dumps(fields))
        assert gpu_run.main(["pack", str(tmp_path / "next"), "--config", str(config), "--data",
                             str(tmp_path / "data")]) == 2
        printed = capsys.readouterr().err
        assert words in printed and printed.count("\n") == 1
    assert not (tmp_path / "next").exists()


@pytest.mark.slow
def test_it_trains_from_the_parts_alone(packed: Path, tmp_path: Path) -> None:
    """As on the other machine: the copied script, in a folder without the repository."""
    from oace_tf.config import NetworkConfig
    from oace_tf.networks.gesture_networks import build_gesture_networks
    from oace_tf.networks.weights import read_arrays, save_weights

    weights = tmp_path / "tiny.safetensors"
    save_weights(weights, build_gesture_networks(NetworkConfig.preset("tiny_one_trunk"), None), {})
    gpu_run.pack(packed, tmp_path / "config.json", weights, [tmp_path / "data"])

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "gpu_run.py", "train", ".", "--out", "run", "--backend", "tensorflow",
             "--workers", "0", *more], cwd=packed, capture_output=True, text=True)

    done = run()
    assert done.returncode == 0, done.stderr[-2000:]
    _, record, _ = read_arrays(packed / "run" / "weights.safetensors")
    assert record["batches"] == 2 and record["data"][0]["name"] == "drawn"
    cut = run("--minutes", "0", "--out", "other")
    assert cut.returncode == 2 and "there is none yet" in cut.stderr
    again = run("--minutes", "0")  # a checkpoint is there: its weights are taken
    assert again.returncode == 0, again.stderr[-2000:]
