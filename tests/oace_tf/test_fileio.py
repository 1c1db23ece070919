"""Atomic writing, strict JSON."""
import os
import stat

import pytest

from oace_tf import fileio
from oace_tf.errors import UsageError


def test_atomic_write_makes_folders_and_sets_the_mode(tmp_path):
    path = tmp_path / "a" / "b.bin"
    fileio.atomic_write(path, b"one")
    fileio.atomic_write(path, lambda file: file.writelines([b"t", b"wo"]))
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(path.parent) == ["b.bin"]


@pytest.mark.parametrize("error, seen", [(RuntimeError, RuntimeError), (OSError, UsageError)])
def test_a_failed_write_leaves_the_old_file(tmp_path, error, seen):
    path = tmp_path / "a.bin"
    path.write_bytes(b"good")

    def fail(file):
        file.write(b"half")
        raise error("disk full")

    with pytest.raises(seen, match="disk full"):
        fileio.atomic_write(path, fail)
    assert path.read_bytes() == b"good"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_unwritable_places(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(UsageError, match="cannot write .*file/inside"):
        fileio.atomic_write(file / "inside", b"")
    with pytest.raises(UsageError, match="not a regular file"):
        fileio.atomic_write(tmp_path, b"")
    with pytest.raises(UsageError, match="not a regular file"):
        fileio.atomic_write("/dev/null", b"")


def test_sha256(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert fileio.sha256_bytes(b"abc") == fileio.sha256_file(path) == expected
    with pytest.raises(UsageError, match="cannot read .*missing"):
        fileio.sha256_file(tmp_path / "missing")


def test_json_there_and_back(tmp_path):
    value = {"b": [1, 2.5, None], "a": {"ü": True}}
    fileio.write_json(tmp_path / "x.json", value)
    found = fileio.read_json(tmp_path / "x.json")
    assert found == value and list(found) == ["b", "a"]
    with pytest.raises(ValueError):
        fileio.write_json(tmp_path / "x.json", float("nan"))
    assert fileio.read_json(tmp_path / "x.json") == value


@pytest.mark.parametrize("text, words", [
    (b'{"a": 1, "a": 2}', "'a' stands twice"),
    (b"[NaN]", "NaN"),
    (b"[-Infinity]", "Infinity"),
    (b"[1e999]", "too large"),
    (b"[1, 2", "not valid JSON"),
    (b"", "not valid JSON"),
    (b"\xff\xfe", "not valid JSON"),
    (b"[" * 100_000, "not valid JSON"),
    (b"1" * 5000, "not valid JSON"),
    (b" " * 20_000 + b"1", "larger than 10000 bytes"),
])
def test_bad_json_is_a_usage_error(tmp_path, text, words):
    path = tmp_path / "x.json"
    path.write_bytes(text)
    max_bytes = 10_000 if len(text) == 20_001 else fileio.JSON_MAX_BYTES
    with pytest.raises(UsageError, match=words) as caught:
        fileio.read_json(path, max_bytes)
    assert str(path) in str(caught.value)


def test_what_killed_writes_left_is_cleared(tmp_path):
    left = [".checkpoint.safetensors.ab_c1234", ".log.csv.zzzzzzzz"]
    kept = [".hidden", ".checkpoint.safetensors", "a.json.abcdefgh", ".git.ABCDEFGH", "b.json"]
    for name in (*left, *kept):
        (tmp_path / name).write_text("half")
    fileio.clear_leftovers(tmp_path, 3600)
    assert len(list(tmp_path.iterdir())) == 7
    fileio.clear_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


@pytest.mark.parametrize("name", ["y" * 251 + ".png", "é" * 125 + ".png"])
def test_a_name_of_the_greatest_length_is_written(tmp_path, name):
    fileio.atomic_write(tmp_path / name, b"x")
    assert os.listdir(tmp_path) == [name]


def test_longer_names_are_refused(tmp_path):
    with pytest.raises(UsageError, match="File name too long"):
        fileio.atomic_write(tmp_path / ("y" * 300), b"x")


def test_a_leftover_of_a_long_name_is_cleared(tmp_path):
    def killed(file):
        beside = [name for name in os.listdir(tmp_path) if name.startswith(".")]
        (tmp_path / (beside[0][:-8] + "abcdefgh")).write_bytes(b"half")

    name = "y" * 245 + ".json"
    fileio.atomic_write(tmp_path / name, killed)
    assert len(os.listdir(tmp_path)) == 2
    fileio.clear_leftovers(tmp_path)
    assert os.listdir(tmp_path) == [name]


def test_names_that_json_cannot_hold(tmp_path):
    with pytest.raises(UsageError, match="x.json: the name .*no UTF-8, .*rename"):
        fileio.write_json(tmp_path / "x.json", {"file": os.fsdecode(b"bad\xff.png")})
    assert os.listdir(tmp_path) == []


def test_an_output_is_no_input(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    fileio.refuse_overwriting([other, None, tmp_path / "new"], [one, None, tmp_path / "missing"])
    (tmp_path / "soft").symlink_to(one)
    os.link(one, tmp_path / "hard")
    for written in (one, tmp_path / "soft", tmp_path / "hard", tmp_path / "." / "one"):
        with pytest.raises(UsageError, match="is read too.*name another place"):
            fileio.refuse_overwriting([written], [other, one])
    with pytest.raises(UsageError, match="two outputs"):
        fileio.refuse_overwriting([tmp_path / "new", tmp_path / "a" / ".." / "new"], [])


def test_what_cannot_be_read_is_named_with_its_remedy(tmp_path):
    for path, remedy in ((tmp_path / "none", "put it there"), (tmp_path, "name a file"),
                         (tmp_path / ("x" * 300), "a shorter name"),
                         (tmp_path / "none" / "x", "put it there")):
        for read in (fileio.read_bytes, fileio.read_json, fileio.sha256_file, fileio.read_start):
            with pytest.raises(UsageError, match=f"cannot read .*; .*{remedy}"):
                read(path)


def test_one_run_writes_into_a_folder(tmp_path):
    with fileio.writing_alone(tmp_path):
        with pytest.raises(UsageError, match="another run is writing there"):
            with fileio.writing_alone(tmp_path):
                raise AssertionError
    with fileio.writing_alone(tmp_path):  # it is free again
        assert os.listdir(tmp_path) == []
    with pytest.raises(UsageError, match="cannot read .*none"):
        with fileio.writing_alone(tmp_path / "none"):
            raise AssertionError
