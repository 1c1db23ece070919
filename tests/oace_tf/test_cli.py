"""Command line: one-line errors of the parser, the folder of data, the processors."""
from __future__ import annotations

from pathlib import Path

import pytest

from oace_tf.cli import Parser, cpu_count, data_root, required_data_root
from oace_tf.errors import UsageError


def test_a_wrong_call_names_the_example() -> None:
    parser = Parser(epilog="example: tool \\\n  --out FILE")
    with pytest.raises(UsageError, match="unrecognized arguments: --in; example: tool --out FILE"):
        parser.parse_args(["--in"])


def test_the_named_folder_goes_before_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named"
    named.mkdir()
    monkeypatch.setenv("OACE_DATA", str(tmp_path))
    assert data_root() == required_data_root() == tmp_path
    assert data_root(named) == required_data_root(named) == named
    with pytest.raises(UsageError, match="missing: no such folder; correct OACE_DATA or --data"):
        data_root(tmp_path / "missing")


@pytest.mark.parametrize("value", (None, ""))
def test_without_a_folder(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OACE_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("OACE_DATA", value)
    assert data_root() is None
    with pytest.raises(UsageError, match="no labelled sets: set OACE_DATA or give --data DIR"):
        required_data_root(what="labelled sets")


def test_at_least_one_processor() -> None:
    assert cpu_count() >= 1
