"""A release: complete, of the measured file, or refused."""
from __future__ import annotations

import hashlib
import json
import re
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import oace_tf
from export.interfaces import build as interfaces
from export.interfaces import files as interface_files
from oace_tf.errors import GateFailed, UsageError
from oace_tf.fileio import sha256_file
from oace_tf.runtime.model import open_model
from oace_tf.segmenter import DEFAULT_MODEL
from tests.oace_tf.conftest import tiny_float32  # noqa: F401  (fixture)
from tools import release
from tools.docs import refresh

NAME = f"oace-tf-{oace_tf.__version__}"


@pytest.mark.slow
def test_a_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command, without a float file and other interfaces; sha256sum agrees."""
    monkeypatch.setattr(release, "MAKER", "export.no_such_module")
    old = tmp_path / NAME
    old.mkdir()
    (old / "stale.txt").write_text("of an earlier one")
    assert release.main(["--out", str(tmp_path), "--with-changes", "--float",
                         str(tmp_path / "none.tflite")]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [NAME]  # nothing beside, nothing hidden
    names = {str(path.relative_to(old)) for path in old.rglob("*") if path.is_file()}
    wheel = f"oace_tf-{oace_tf.__version__}-py3-none-any.whl"
    assert names >= {wheel, "oace_int8.tflite", "SHA256SUMS", "release.json", *release.documents()}
    assert "stale.txt" not in names and "oace_float32.tflite" not in names
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=old,
                          capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count(": OK") == len(names) - 1
    record = json.loads((old / "release.json").read_text())
    assert record["version"] == oace_tf.__version__ and "float" in record["left_out"][0]
    assert record["interfaces"] == ["points"]
    with zipfile.ZipFile(old / wheel) as content:
        inside = content.read("oace_tf/weights/oace_int8.tflite")
        assert hashlib.sha256(inside).hexdigest() == sha256_file(DEFAULT_MODEL)
        assert not [name for name in content.namelist() if name.startswith(("tests", "export"))]


def test_every_interface_that_can_be_made_is_in_it(tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    split = interface_files.OF_GESTURES if open_model(DEFAULT_MODEL).gestures else ()
    all_names = (*interfaces.NAMES, *split)
    assert release.interfaces(DEFAULT_MODEL) == all_names  # all that this checkout knows
    of_int8 = release.interfaces(None)
    assert set(all_names) - set(of_int8) == set(interface_files.OF_FLOAT)
    faults: list[str] = []

    def make_all(names: Sequence[str], int8_path: Path, float_path: Path | None, folder: Path,
                 out: Path, threads: int) -> tuple[list[str], list[str]]:
        assert sha256_file(int8_path) == sha256_file(DEFAULT_MODEL) and float_path is None
        for name in set(names) - set(split):
            (folder / interface_files.FILES[name]).write_bytes(int8_path.read_bytes()[:9])
        return [], faults

    monkeypatch.setattr(interface_files, "make_all", make_all)
    left_out = release.tflite_files(tmp_path, of_int8, tmp_path / "none.tflite")
    assert {path.name for path in tmp_path.iterdir()} == {
        "oace_int8.tflite", *(interface_files.FILES[name] for name in interfaces.NAMES
                              if name in of_int8[1:])}
    assert len(left_out) == 1 and "no float file" in left_out[0]
    faults.append("3 mask bytes are not those of the interface points")
    with pytest.raises(GateFailed, match="3 mask bytes"):
        release.tflite_files(tmp_path, of_int8, None)


def test_what_the_model_card_leads_to_is_in_it() -> None:
    card = (release.ROOT / "MODEL_CARD.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"\]\(([^)#\s]+)", card))
    assert "docs/images/limits.png" in targets
    assert all((release.ROOT / name).is_file() for name in release.documents())
    assert targets <= set(release.documents())


def test_documents_that_are_old_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    def old(report: Path | None) -> int:
        raise GateFailed("README.md is not current")

    monkeypatch.setattr(refresh, "check", old)
    assert release.main(["--out", str(tmp_path / "dist"), "--with-changes"]) == 1
    assert "not current" in capsys.readouterr().err and not (tmp_path / "dist").exists()


def test_changes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(release, "_git", lambda source, *arguments: " M README.md\n")
    assert release.main(["--out", str(tmp_path / "dist")]) == 2
    assert "commit them, or --with-changes" in capsys.readouterr().err


def test_a_failure_leaves_the_earlier_release(tmp_path: Path) -> None:
    target = tmp_path / NAME
    target.mkdir()
    (target / "kept").write_text("whole")
    with pytest.raises(GateFailed), release.replaced(target) as folder:
        (folder / "half").write_text("half")
        raise GateFailed("no")
    assert [path.name for path in tmp_path.rglob("*")] == [NAME, "kept"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not a folder"), release.replaced(tmp_path / "file"):
        pass


def test_a_float_file_of_other_weights_is_refused(tmp_path: Path,
                                                  tiny_float32: Path) -> None:  # noqa: F811
    with pytest.raises(UsageError, match="of other weights"):
        release.tflite_files(tmp_path, ("points",), tiny_float32)


def test_changelog() -> None:
    text = "# Changelog\n\n## 0.10.0\n- ten\n\n## 0.1.0 (2026)\n- one\n\n## 0.0.1\n- none\n"
    assert release.changelog_section(text, "0.1.0") == "## 0.1.0 (2026)\n- one"
    with pytest.raises(UsageError, match="no section '## 0.1'"):
        release.changelog_section(text, "0.1")
    assert release.changelog_section((release.ROOT / "CHANGELOG.md").read_text(),
                                     oace_tf.__version__)


def test_help_ends_with_an_example_that_parses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        release.main(["--help"])
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("example: python tools/release.py")
    assert release.parse_args(last.split()[3:]).out == Path("dist")
