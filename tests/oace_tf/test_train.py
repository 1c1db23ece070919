"""The train command: bad arguments at once and in one line; a run from end to end."""
from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from oace_tf import train
from oace_tf.errors import UsageError
from oace_tf.fileio import sha256_file
from oace_tf.networks.weights import build_from_weights, read_record
from tests.oace_tf.training.drawn import write_dataset

SETTINGS = {"phases": [{"size": 64, "batch": 1, "steps": 3}], "seed": 2,
            "losses": {"background_from": "pass1"}}


@pytest.fixture()
def command(tmp_path, monkeypatch, capsys):
    """Return a function: arguments -> (exit code, stdout, stderr), in a folder with data."""
    import tensorflow as tf

    write_dataset(tmp_path / "data" / "drawn", 3, unreadable=(1,))
    (tmp_path / "tiny.json").write_text(json.dumps(SETTINGS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OACE_DATA", raising=False)
    monkeypatch.setattr(logging, "basicConfig", lambda **kwargs: None)

    def call(*arguments):
        tf.config.run_functions_eagerly(True)
        try:
            code = train.main([str(word) for word in arguments])
        finally:
            tf.config.run_functions_eagerly(False)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file()}


TINY = ("--data", "data", "--preset", "tiny", "--config", "tiny.json", "--workers", 0)


def test_a_loss_below_zero_is_explained(command):
    for stage, told in (("prior", True), ("msfnet", False)):
        code, _, err = command(stage, *TINY, "--out", stage, "--stop-at", 1)
        assert code == 0 and ("the loss may lie below zero" in err) == told


@pytest.mark.slow
def test_a_run_is_recorded_stopped_and_resumed(command, tmp_path):
    code, out, _ = command("msfnet", *TINY, "--out", "run", "--stop-at", 2)
    assert code == 0
    assert "run/weights.safetensors: weights after 2 steps" in out
    config, record = read_record("run/weights.safetensors")
    assert (config.trunk, record["steps"], record["seed"], record["stage"]) == (
        "tiny", 2, 2, "msfnet")
    assert record["settings"]["phases"] == [{"size": 64, "batch": 1, "steps": 3, "stage": ""}]
    zeroed = ["msfnet.click_stem.conv.weight", "msfnet.msf_fuse_bn.weight"]
    assert (record["start"], record["backend"]) == ({"zeroed": zeroed}, "tensorflow")
    source, = record["data"]
    assert source == {"name": "drawn", "images": 3, "share": 1.0, "categories": ["thing"],
                      "sha256": sha256_file("data/drawn/instances.json")}

    before = files_of(tmp_path / "run")
    assert {"curve.png", "log.csv", "checkpoint.safetensors"} <= before.keys()
    code, _, err = command("msfnet", *TINY, "--out", "run")
    assert code == 2 and "add --resume" in err
    code, _, err = command("prior", *TINY, "--out", "run", "--resume")
    assert code == 2 and "made with another stage" in err
    assert before == files_of(tmp_path / "run")

    # more than there are steps: the record says how many were made
    code, out, _ = command("msfnet", *TINY, "--out", "run", "--resume", "--stop-at", 9)
    assert code == 0 and "after 3 steps; 1 unreadable images" in out
    record = read_record("run/weights.safetensors")[1]
    assert (record["steps"], record["skipped_images"]) == (3, 1)


@pytest.mark.slow
def test_a_run_starts_from_a_weights_file(command, tmp_path):
    assert command("prior", *TINY, "--out", "first", "--stop-at", 1)[0] == 0
    first = "first/weights.safetensors"
    # the network is the file's, whatever the preset
    code, _, _ = command("msfnet", "--data", "data/drawn", "--config", "tiny.json", "--workers", 0,
                         "--init", first, "--out", "second", "--stop-at", 1)
    assert code == 0
    config, record = read_record("second/weights.safetensors")
    assert config.trunk == "tiny"
    assert record["start"]["weights"] == sha256_file(first)
    assert record["start"]["record"]["stage"] == "prior"
    # the frozen prior of the second run is the first run's, to the last bit
    pairs = [build_from_weights(name, 64)[0] for name in (first, "second/weights.safetensors")]
    for ours, theirs in zip(*(pair.prior.get_weights() for pair in pairs if pair.prior)):
        assert (ours == theirs).all()


@pytest.mark.parametrize(("arguments", "words"), (
    ((), ("stage",)),
    (("both",), ("invalid choice", "both")),
    (("joint",), ("no training data", "--data", "OACE_DATA")),
    (("joint", "--data", "nowhere"), ("nowhere: no such folder",)),
    (("joint", "--data", "."), ("no instances.json", "one folder below")),
    (("joint", *TINY, "--workers", -1), ("--workers",)),
    (("joint", *TINY, "--checkpoint-every", 0), ("--checkpoint-every",)),
    (("joint", *TINY, "--stop-at", 0), ("--stop-at",)),
    (("joint", *TINY, "--config", "none.json"), ("none.json",)),
    (("joint", *TINY, "--config", "list.json"), ("list.json", "list")),
    (("joint", *TINY, "--config", "epochs.json"), ("epochs.json", "unknown key 'epochs'")),
    (("joint", *TINY, "--config", "sources.json"), ("no source named 'cats'",)),
    (("joint", *TINY, "--preset", "b7"), ("no preset 'b7'",)),
    (("joint", *TINY, "--init", "none.safetensors"), ("none.safetensors: no such weights file",)),
    (("joint", *TINY, "--init", "list.json"), ("list.json", "not a whole safetensors file")),
    (("joint", *TINY, "--init", "imagenet"), ("no ImageNet weights for trunk 'tiny'",)),
    (("joint", *TINY, "--out", "list.json/below"), ("cannot write into list.json/below",)),
    (("joint", *TINY, "--resume"), ("no checkpoint to resume from",)),
    (("joint", *TINY, "--keep", 0), ("--keep is 0",)),
    (("joint", *TINY, "--val", "nowhere"), ("nowhere: no such folder", "--val")),
    (("joint", *TINY, "--val", "data", "--val-every", 0), ("--val-every is 0",)),
    (("prior", *TINY, "--val", "data"), ("not for the prior alone",)),
    (("joint", *TINY, "--measure", 2), ("--measure 2: the first phase has 3 steps",)),
    (("joint", *TINY, "--devices", 4), ("KERAS_BACKEND=jax",)),
    (("joint", *TINY, "--data", "none.json"), ("none.json: no such file",)),
    (("joint", *TINY, "--data", "data/drawn/instances.json+none.json"),
     ("none.json: no such file",)),
))
def test_bad_arguments_are_one_line_and_exit_code_2(command, tmp_path, arguments, words):
    for name, content in (("list", "[]"), ("epochs", '{"epochs": 3}'),
                          ("sources", '{"sources": {"cats": 1}}')):
        (tmp_path / f"{name}.json").write_text(content)
    before = sorted(path for path in tmp_path.rglob("*"))
    code, out, err = command(*arguments)
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("python -m oace_tf.train: error: ")
    for word in words:
        assert word in err
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_the_folder_of_the_data_can_come_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "train").mkdir()
    monkeypatch.setenv("OACE_DATA", str(tmp_path))
    assert train.data_folders(None) == [tmp_path / "train"]
    assert train.data_folders([tmp_path]) == [tmp_path]
    monkeypatch.setenv("OACE_DATA", str(tmp_path / "train"))
    with pytest.raises(UsageError, match="no such folder"):
        train.data_folders(None)


def test_bad_arguments_are_answered_without_keras(tmp_path):
    code = ("import sys; from oace_tf import train; "
            f"code = train.main(['joint', '--data', {str(tmp_path)!r}]); "
            "print(code, *({'keras', 'tensorflow'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2"]
    assert "no instances.json" in done.stderr


def test_help_ends_with_an_example(capsys):
    with pytest.raises(SystemExit) as end:
        train.parse_args(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "example:\n  python -m oace_tf.train joint" in text


@pytest.mark.slow
def test_validation_chooses_and_is_recorded(command, tmp_path):
    write_dataset(tmp_path / "val" / "several", 2, seed=3)
    code, out, _ = command("msfnet", "--data", "data/drawn/instances.json", "--preset", "tiny",
                           "--config", "tiny.json", "--workers", 0, "--out", "run", "--val", "val",
                           "--val-every", 2, "--val-limit", 1, "--pictures-every", 3)
    assert code == 0 and "by validation" in out
    record = read_record("run/weights.safetensors")[1]
    assert [entry["step"] for entry in record["validation"]["history"]] == [2, 3]
    assert record["validation"]["sets"] == {"photographs": {"several": 1}, "size": 64}
    row = record["validation"]["history"][0]["sets"]["several"]
    assert row["n"] == 2 and {"miou", "own_minus_other", "confusion"} < row.keys()
    assert record["validation"]["best"]["score"] == max(
        entry["score"] for entry in record["validation"]["history"])
    assert (tmp_path / "run" / "pictures" / "00000003.png").is_file()


@pytest.mark.slow
def test_measuring_prints_figures_and_writes_nothing(command, tmp_path):
    code, out, _ = command("msfnet", *TINY, "--out", "run", "--measure", 1)
    assert code == 0 and not (tmp_path / "run").exists()
    found = json.loads(out)
    assert set(found) == {"data", "model", "together", "waiting_share"}
    assert min(found["data"], found["model"], found["together"]) > 0
    assert 0 < found["waiting_share"] < 1
    # neither part alone is slower than both, but for what a busy machine adds
    assert found["together"] < 3 * min(found["data"], found["model"])
