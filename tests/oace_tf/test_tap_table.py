"""Tables of taps: their forms, their faults, and where their photographs lie."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.tap_table import TappedObject, TappedPhotograph, find_photograph, read_tap_table


def _table(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "taps.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("text", [
    "photo,x,y,label,object,category\na.jpg,290,120.5,1,left,cup\nb.jpg,8,6,1,,\n"
    "a.jpg,150,250,0,left,\n",
    "\ufeffphoto;x;y;label;object;category\r\na.jpg;290;120,5;1;left;cup\r\nb.jpg;8;6;;;\r\n"
    "a.jpg;150;250;0;left;\r\n",
    'Object , PHOTO,y,x,label,category\n"left",a.jpg,120.5,290,1,\n\n,b.jpg,6,8,1,\n'
    "left,a.jpg,250,150,0,cup"])
def test_tables(tmp_path: Path, text: str) -> None:
    assert read_tap_table(_table(tmp_path, text)) == (
        TappedPhotograph(name="a.jpg", objects=(TappedObject(
            name="left", category="cup", taps=(Click(290, 120.5), Click(150, 250, False))),)),
        TappedPhotograph(name="b.jpg", objects=(TappedObject(
            name="", category="", taps=(Click(8, 6),)),)))


def test_three_columns_are_enough(tmp_path: Path) -> None:
    (photograph,) = read_tap_table(_table(tmp_path, "photo,x,y\na.jpg,1,2\na.jpg,3,4\n"))
    assert photograph.objects[0].taps == (Click(1, 2), Click(3, 4))


def test_columns_of_other_names_are_not_read(tmp_path: Path) -> None:
    (photograph,) = read_tap_table(_table(tmp_path, "photo,x,y,label,annotator\na.jpg,1,2,0,eva\n"))
    assert [tap.positive for tap in photograph.objects[0].taps] == [False]


@pytest.mark.parametrize(("row", "said"), [
    ("a.jpg,x,2,1", "line 3: x must be a number of pixels, got x"),
    ("a.jpg,1,,1", "line 3: y must be a number of pixels, got nothing"),
    ("a.jpg,1,2,2", "line 3: the label must be 1"), ("a.jpg,1", "line 3: y must be"),
    ("a.jpg,nan,2,1", "line 3: a click must have finite"), (",1,2,1", "no photograph is named")])
def test_a_faulty_row_spoils_its_object_alone(tmp_path: Path, row: str, said: str) -> None:
    table = read_tap_table(_table(tmp_path, f"photo,x,y,label,object\nb.jpg,1,2,1,\n{row}\n"
                                  "a.jpg,5,5,1,other\n"))
    things = [thing for photograph in table for thing in photograph.objects]
    assert [said in thing.fault for thing in things].count(True) == 1
    assert [thing.fault for thing in things].count("") == 2


@pytest.mark.parametrize(("text", "said"), [
    ("", "is empty"), ("\n\n", "is empty"), ("photo,x,y\n", "no row"),
    ("a.jpg,1,2,1\n", "its first line must name each of photo, x, y"),
    ("photo,x,x\na,1,2\n", "must name each"),
    ("photo,x,y,lable\na.jpg,1,2,0\n", "no column 'lable'; 'label' may be meant"),
    ("photo,x,y,categories\na.jpg,1,2,0\n", "'category' may be meant"),
    (b"\xff\xfep\0h\0", "UTF-16"),
    (b"photo,x,y\n\xe9,1,2\n", "save it as CSV in UTF-8"),
    ('photo,x,y\n"a.jpg,1,2\n', "is no table of taps")])
def test_what_is_no_table_is_one_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        read_tap_table(_table(tmp_path, text))
    assert "\n" not in str(error.value) and "taps.csv" in str(error.value)


def test_where_photographs_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "set" / "taps.csv"
    for folder in ("set", "here"):
        (tmp_path / folder / "sub").mkdir(parents=True)
    (tmp_path / "set" / "a.jpg").touch()
    (tmp_path / "here" / "a.jpg").touch()
    (tmp_path / "here" / "b.jpg").touch()
    monkeypatch.chdir(tmp_path / "here")
    assert find_photograph("a.jpg", table) == tmp_path / "set" / "a.jpg"
    assert find_photograph("b.jpg", table) == Path("b.jpg")
    assert find_photograph("none.jpg", table) == tmp_path / "set" / "none.jpg"
    named = [Path("b.jpg"), tmp_path / "set" / "a.jpg"]
    assert find_photograph("a.jpg", table, named) == named[1]
    assert find_photograph(os.path.join("x", "b.jpg"), table, named) == named[0]
    # Another a.jpg. A long path loses its end in the message.
    with pytest.raises(UsageError, match="set/a.*: none of the photographs"):
        find_photograph(str(tmp_path / "set" / "a.jpg"), table, [tmp_path / "here" / "a.jpg"])
    with pytest.raises(UsageError, match="c.jpg: none of the photographs"):
        find_photograph("c.jpg", table, named)
    with pytest.raises(UsageError, match="b.jpg: 2 of the photographs"):
        find_photograph("x/b.jpg", table, [Path("b.jpg"), Path("sub/b.jpg")])


@pytest.mark.parametrize("name", ["\u202fa.jpg", "a.jpg ", " a.jpg", "\xa0a\xa0.jpg"])
def test_blanks_at_the_edge_of_a_name_are_of_the_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (photograph,) = read_tap_table(_table(tmp_path, f'photo,x,y\n"{name}",1,2\n'))
    assert find_photograph(photograph.name, tmp_path / "taps.csv") == tmp_path / name


def test_blanks_around_a_cell_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (photograph,) = read_tap_table(_table(tmp_path, "photo,x,y\n a.jpg , 1,2\na.jpg,3,4\n"))
    assert photograph.name == "a.jpg" and len(photograph.objects[0].taps) == 2


@pytest.mark.parametrize(("row", "said"), [
    ("a.jpg,80,5,60,2", "line 2: it has 5 cells, the first line 3"),
    ('a.jpg,"1,234",60', "line 2: a comma in the number '1,234'"),
    ("a.jpg,1_0,60", "line 2: x must be a number")])
def test_numbers_that_may_mean_two_things(tmp_path: Path, row: str, said: str) -> None:
    (photograph,) = read_tap_table(_table(tmp_path, f"photo,x,y\n{row}\n"))
    assert photograph.objects[0].fault.startswith(said)


def test_empty_cells_at_the_end_of_a_row_are_none(tmp_path: Path) -> None:
    (photograph,) = read_tap_table(_table(tmp_path, "photo,x,y\na.jpg,1,2,,\n"))
    assert not photograph.objects[0].fault


def test_a_column_twice(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must name each"):
        read_tap_table(_table(tmp_path, "photo,x,y,label,label\na.jpg,1,2,1,0\n"))


def test_a_name_that_no_file_can_have_is_no_file(tmp_path: Path) -> None:
    table = tmp_path / "taps.csv"
    for name in ("x" * 300, "a\0b", "/".join(["d" * 200] * 30)):
        assert find_photograph(name, table) == tmp_path / name
