"""The mean of weights: its numbers, its record, what it refuses."""
from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oace_tf import average_weights
from oace_tf.config import NetworkConfig
from oace_tf.errors import UsageError
from oace_tf.fileio import sha256_file
from oace_tf.networks.pair import build_pair
from oace_tf.networks.weights import get_arrays, read_arrays, save_weights, set_arrays
from oace_tf.training.checkpoint import Checkpoint, write_checkpoint

TINY = NetworkConfig.preset("tiny")


def write(path: Path, value: float, config: NetworkConfig = TINY, **record: Any) -> Path:
    """Write a pair all of whose values are `value`."""
    pair = build_pair(config, 64)
    set_arrays(pair, {name: np.full_like(array, value)
                      for name, array in get_arrays(pair).items()}, "drawn")
    save_weights(path, pair, record)
    return path


def test_shares_weigh_and_the_record_names_all(tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    first = write(tmp_path / "a.safetensors", 1.0, steps=3, scores={"x": 1}, licence="free",
                  quantize_aware={"ranges": {}},
                  data=[{"name": "cats", "sha256": "1", "share": 1.0}])
    second = write(tmp_path / "b.safetensors", 4.0, steps=5,
                   data=[{"name": "dogs", "sha256": "2"}, {"name": "cats", "sha256": "1"}])
    out = tmp_path / "mean.safetensors"
    assert average_weights.main([str(first), f"{second}:0.5", "-o", str(out)]) == 0
    config, record, arrays = read_arrays(out)
    assert config == TINY
    # (1 x 1.0 + 0.5 x 4.0) / 1.5
    assert all((array == 2.0).all() for array in arrays.values())
    assert record["steps"] == 3 and not {"scores", "licence", "quantize_aware"} & set(record)
    assert record["data"] == [{"name": "cats", "sha256": "1"}, {"name": "dogs", "sha256": "2"}]
    assert record["mean_of"] == [
        {"weights": sha256_file(first), "what": "a.safetensors", "steps": 3, "share": 0.6667},
        {"weights": sha256_file(second), "what": "b.safetensors", "steps": 5, "share": 0.3333}]
    assert "a.safetensors (66.7 %), b.safetensors (33.3 %)" in capsys.readouterr().out


@pytest.mark.parametrize(("average", "expected"), ((True, 5.0), (False, 3.0)))
def test_a_checkpoint_counts_with_its_moving_average(tmp_path: Path, average: bool,
                                                     expected: float) -> None:
    first = write(tmp_path / "a.safetensors", 1.0)
    arrays = read_arrays(first)[2]
    state = Checkpoint(
        step=7, run={"stage": "joint", "network": TINY.to_json(), "settings": {},
                     "data": [{"name": "joined", "sha256": ["1", "2"]}]},
        weights={name: np.full_like(array, 5.0) for name, array in arrays.items()},
        average={name: np.full_like(array, 9.0) for name, array in arrays.items()} if average
        else {},
        optimizer={}, skipped=())
    write_checkpoint(tmp_path / "checkpoint.safetensors", state)
    out = tmp_path / "mean.safetensors"
    parts = [str(first), str(tmp_path / "checkpoint.safetensors")]
    assert average_weights.main([*parts, "-o", str(out)]) == 0
    _, record, found = read_arrays(out)
    assert all((array == expected).all() for array in found.values())
    assert record["mean_of"][1]["steps"] == 7
    assert record["data"] == [{"name": "joined", "sha256": ["1", "2"]}]


def test_a_colon_that_no_number_follows_belongs_to_the_name() -> None:
    assert average_weights.parse_part("C:weights") == (Path("C:weights"), 1.0)
    assert average_weights.parse_part("a.safetensors:2") == (Path("a.safetensors"), 2.0)
    for share in ("0", "-1", "nan", "inf"):
        with pytest.raises(UsageError, match="must be above 0"):
            average_weights.parse_part(f"a:{share}")


def test_what_it_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, out = write(tmp_path / "a.safetensors", 1.0), tmp_path / "mean.safetensors"
    other = write(tmp_path / "b.safetensors", 1.0, dataclasses.replace(TINY, frame=256))
    (tmp_path / "text").write_text("no weights")
    for parts, words in (([first], "two files or more"), ([first, other], "another network"),
                         ([first, "none.safetensors"], "none.safetensors: no such weights file"),
                         ([first, tmp_path / "text"], "not a whole safetensors file")):
        assert average_weights.main([*map(str, parts), "-o", str(out)]) == 2
        found = capsys.readouterr()
        assert found.out == "" and words in found.err and found.err.count("\n") == 1
    assert not out.exists()


def test_one_checkpoint_gives_its_moving_average(tmp_path: Path) -> None:
    arrays = read_arrays(write(tmp_path / "a.safetensors", 1.0))[2]
    write_checkpoint(tmp_path / "checkpoint.safetensors", Checkpoint(
        step=7, run={"stage": "joint", "network": TINY.to_json(), "settings": {}},
        weights=arrays, average={name: np.full_like(a, 2.0) for name, a in arrays.items()},
        optimizer={}, skipped=()))
    out = tmp_path / "weights.safetensors"
    assert average_weights.main([str(tmp_path / "checkpoint.safetensors"), "-o", str(out)]) == 0
    assert all((array == 2.0).all() for array in read_arrays(out)[2].values())


def test_no_part_is_written_over_and_no_share_is_lost(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, other = (write(tmp_path / f"{name}.safetensors", 1.0) for name in "ab")
    before = first.read_bytes()
    assert average_weights.main([str(first), str(other), "-o", str(first)]) == 2
    assert "is read too" in capsys.readouterr().err and first.read_bytes() == before
    out = tmp_path / "mean.safetensors"
    assert average_weights.main([f"{first}:1e308", f"{other}:1e308", "-o", str(out)]) == 2
    assert "give smaller ones" in capsys.readouterr().err and not out.exists()
