"""Every parser under damage, shortly; OACE_FUZZ_SECONDS=120 or tests/fuzz/run.py go on longer."""
from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.edits import KINDS, damaged
from tests.fuzz.run import fuzz
from tests.fuzz.targets import REFUSED, TARGETS

SECONDS = float(os.environ.get("OACE_FUZZ_SECONDS", "2"))  # a target, by random edits
EDITS = st.lists(st.tuples(st.integers(0, KINDS - 1), st.floats(0, 1), st.binary(max_size=8)),
                 min_size=1, max_size=4)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_sound_files_are_taken(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    taken = 0
    for seed in target.corpus():
        path = tmp_path / f"x{target.suffix}"
        path.write_bytes(seed)
        try:
            target.read(path)
            taken += 1
        except REFUSED:
            continue
    assert taken


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_by_small_edits(name: str, tmp_path: Path) -> None:
    """By hypothesis, which makes an input that breaks the property small."""
    target = TARGETS[name]
    corpus = target.corpus()
    path = tmp_path / f"x{target.suffix}"

    @settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=10_000)
    @given(st.sampled_from(range(len(corpus))), EDITS)
    def check(place, edits):
        path.write_bytes(damaged(corpus[place], edits))
        try:
            target.read(path)
        except REFUSED as error:
            assert str(error)

    check()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_at_random(name: str, tmp_path: Path) -> None:
    counts = fuzz(name, SECONDS, 0, tmp_path)
    assert int(counts["inputs"]) > 0
