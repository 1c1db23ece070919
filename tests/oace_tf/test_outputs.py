"""What the name of a file decides, and what it refuses."""
from __future__ import annotations

from pathlib import Path

import pytest

from oace_tf.errors import UsageError
from oace_tf.outputs import Output, choose_output, default_suffix


@pytest.mark.parametrize(("name", "kind", "form"), [
    ("a.png", "cutout", ""), ("a.webp", "cutout", ""), ("a.tif", "cutout", ""),
    ("a.TIFF", "cutout", ""), ("a.jpg", "overlay", ""), ("a.jpeg", "overlay", ""),
    ("a_mask.png", "mask", ""), ("a_mask.webp", "mask", ""), ("a_mask.jpg", "mask", ""),
    ("a.json", "polygon", "coco"), ("a.svg", "polygon", "svg"), ("a_labels.png", "labels", "")])
def test_the_name_decides(tmp_path: Path, name: str, kind: str, form: str) -> None:
    chosen = choose_output(tmp_path / "p.jpg", tmp_path / name, None, None)
    assert chosen == Output(path=tmp_path / name, kind=kind, format=form)


@pytest.mark.parametrize(("kind", "form", "name"), [
    (None, None, "p_cutout.png"), ("overlay", None, "p_overlay.jpg"), ("mask", None, "p_mask.png"),
    ("polygon", None, "p_polygon.json"), (None, "svg", "p_polygon.svg"),
    ("polygon", "labelme", "p_polygon.json"), ("labels", None, "p_labels.png")])
def test_without_a_name_it_lies_beside_the_photograph(tmp_path: Path, kind: str | None,
                                                      form: str | None, name: str) -> None:
    assert choose_output(tmp_path / "p.jpg", None, kind, form).path == tmp_path / name


@pytest.mark.parametrize(("name", "kind", "form", "said"), [
    ("a.avif", None, None, "the suffix decides"), ("a.bmp", None, None, "the suffix decides"),
    ("a.jp2", "mask", None, "the suffix decides"), ("a", None, None, "the suffix decides"),
    ("a.jpg", "cutout", None, "needs transparency; name it .png"),
    ("a.json", "cutout", None, "not written as .json; name it .png"),
    ("a.png", "polygon", None, "name it .json, .svg"), ("a.jpg", "labels", None, "name it .png"),
    ("a.json", "polygon", "svg", "name it .svg"), ("a.svg", None, "coco", "name it .json"),
    ("a.png", "mask", "svg", "--format svg is for polygons")])
def test_what_does_not_fit_is_one_line(tmp_path: Path, name: str, kind: str | None,
                                       form: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        choose_output(tmp_path / "p.jpg", tmp_path / name, kind, form)
    assert "\n" not in str(error.value) and name in str(error.value)


def test_suffixes() -> None:
    assert [default_suffix("polygon", form) for form in ("coco", "labelme", "svg")] == [
        ".json", ".json", ".svg"]
    assert default_suffix("overlay", "") == ".jpg"
