"""The int8 file in an emulated aarch64 interpreter against this machine's."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from oace_tf.errors import UsageError
from tests.arm import compare_arm


@pytest.fixture(scope="module")
def environment() -> Path:
    try:
        return compare_arm.find_environment()
    except UsageError as error:
        pytest.skip(str(error))


def test_differences_are_counted() -> None:
    here = np.array([[0, 127, 128], [200, 255, 3]], np.uint8)
    arm = np.array([[0, 129, 128], [199, 255, 3]], np.uint8)
    assert compare_arm.compare(arm, here) == {
        "bytes": 6, "differing": 2, "largest": 2, "flipped": 1, "mask_iou": 0.75}
    assert compare_arm.compare(here, here)["differing"] == 0
    shown = compare_arm.table([compare_arm.compare(arm, here)] * 2)
    assert shown.endswith("4 of 12 bytes differ")


def test_five_photographs_without_data() -> None:
    found = compare_arm.photographs(None, 5)
    assert len(found) == 5
    for image, tap in found:
        assert image.flags.c_contiguous and 0 <= tap.x < image.shape[1]
    np.testing.assert_array_equal(found[1][0], found[0][0][:, ::-1])


def test_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                   capsys: pytest.CaptureFixture[str]) -> None:
    assert compare_arm.main(["--photographs", "0"]) == 2
    assert "--photographs" in capsys.readouterr().err
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compare_arm.main([]) == 2
    line = capsys.readouterr().err
    assert "make it with tests/arm/arm_env.sh" in line and line.count("\n") == 1


@pytest.mark.slow
def test_the_shipped_file(environment: Path, tmp_path: Path) -> None:
    """Two photographs; all five, and other processors: docs/interfaces.md."""
    target = tmp_path / "arm.json"
    assert compare_arm.main(["--photographs", "2", "--json", str(target)]) == 0
    entries = json.loads(target.read_text())["photographs"]
    assert len(entries) == 2 and all(entry["bytes"] == 512 * 512 for entry in entries)


@pytest.mark.slow
def test_a_broken_interpreter_is_told(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "file.tflite").write_bytes(b"no model")
    inputs = [(np.zeros((2, 2, 3), np.uint8), np.zeros((1, 3), np.float32))]
    with pytest.raises(RuntimeError, match="emulated interpreter ended with"):
        compare_arm.emulated(environment, "cortex-a76", tmp_path / "file.tflite", inputs)
