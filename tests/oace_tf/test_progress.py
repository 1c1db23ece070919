"""Progress: lines where there is no terminal."""
from __future__ import annotations

import pytest

from oace_tf import progress
from oace_tf.progress import Progress


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture()
def clock(monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 20.0)
    return Clock()


def test_a_line_every_twenty_seconds_and_one_at_the_end(clock, capsys):
    with Progress(10, "verifying", "image", clock=clock) as bar:
        for _ in range(10):
            clock.now += 7.0
            bar.note(f"at {clock.now:.0f} s")
            bar.update()
    assert capsys.readouterr().err.splitlines() == [
        "verifying: 3 of 10 images (30 %), 0:21 gone, about 0:49 to go, at 21 s",
        "verifying: 6 of 10 images (60 %), 0:42 gone, about 0:28 to go, at 42 s",
        "verifying: 9 of 10 images (90 %), 1:03 gone, about 0:07 to go, at 63 s",
        "verifying: 10 of 10 images (100 %), 1:10 gone, at 70 s"]


def test_short_work_leaves_no_line(clock, capsys):
    assert list(progress.progress(range(3), "reading", "file")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_work_that_goes_on_counts_from_where_it_stopped(clock, capsys):
    with Progress(100, "training", "step", initial=90, clock=clock) as bar:
        clock.now = 30.0
        bar.update(5)
    assert capsys.readouterr().err.splitlines()[0] == (
        "training: 95 of 100 steps (95 %), 0:30 gone, about 0:30 to go")


def test_the_plural_of_batch(clock, capsys):
    with Progress(None, "training", "batch", clock=clock) as bar:
        clock.now = 65.0
        bar.update(2)
    assert capsys.readouterr().err.splitlines()[0] == "training: 2 batches, 1:05 gone"


def test_without_a_total_only_the_count(clock, capsys):
    with Progress(None, "", "object", clock=clock) as bar:
        bar.describe("masks")
        clock.now = 65.0
        bar.update(2)
    assert capsys.readouterr().err.splitlines()[0] == "masks: 2 objects, 1:05 gone"


def test_an_error_ends_without_a_line(clock, capsys):
    with pytest.raises(ValueError), Progress(2, "reading", "file", clock=clock) as bar:
        clock.now = 25.0
        bar.update()
        raise ValueError
    assert len(capsys.readouterr().err.splitlines()) == 1
