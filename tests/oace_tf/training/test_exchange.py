"""Runs side by side meet in their mean; one that stays away does not stop the other."""
from __future__ import annotations

import threading

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.tensor_file import write_tensors
from oace_tf.training import exchange
from oace_tf.training.exchange import FORMAT, Exchange


def state(value: float) -> dict[str, np.ndarray]:
    return {"weights/a": np.full((2, 3), value, np.float32), "optimizer/steps": np.array(7)}


@pytest.fixture()
def folders(tmp_path):
    pair = tmp_path / "a", tmp_path / "b"
    for folder in pair:
        folder.mkdir()
    return pair


def test_both_go_on_from_the_mean(folders):
    a, b = folders
    found = {}

    def run(name, own, other, value):
        found[name] = Exchange(own, [other], pause=0.01).mean(100, state(value))

    threads = [threading.Thread(target=run, args=("a", a, b, 1.0)),
               threading.Thread(target=run, args=("b", b, a, 4.0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for mean in found.values():
        np.testing.assert_array_equal(mean["weights/a"], np.full((2, 3), 2.5, np.float32))
        assert mean["weights/a"].dtype == np.float32
        assert mean["optimizer/steps"] == 7  # no mean of whole numbers
    assert set(found) == {"a", "b"}


def test_a_partner_that_stays_away_is_named(folders, caplog):
    a, b = folders
    mean = Exchange(a, [b], patience=0.05, pause=0.01).mean(5, state(1.0))
    np.testing.assert_array_equal(mean["weights/a"], state(1.0)["weights/a"])
    assert "exchange-00000005" in caplog.text and "without it" in caplog.text


def test_a_long_wait_is_said_once(folders, caplog, monkeypatch):
    a, b = folders
    monkeypatch.setattr(exchange, "_SAY_AFTER", 0.02)
    Exchange(a, [b], patience=0.1, pause=0.01).mean(5, state(1.0))
    assert caplog.text.count("waiting for") == 1


def test_a_run_that_was_killed_finds_the_exchange_before(folders):
    a, b = folders
    ours = Exchange(a, [b], patience=0.0)
    for batch in (100, 200, 300):
        ours.mean(batch, state(float(batch)))
    assert sorted(path.name for path in a.iterdir()) == [
        "exchange-00000200.safetensors", "exchange-00000300.safetensors"]
    mean = Exchange(b, [a], patience=0.0).mean(200, state(0.0))
    np.testing.assert_array_equal(mean["weights/a"], np.full((2, 3), 100.0, np.float32))


def test_another_network_is_refused(folders):
    a, b = folders
    write_tensors(b / "exchange-00000001.safetensors", {"weights/b": np.zeros(3, np.float32)},
                  {"format": FORMAT})
    with pytest.raises(UsageError, match="another network"):
        Exchange(a, [b]).mean(1, state(1.0))


def test_a_run_is_not_its_own_partner(folders):
    with pytest.raises(UsageError, match="own folder"):
        Exchange(folders[0], [folders[0]])
