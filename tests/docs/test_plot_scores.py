"""The picture of scores over training: read as written, drawn, refused with a reason."""
from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from docs import plot_scores
from oace_tf.errors import UsageError

HEAD = "run,scenes,what,grabcut,ecssd,coco_mval\n"


def test_cells_not_measured_are_left_out(tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    table.write_text(HEAD + 'first,100,"a, b",80.5,,50\nmean,100,,81,70,51.5\n')
    assert plot_scores.read_points(table) == [
        plot_scores.Point("first", 100, {"grabcut": 80.5, "coco_mval": 50.0}),
        plot_scores.Point("mean", 100, {"grabcut": 81.0, "ecssd": 70.0, "coco_mval": 51.5})]


def test_the_table_of_the_repository_is_drawn(tmp_path: Path) -> None:
    table = Path(plot_scores.__file__).with_name("learning_curve.csv")
    out = tmp_path / "curve.png"
    assert plot_scores.main([str(table), "-o", str(out)]) == 0
    drawn = cv2.imread(str(out))
    assert drawn is not None and min(drawn.shape[:2]) > 300
    scenes = [point.scenes for point in plot_scores.read_points(table)]
    assert scenes == sorted(scenes)


@pytest.mark.parametrize("other", [
    plot_scores.Point("first", 200, {"grabcut": 80.0, "ecssd": 74.0, "coco_mval": 51.0}),
    plot_scores.Point("first", 200, {"grabcut": 80.0, "ecssd": 74.5}),
    plot_scores.Point("mean", 200, {"grabcut": 80.0, "ecssd": 74.5, "coco_mval": 51.0}),
])
def test_every_score_and_every_mean_shows(tmp_path: Path, other: plot_scores.Point) -> None:
    """The axes are held by the first and last point, so that only what lies between differs."""
    ends = [plot_scores.Point("first", 100, {"grabcut": 60.0, "ecssd": 60.0, "coco_mval": 40.0}),
            plot_scores.Point("second", 300, {"grabcut": 90.0, "ecssd": 90.0, "coco_mval": 70.0})]
    between = plot_scores.Point("first", 200, {"grabcut": 80.0, "ecssd": 74.5, "coco_mval": 51.0})
    drawn = [plot_scores.draw([ends[0], point, ends[1]], tmp_path / "x.png").read_bytes()
             for point in (between, between, other)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


@pytest.mark.parametrize("text, why", [
    ("run,scenes,grabcut,ecssd\na,1,2,3\n", "coco_mval"),
    (HEAD + "a,many,,1,2,3\n", "many"),
    (HEAD + "a\n", "NoneType"),
    (HEAD, "no row"),
])
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, why: str) -> None:
    table = tmp_path / "scores.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=why):
        plot_scores.read_points(table)


def test_a_missing_table_exits_with_two(tmp_path: Path) -> None:
    assert plot_scores.main([str(tmp_path / "none.csv"), "-o", str(tmp_path / "x.png")]) == 2
    assert not (tmp_path / "x.png").exists()
