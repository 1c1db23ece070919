"""The scores in the README: written, found current, and found out when they are not."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from oace_tf.errors import GateFailed, UsageError
from oace_tf.evaluation.object_trials import EvaluationOptions
from tests.oace_tf.conftest import data, tiny_float32, tiny_int8  # noqa: F401  (fixtures)
from tools.docs import scores

PLANS = {"grabcut": EvaluationOptions(clicks=3, spread_taps=2, baselines=("disk",)),
         "many": EvaluationOptions(clicks=1, spread_taps=0, baselines=())}
TEXT = f"# Title\n\n{scores.BEGIN}\n{scores.END}\n\nafter\n"


@pytest.fixture
def where(tmp_path: Path, tiny_int8: Path, monkeypatch: pytest.MonkeyPatch,  # noqa: F811
          ) -> scores.Places:
    """Return a README with markers, a copy of the tiny file, and no scores yet."""
    monkeypatch.setattr(scores, "ROOT", tmp_path)
    monkeypatch.delenv("OACE_DATA", raising=False)
    model = tmp_path / "oace_int8.tflite"
    model.write_bytes(tiny_int8.read_bytes())
    (tmp_path / "README.md").write_text(TEXT)
    return scores.Places(model, tmp_path / "README.md", tmp_path / "scores.json")


@pytest.fixture
def run(where: scores.Places, data: Path) -> Callable[..., int]:  # noqa: F811
    """Return the command on the made-up sets."""
    def call(*arguments: str) -> int:
        fixed = ["--data", str(data), "--workers", "1"]
        return scores.run(scores.parse_args([*fixed, *arguments]), where, PLANS)

    return call


def test_written_and_current(run: Callable[..., int], where: scores.Places,
                             capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    text = where.readme.read_text()
    assert text.startswith("# Title\n") and text.endswith(f"{scores.END}\n\nafter\n")
    assert "| grabcut | 3 of 50 | int8 file |" in text and "| many | 4 | int8 file |" in text
    assert "| grabcut | 3 of 50 | disk |" in text
    kept = json.loads(where.scores.read_text())
    assert [len(ious) for ious in kept["again"].values()] == [3, 4]
    assert "ms_per_click" not in kept["entries"][0]
    before = where.readme.read_bytes(), where.scores.read_bytes()
    capsys.readouterr()
    assert run("--check") == 0
    assert "grabcut: 3 objects measured again, mean difference of IoU 0.0000" in (
        capsys.readouterr().out)
    assert run() == 0  # and again the same
    assert (where.readme.read_bytes(), where.scores.read_bytes()) == before
    assert scores.run(scores.parse_args(["--check"]), where, PLANS) == 0  # without the sets
    assert "the set is not at hand" in capsys.readouterr().out


def test_not_current(run: Callable[..., int], where: scores.Places, data: Path,  # noqa: F811
                     tiny_float32: Path) -> None:  # noqa: F811
    with pytest.raises(UsageError, match="cannot read"):
        run("--check")
    run()
    good = where.scores.read_text()
    where.readme.write_text(where.readme.read_text().replace("int8 file", "better file"))
    with pytest.raises(GateFailed, match="are not those of"):
        run("--check")
    run()
    kept = json.loads(good)
    kept["again"]["grabcut"]["p0"] += 0.5
    where.scores.write_text(json.dumps(kept))
    with pytest.raises(GateFailed, match="grabcut: measured again, IoU differs by 0.1667"):
        run("--check")
    del kept["again"]["grabcut"]["p0"]
    where.scores.write_text(json.dumps(kept))
    with pytest.raises(GateFailed, match="other objects"):
        run("--check")
    where.scores.write_text(good)
    where.model.write_bytes(tiny_float32.read_bytes())
    with pytest.raises(GateFailed, match="is of a file with the SHA-256"):
        run("--check")


def test_faults(run: Callable[..., int], where: scores.Places) -> None:
    where.readme.write_text("no markers")
    with pytest.raises(UsageError, match="must hold"):
        run()
    assert not where.scores.exists()
    where.model.unlink()
    with pytest.raises(UsageError, match="nothing is shipped"):
        run()


def test_the_readme_of_the_repository_has_the_markers() -> None:
    text = scores.README.read_text(encoding="utf-8")
    assert scores.with_table(scores.README, "x").count("x") > 0
    assert text.count(scores.BEGIN) == text.count(scores.END) == 1
