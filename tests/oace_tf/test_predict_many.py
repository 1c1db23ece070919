"""Many photographs of a table: what is written, what is left out, and how it is counted."""
from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from oace_tf import predict, segmenter
from oace_tf.annotations import CATEGORY
from oace_tf.images import write_image
from oace_tf.outputs import Output
from oace_tf.polygons import Polygon, mask_of
from oace_tf.predict_many import choose_many, file_names
from oace_tf.segmenter import TapSegmenter

TABLE = """photo,x,y,label,object,category
a.png,24,30,1,left,cup
a.png,70,30,1,right,
a.png,40,60,0,left,cup
b.png,24,30,1,,
"""


@pytest.fixture(autouse=True)
def _packaged(monkeypatch: pytest.MonkeyPatch, tiny_int8: Path) -> None:
    monkeypatch.setattr(segmenter, "DEFAULT_MODEL", tiny_int8)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Return a table on two photographs of 96x64 px, all red."""
    image = np.zeros((64, 96, 3), np.uint8)
    image[..., 0] = 240
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.png", image)
    (tmp_path / "taps.csv").write_text(TABLE)
    return tmp_path / "taps.csv"


def _run(*arguments: object) -> int:
    return predict.main([str(argument) for argument in arguments])


def _masks(content: dict) -> list[np.ndarray]:
    return [mask_of([Polygon(np.reshape(ring, (-1, 2)) - 0.5) for ring in one["segmentation"]],
                    64, 96) for one in content["annotations"]]


def test_one_coco_file(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = table.with_name("all.json")
    assert _run("--taps", table, "-o", out) == 0
    shown = capfd.readouterr()
    assert shown.err == "" and "3 objects of 2 photographs as coco" in shown.out
    content = json.loads(out.read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.png", "b.png"]
    assert [one["image_id"] for one in content["annotations"]] == [1, 1, 2]
    assert [one.get("object", "") for one in content["annotations"]] == ["left", "right", ""]
    names = {one["id"]: one["name"] for one in content["categories"]}
    assert [names[one["category_id"]] for one in content["annotations"]] == [
        "cup", CATEGORY, CATEGORY]
    found = TapSegmenter()
    expected = [found.segment(table.with_name("a.png"), [(24, 30), (40, 60, 0)]),
                found.segment(table.with_name("a.png"), [(70, 30)]),
                found.segment(table.with_name("b.png"), [(24, 30)])]
    for mask, wanted in zip(_masks(content), expected):
        assert (mask & wanted).sum() / (mask | wanted).sum() > 0.95
    assert _run("--taps", table, "--tolerance", 0, "-o", out) == 0
    for mask, wanted in zip(_masks(json.loads(out.read_text())), expected):
        np.testing.assert_array_equal(mask, wanted)


def test_options_of_polygons_are_refused_elsewhere(table: Path,
                                                   capfd: pytest.CaptureFixture[str]) -> None:
    for flags in (["--points", "12"], ["--tolerance", "2"], ["--category", "cup"]):
        for kind in ("cutout", "labels"):
            assert _run("--taps", table, "--kind", kind, "-o", table.with_name("out"), *flags) == 2
            assert f"{flags[0]} is for polygons, " in capfd.readouterr().err
    assert not table.with_name("out").exists()


def test_the_default_place_is_beside_the_table(table: Path) -> None:
    assert _run("--taps", table) == 0 and table.with_name("taps_coco.json").is_file()


def test_what_is_bad_is_named_and_left_out(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table.with_name("broken.png").write_bytes(b"no picture")
    table.write_text(TABLE + "none.png,1,1,1,,\nbroken.png,1,1,1,,\na.png,900,1,1,far,\n"
                     "b.png,x,1,1,bad,\nb.png,5,5,0,ground,\n")
    assert _run("--taps", table) == 1
    shown = capfd.readouterr()
    assert "3 objects of 2 photographs" in shown.out and "5 left out" in shown.out
    lines = shown.err.splitlines()
    assert len(lines) == 5 and all("left out: " in line for line in lines)
    for words in ("none.png: ", "broken.png is not a readable image", "a.png: far: the tap 900,1",
                  "taps.csv line 9: x must be a number", "b.png: ground: at least one tap"):
        assert words in shown.err, words
    assert len(json.loads(table.with_name("taps_coco.json").read_text())["annotations"]) == 3


def test_nothing_that_can_be_done_is_bad_input(table: Path,
                                               capfd: pytest.CaptureFixture[str]) -> None:
    table.write_text("photo,x,y\nnone.png,1,1\n")
    assert _run("--taps", table) == 2
    shown = capfd.readouterr()
    assert shown.out == "" and "none.png" in shown.err and "none of its objects" in shown.err
    assert not table.with_name("taps_coco.json").exists()


def test_named_photographs_alone(table: Path, tmp_path: Path,
                                 capfd: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    table.with_name("a.png").rename(other / "a.png")
    assert _run(other, "--taps", table) == 1
    assert "b.png: none of the photographs" in capfd.readouterr().err
    assert _run(other / "a.png", table.with_name("b.png"), "--taps", table) == 0
    write_image(other / "c.png", np.zeros((8, 8, 3), np.uint8))
    capfd.readouterr()
    assert _run(other / "a.png", table.with_name("b.png"), other / "c.png", "--taps", table) == 1
    assert "c.png: " in capfd.readouterr().err


@pytest.mark.parametrize(("flags", "names"), [
    ([], ["a_left_cutout.png", "a_right_cutout.png", "b_cutout.png"]),
    (["--kind", "mask"], ["a_left_mask.png", "a_right_mask.png", "b_mask.png"]),
    (["--kind", "overlay"], ["a_left_overlay.jpg", "a_right_overlay.jpg", "b_overlay.jpg"]),
    (["--format", "labelme"], ["a.json", "b.json"]), (["--kind", "polygon"], ["a.json", "b.json"]),
    (["--format", "svg"], ["a.svg", "b.svg"]),
    (["--kind", "labels"], ["a_labels.json", "a_labels.png", "b_labels.json", "b_labels.png"])])
def test_files_in_a_folder(table: Path, flags: list[str], names: list[str]) -> None:
    out = table.with_name("out")
    assert _run("--taps", table, "-o", out, *flags) == 0
    assert sorted(path.name for path in out.iterdir()) == names
    if "labelme" in flags:
        content = json.loads((out / "a.json").read_text())
        assert content["imagePath"] == "../a.png"
        assert [shape["label"] for shape in content["shapes"]] == ["cup", CATEGORY]


def test_labels_of_a_photograph(table: Path) -> None:
    out = table.with_name("out")
    assert _run("--taps", table, "-o", out, "--kind", "labels") == 0
    labels = cv2.imread(str(out / "a_labels.png"), cv2.IMREAD_UNCHANGED)
    legend = json.loads((out / "a_labels.json").read_text())
    assert legend == {"0": "background", "1": "left", "2": "right"}
    assert labels is not None and labels[30, 24] == 1 and labels[30, 70] == 2 and labels[2, 2] == 0


def test_a_label_without_a_pixel_is_noted(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_image(table.with_name("a.png"), np.full((64, 96, 3), (0, 0, 240), np.uint8))
    assert _run("--taps", table, "-o", table.with_name("out"), "--kind", "labels") == 0
    assert f"note: {table.with_name('a.png')}: nothing was found for left, right" in (
        capfd.readouterr().err)


def test_names_that_are_there_twice(table: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write_image(tmp_path / "sub" / "a.png", np.full((64, 96, 3), 240, np.uint8))
    table.write_text("photo,x,y,object\na.png,24,30,x/../y\nsub/a.png,24,30,x/../y\n")
    assert _run("--taps", table, "-o", tmp_path / "out", "--kind", "mask") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a_x_.._y_mask.png", "a_x_.._y_mask_2.png"]


def test_masks_that_miss_their_taps_are_counted(table: Path,
                                                capfd: pytest.CaptureFixture[str]) -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48, 0] = 240
    write_image(table.with_name("a.png"), image)
    table.write_text("photo,x,y,object\na.png,24,30,left\na.png,24,30,both\na.png,80,30,both\n"
                     "a.png,80,30,right\n")
    assert _run("--taps", table) == 1
    shown = capfd.readouterr()
    assert "note: " in shown.err and "a.png: both: 1 of 2 taps on the object" in shown.err
    assert "a.png: right: the mask is empty" in shown.err
    assert "2 objects of 1 photograph" in shown.out and "1 left out" in shown.out


@pytest.mark.parametrize(("out", "kind", "form", "said"), [
    ("a.png", None, None, "one file, and there are several"),
    ("a.json", "mask", None, "one file, and there are several"),
    ("a.svg", None, "svg", "one file, and there are several"),
    ("folder", None, "coco", "one COCO file; name it .json"),
    (None, "mask", "svg", "--format svg is for polygons")])
def test_places_that_do_not_fit(tmp_path: Path, out: str | None, kind: str | None,
                                form: str | None, said: str,
                                capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taps.csv").write_text(TABLE)
    flags = [*(["-o", tmp_path / out] if out else []), *(["--kind", kind] if kind else []),
             *(["--format", form] if form else [])]
    assert _run("--taps", tmp_path / "taps.csv", *flags) == 2
    shown = capfd.readouterr().err
    assert said in shown and shown.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taps.csv"]


def test_places() -> None:
    table = Path("t.csv")
    for out, kind, form, expected in (
            (None, None, None, Output(path=Path("t_coco.json"), kind="polygon", format="coco")),
            (None, "mask", None, Output(path=Path("t_mask"), kind="mask")),
            (None, None, "labelme", Output(path=Path("t_labelme"), kind="polygon",
                                           format="labelme"))):
        assert choose_many(table, out, kind, form) == expected


def test_a_gesture_beside_a_table_is_refused(table: Path,
                                             capfd: pytest.CaptureFixture[str]) -> None:
    assert _run("--taps", table, "--tap", "3,3") == 2
    assert "holds the gestures" in capfd.readouterr().err


def test_file_names(tmp_path: Path) -> None:
    images, other = tmp_path / "images", tmp_path / "other" / "deep"
    assert file_names([images / "a.jpg", images / "x" / "b.jpg"], tmp_path / "c.json") == [
        "a.jpg", "x/b.jpg"]
    assert file_names([images / "a.jpg", other / "b.jpg"], tmp_path / "c.json") == [
        "images/a.jpg", "other/deep/b.jpg"]
    assert file_names([other / "a.jpg", other / "b.jpg"], images / "c.json") == ["a.jpg", "b.jpg"]


def test_no_photograph_is_written_over(table: Path) -> None:
    before = table.with_name("b.png").rename(table.with_name("a_cutout.png")).read_bytes()
    table.write_text("photo,x,y\na.png,24,30\na_cutout.png,24,30\n")
    assert _run("--taps", table, "-o", table.parent) == 0
    assert table.with_name("a_cutout.png").read_bytes() == before
    assert {"a_cutout_2.png", "a_cutout_cutout.png"} <= set(os.listdir(table.parent))


def test_the_table_is_not_written_over(table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    same = table.rename(table.with_name("taps.json"))
    assert _run("--taps", same, "-o", same) == 2
    assert same.read_text() == TABLE and "is read too" in capfd.readouterr().err


def test_names_that_differ_in_case_are_two_files_everywhere(table: Path) -> None:
    table.with_name("b.png").rename(table.with_name("A.png"))
    table.write_text("photo,x,y\na.png,24,30\nA.png,24,30\n")
    out = table.with_name("out")
    assert _run("--taps", table, "-o", out) == 0
    assert len({name.casefold() for name in os.listdir(out)}) == 2


def test_long_names_leave_nothing_out(table: Path) -> None:
    table.with_name("b.png").rename(table.with_name("é" * 125 + ".png"))
    rows = "".join(f"{'é' * 125}.png,24,30,1,{'o' * 300}{k}\n" for k in (1, 2))
    table.write_text("photo,x,y,label,object\n" + rows)
    for kind in ("cutout", "labels"):
        assert _run("--taps", table, "-o", table.with_name(kind), "--kind", kind) == 0
    assert len(os.listdir(table.with_name("cutout"))) == 2


def test_two_cameras_do_not_answer_for_each_other(table: Path, tmp_path: Path,
                                                  capfd: pytest.CaptureFixture[str]) -> None:
    for camera in ("cam1", "cam2"):
        (tmp_path / camera).mkdir()
        (tmp_path / camera / "1.png").write_bytes((tmp_path / "a.png").read_bytes())
    table.write_text("photo,x,y\ncam1/1.png,24,30\ncam2/1.png,70,30\n")
    out = tmp_path / "cam2.json"
    assert _run("--taps", table, tmp_path / "cam2", "-o", out) == 1
    assert "cam1/1.png: none of the photographs" in capfd.readouterr().err
    assert len(json.loads(out.read_text())["annotations"]) == 1
    (tmp_path / "cam1" / "1.png").rename(tmp_path / "moved.png")
    (tmp_path / "cam2").rename(tmp_path / "new")  # nothing tells which of the two it was
    assert _run("--taps", table, tmp_path / "new", "-o", out) == 2
    said = capfd.readouterr().err
    assert "has 'cam1/1.png' and 'cam2/1.png', which lead to this one photograph" in said


def test_a_name_too_long_for_any_file_leaves_the_others(
        table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table.write_text(TABLE + f"{'x' * 300}.png,1,1,1,,\n")
    assert _run("--taps", table) == 1
    assert "File name too long" in capfd.readouterr().err
    assert len(json.loads(table.with_name("taps_coco.json").read_text())["annotations"]) == 3


def test_a_name_that_json_cannot_hold_leaves_the_others(
        table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    odd = table.with_name(os.fsdecode(b"odd\xff"))
    odd.mkdir()
    table.with_name("b.png").rename(odd / "b.png")
    assert _run("--taps", table, table.with_name("a.png"), odd / "b.png") == 1
    assert "no UTF-8" in capfd.readouterr().err
    assert len(json.loads(table.with_name("taps_coco.json").read_text())["annotations"]) == 2
    assert _run("--taps", table, "--category", os.fsdecode(b"\xff")) == 2
