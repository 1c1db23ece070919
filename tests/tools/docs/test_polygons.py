"""The table of polygons: what it measures and what it prints."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tools.docs import polygons


def test_scores_rise_with_the_points() -> None:
    rows, columns = np.mgrid[:80, :90]
    disk = (rows - 40) ** 2 + (columns - 44) ** 2 < 900
    box = np.zeros((80, 90), bool)
    box[10:40, 20:70] = True
    values = polygons.scores([disk, box])
    assert values.shape == (2, 4) and (values[1] == 1).all()
    assert values[0, 0] > 0.95 and values[0, 3] > 0.99
    text = polygons.table({"drawn": values})
    assert "| masks of | objects | N = 10 | N = 20 | N = 40 | N = 80 |" in text
    assert text.splitlines()[2].startswith("| drawn | 2 | ")


def test_no_data_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path,
                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OACE_DATA", raising=False)
    assert polygons.main([]) == 2
    assert "set OACE_DATA or give --data DIR" in capsys.readouterr().err
    assert polygons.main(["--data", str(tmp_path)]) == 2
    assert "there is no set 'grabcut'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.data
def test_of_true_masks(oace_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The figure in docs/gestures.md: 40 points hold 97.2 of 100 on ECSSD."""
    assert polygons.main(["--data", str(oace_data), "--dataset", "ecssd"]) == 0
    shown = capsys.readouterr().out
    document = Path(__file__).resolve().parents[3] / "docs" / "gestures.md"
    assert shown.splitlines()[2] in document.read_text(encoding="utf-8")
