"""The journal of finished photographs."""
import dataclasses
import math
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.evaluation.journal import Journal, key_of
from oace_tf.evaluation.object_trials import Answer, GroupResult, ObjectRecord
from oace_tf.samples.layouts import list_samples


def _result(name):
    answer = Answer(iou=[0.5, math.nan], boundary_iou=[0.1], ms=[3.0], clicks=[[1, 2, 1]], own=0.5,
                    other=0.1, confused=True, spread={"centre": [0.5]}, mutual={"centre": 0.25})
    record = ObjectRecord(id=name, dataset="d", group="g", category="cup", frequency="rare",
                          area_px=5, share=0.25, thinness=0.125, answers={"m": answer})
    return GroupResult([record], ["left"], 3.0, 2.0, 0.5)


def test_journal(tmp_path):
    path = tmp_path / "sub" / "run.journal"
    journal = Journal(path, {"run": 1})
    journal.add("one", _result("a"))
    journal.add("two", _result("b"))
    journal.close(done=False)
    with open(path, "a") as file:
        file.write('{"key": "three", "rec')  # cut off
    again = Journal(path, {"run": 1})
    assert list(again.finished) == ["one", "two"]
    np.testing.assert_equal(dataclasses.asdict(again.finished["one"]),
                            dataclasses.asdict(_result("a")))
    again.add("three", _result("c"))
    again.close(done=False)
    third = Journal(path, {"run": 1})
    assert list(third.finished) == ["one", "two", "three"]
    third.close(done=False)
    assert path.exists()
    other = Journal(path, {"run": 2})
    assert not other.finished
    other.close(done=False)
    assert not path.exists()  # nothing in it, nothing left
    Journal(None, {}).close(done=True)


def test_one_process_writes_a_journal(tmp_path):
    path = tmp_path / "run.journal"
    first = Journal(path, {"run": 1})
    first.add("one", _result("a"))
    for run in (1, 2):  # this one, and another with the same report
        with pytest.raises(UsageError, match="run.journal: another run is writing it; wait"):
            Journal(path, {"run": run})
    first.add("two", _result("b"))
    first.close(done=False)
    again = Journal(path, {"run": 1})
    assert list(again.finished) == ["one", "two"]
    again.close(done=True)


def test_the_end_of_a_run_leaves_the_journal_of_the_next_one(tmp_path, monkeypatch):
    path, begun = tmp_path / "journal.jsonl", []
    first = Journal(path, {"run": 1})
    file = first._file
    assert file is not None
    let_go = file.close

    def close_and_begin_another():
        let_go()
        begun.append(Journal(path, {"run": 1}))

    monkeypatch.setattr(file, "close", close_and_begin_another)
    first.close(done=True)
    assert path.is_file()
    begun[0].close(done=True)
    assert not path.exists()


def test_a_cut_off_row_goes_and_the_rows_before_it_stay(tmp_path):
    path = tmp_path / "run.journal"
    journal = Journal(path, {"run": 1})
    journal.add("one", _result("a"))
    journal.close(done=False)
    whole = path.read_bytes()
    for rest in (b'{"key": "two", "rec', b"\xff\xfe\n", b"\n\n", b'{"key": 3}\n' + whole,
                 whole.splitlines()[1],
                 whole.splitlines(keepends=True)[1].replace(b'"one"', '"é"'.encode())):
        path.write_bytes(whole + rest)
        again = Journal(path, {"run": 1})
        assert list(again.finished) == ["one"]
        again.close(done=False)
        assert path.read_bytes() == whole


def test_journal_of_something_else(tmp_path):
    path = tmp_path / "run.journal"
    for content in (b"\xff\xfe no text", b"my notes\n", b'{"images": []}\n', b"[]\n", b"[" * 99999):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="run.journal is there, and is no journal"):
            Journal(path, {"run": 1})
        assert path.read_bytes() == content
    path.write_bytes(b"")
    journal = Journal(path, {"run": 1})
    journal.add("one", _result("a"))
    journal.close(done=True)
    assert not path.exists() and not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="cannot write"):
        Journal(tmp_path, {})


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_journal_on_a_full_disk(tmp_path):
    journal = Journal(tmp_path / "run.journal", {"run": 1})
    assert journal._file is not None
    journal._file.close()
    journal._file = open("/dev/full", "w")
    with pytest.raises(UsageError, match="cannot write .*run.journal: No space left"):
        journal.add("one", _result("a"))
    journal.close(done=False)


def test_a_disk_that_is_full_at_the_start(tmp_path):
    path = tmp_path / "run.journal"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5, before[1]))  # bytes of a file
        with pytest.raises(UsageError, match="cannot write .*run.journal: File too large"):
            Journal(path, {"run": 1})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    Journal(path, {"run": 1}).close(done=True)  # what was left of its first line does not hinder


def test_a_journal_whose_first_line_was_cut_is_begun_anew(tmp_path):
    path = tmp_path / "run.journal"
    path.write_text('{"run"')
    journal = Journal(path, {"run": 1})
    journal.add("one", _result("a"))
    journal.close(done=False)
    again = Journal(path, {"run": 1})
    assert list(again.finished) == ["one"]
    again.close(done=True)


def test_what_cannot_be_a_journal():
    with pytest.raises(UsageError, match="cannot write /dev/null"):
        Journal(Path(os.devnull), {"run": 1})


def test_key_follows_the_files(data):
    files = list_samples("grabcut", data)
    before = key_of(files[:1])
    assert before == key_of(list_samples("grabcut", data)[:1]) != key_of(files[1:2])
    path = data / "GrabCut" / "boundary_GT" / "p0.png"
    path.write_bytes(path.read_bytes() + b" ")
    assert key_of(files[:1]) != before
