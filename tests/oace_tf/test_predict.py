"""The command: what it writes, and what it refuses with one line and exit code 2."""
from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from oace_tf import predict, segmenter
from oace_tf.images import read_image, write_image
from oace_tf.segmenter import TapSegmenter

COFFEE = Path(__file__).resolve().parents[2] / "docs" / "samples" / "coffee.jpg"
SHIPPED = ("--model", str(segmenter.DEFAULT_MODEL))  # it takes a previous mask


@pytest.fixture(autouse=True)
def _packaged(monkeypatch: pytest.MonkeyPatch, tiny_int8: Path) -> None:
    monkeypatch.setattr(segmenter, "DEFAULT_MODEL", tiny_int8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Return a photograph of 96x64 px, red on the left, blue on the right."""
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48, 0] = 240
    image[:, 48:, 2] = 240
    write_image(tmp_path / "photo.png", image)
    return tmp_path / "photo.png"


def _refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run the command, which must refuse; return its one line."""
    assert predict.main([str(argument) for argument in arguments]) == 2
    shown = capfd.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and "Traceback" not in shown.err
    assert shown.err.startswith("python -m oace_tf.predict: error: ")
    return shown.err


def _written(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def test_cutout(photo: Path, tiny_int8: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = photo.with_name("cut.png")
    assert predict.main([str(photo), "--tap", "24,30", "-o", str(out)]) == 0
    cut = cv2.cvtColor(_written(out), cv2.COLOR_BGRA2RGBA)
    mask = TapSegmenter(tiny_int8).segment(photo, [(24, 30)])
    np.testing.assert_array_equal(cut[..., 3], np.where(mask, 255, 0))
    np.testing.assert_array_equal(cut[..., :3], read_image(photo) * mask[..., None])
    shown = capfd.readouterr().out
    assert str(out) in shown and f"{100 * mask.mean():.1f} %" in shown and " ms" in shown


@pytest.mark.parametrize(("name", "kind", "channels"), [
    ("a.png", None, 4), ("a.webp", None, 4), ("a_mask.png", None, 1), ("a.jpg", None, 3),
    ("a.png", "mask", 1), ("a.png", "overlay", 3), ("a_mask.png", "cutout", 4),
    ("a.jpg", "mask", 1), ("A.PNG", None, 4)])
def test_kind_by_flag_or_name(photo: Path, name: str, kind: str | None, channels: int) -> None:
    out = photo.with_name(name)
    flags = ["--kind", kind] if kind else []
    assert predict.main([str(photo), "--tap", "24,30", "-o", str(out), *flags]) == 0
    image = _written(out)
    assert (1 if image.ndim == 2 else image.shape[2]) == channels
    assert image.shape[:2] == (64, 96)


@pytest.mark.parametrize(("kind", "name"), [(None, "photo_cutout.png"), ("mask", "photo_mask.png"),
                                            ("overlay", "photo_overlay.jpg")])
def test_default_place(photo: Path, kind: str | None, name: str) -> None:
    flags = ["--kind", kind] if kind else []
    assert predict.main([str(photo), "--tap", "24,30", *flags]) == 0
    assert sorted(os.listdir(photo.parent)) == sorted(["photo.png", name])


def test_several_taps_and_background_taps(photo: Path) -> None:
    out = photo.with_name("a_mask.png")
    shares = []
    for taps in (["--tap", "24,20"], ["--tap", "24,20", "--tap", "24,50"],
                 ["--tap", "24,20", "--tap", "24,50", "--background-tap", "24,22"]):
        assert predict.main([str(photo), *taps, "-o", str(out)]) == 0
        shares.append(np.count_nonzero(_written(out)))
    assert shares[0] < shares[1] and shares[2] < shares[1]


def _rotated(path: Path, orientation: int) -> None:
    """Give a JPEG an EXIF orientation: an APP1 segment with that one entry."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
                     + data[2:])


def test_exif_rotation_and_taps_in_the_upright_frame(tmp_path: Path) -> None:
    """Stored lying (96 wide, red on the left); upright it is 64x96 with red on top."""
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :48, 0], image[:, 48:, 2] = 240, 240
    photo, out = tmp_path / "photo.jpg", tmp_path / "a_mask.png"
    write_image(photo, image)
    _rotated(photo, 6)  # turn by 90 degrees clockwise to see it upright
    assert predict.main([str(photo), "--tap", "32,20", "-o", str(out)]) == 0
    mask = _written(out)
    assert mask.shape == (96, 64) and mask[20, 32] == 255 and not mask[48:].any()
    assert predict.main([str(photo), "--tap", "32,90", "-o", str(out)]) == 0  # 90 > 64: upright
    assert not _written(out).any()


def test_refuses_wrong_taps(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "outside" in _refused(capfd, photo, "--tap", "96,3")
    assert "outside" in _refused(capfd, photo, "--tap", "3,3", "--background-tap", "3,64")
    assert "X,Y" in _refused(capfd, photo, "--tap", "3;3")
    assert "--tap" in _refused(capfd, photo)
    assert "--tap" in _refused(capfd, photo, "--background-tap", "3,3")
    assert "at most 4" in _refused(capfd, photo, *["--tap", "3,3"] * 5)
    for tap in (["--tap=-5,3"], ["--tap", "-5,3"], ["--background-tap", "-.5,-3", "--tap", "3,3"]):
        assert "is outside the photograph of 96x64 pixels; x runs" in _refused(capfd, photo, *tap)


def test_refuses_background_taps_on_one_channel(photo: Path, tiny_one_channel: Path,
                                                capfd: pytest.CaptureFixture[str]) -> None:
    line = _refused(capfd, photo, "--tap", "3,3", "--background-tap", "9,9", "--model",
                    tiny_one_channel)
    assert "one click channel" in line


def test_refuses_wrong_photographs(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "none.jpg" in _refused(capfd, photo.with_name("none.jpg"), "--tap", "3,3")
    broken = photo.with_name("broken.png")
    broken.write_bytes(photo.read_bytes()[:40])
    assert "broken.png" in _refused(capfd, broken, "--tap", "3,3")
    assert not broken.with_name("broken_cutout.png").exists()
    for address in ("https://a.b/c.jpg", "HTTP://a.b/c.jpg", "data:image/png;base64,AAAA"):
        line = _refused(capfd, address, "--tap", "3,3")
        assert f"error: {address} is an address; fetch the photograph first" in line
    line = _refused(capfd, "data:image/png;base64," + "A" * 5000, "--tap", "3,3")
    assert "AAA… is an address" in line and len(line) < 300


def test_refuses_wrong_outputs(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = photo.read_bytes()
    for out, word in (("cut.xyz", "the suffix decides"), ("cut", "the suffix decides"),
                      ("cut.avif", "the suffix decides"), (".", "is a folder"),
                      ("photo.png", "photograph itself"), ("photo.png/cut.png", "cannot write")):
        assert word in _refused(capfd, photo, "--tap", "3,3", "-o", photo.parent / out)
    line = _refused(capfd, photo, "--tap", "3,3", "-o", photo.with_name("a.jpg"), "--kind",
                    "cutout")
    assert "transparency" in line
    assert photo.read_bytes() == before and os.listdir(photo.parent) == ["photo.png"]


def test_refuses_a_folder_that_cannot_be_written(photo: Path,
                                                 capfd: pytest.CaptureFixture[str]) -> None:
    locked = photo.with_name("locked")
    locked.mkdir(mode=0o555)
    if os.geteuid() == 0:  # root may write into that one, but nobody into this
        locked = Path("/proc")
    assert str(locked) in _refused(capfd, photo, "--tap", "3,3", "-o", locked / "cut.png")


def test_refuses_wrong_models(photo: Path, tiny_int8: Path, monkeypatch: pytest.MonkeyPatch,
                              capfd: pytest.CaptureFixture[str]) -> None:
    out = photo.with_name("cut.png")
    out.write_bytes(b"earlier")
    data = tiny_int8.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 4
    for content in (data[:5000], bytes(flipped), b"", b"not a model"):
        bad = photo.with_name("bad.tflite")
        bad.write_bytes(content)
        assert "bad.tflite" in _refused(capfd, photo, "--tap", "3,3", "-o", out, "--model", bad)
    monkeypatch.setattr(segmenter, "DEFAULT_MODEL", photo.with_name("none.tflite"))
    assert "quantize.py" in _refused(capfd, photo, "--tap", "3,3", "-o", out)
    assert out.read_bytes() == b"earlier"


def test_refuses_wrong_arguments(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "--kind" in _refused(capfd, photo, "--tap", "3,3", "--kind", "poster")
    assert "--threads" in _refused(capfd, photo, "--tap", "3,3", "--threads", "two")
    for count in ("0", "-1", "257", "100000"):
        assert "threads must be from 1 to 256" in _refused(capfd, photo, "--tap", "3,3",
                                                           f"--threads={count}")
    assert "--taps FILE.csv" in _refused(capfd, photo, photo, "--tap", "3,3")
    assert "--taps FILE.csv" in _refused(capfd, photo, "--tap", "3,3", "--kind", "labels")
    for flags in (["--points", "2"], ["--tolerance", "-1"], ["--tolerance", "nan"]):
        assert "polygon" in _refused(capfd, photo, "--tap", "3,3", *flags)
    line = _refused(capfd, photo, "--tap", "3,3", "--format", "svg", "-o", photo.parent / "a.png")
    assert "--format svg is for polygons" in line
    for flags in (["--points", "12"], ["--tolerance", "2"], ["--category", "cup"]):
        line = _refused(capfd, photo, "--tap", "3,3", *flags, "-o", photo.with_name("a_mask.png"))
        assert f"{flags[0]} is for polygons, " in line and "is to hold a mask; leave it" in line
    assert "photo" in _refused(capfd)
    assert "--frob" in _refused(capfd, photo, "--frob")


def test_help_ends_with_an_example_that_parses(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        predict.main(["--help"])
    assert ended.value.code == 0
    last = capfd.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("example: python -m oace_tf.predict ")
    args = predict.parse_args(last.split()[4:])
    assert args.tap == ["240,310"] and args.out == Path("cutout.png")


def test_in_a_process_of_its_own(photo: Path, tiny_int8: Path) -> None:
    out = photo.with_name("a_mask.png")
    command = [sys.executable, "-m", "oace_tf.predict", str(photo), "--model", str(tiny_int8),
               "-o", str(out), "--tap"]
    done = subprocess.run([*command, "24,30"], capture_output=True, text=True)
    assert done.returncode == 0 and str(out) in done.stdout and out.is_file()
    out.unlink()
    done = subprocess.run([*command, "240,30"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert not out.exists()


# --- other people's photographs and their names


def test_transparency_of_the_photograph_stays(tmp_path: Path) -> None:
    rgba = np.zeros((64, 96, 4), np.uint8)
    rgba[..., :3] = (250, 250, 0)  # also under what is clear
    rgba[:, :40, 3], rgba[:, 40:60, 3] = 255, 100
    photo, out = tmp_path / "clear.png", tmp_path / "o.png"
    write_image(photo, rgba)
    assert predict.main([str(photo), "--tap", "24,30", "-o", str(out)]) == 0
    cut = cv2.cvtColor(_written(out), cv2.COLOR_BGRA2RGBA)
    mask = TapSegmenter().segment(photo, [(24, 30)])
    np.testing.assert_array_equal(cut[..., 3], np.where(mask, rgba[..., 3], 0))
    assert not cut[:, 60:].any() and (cut[..., :3][cut[..., 3] > 0] == (250, 250, 0)).all()
    # the network sees it on white, as the page does
    white = rgba[..., :3].copy()
    white[:, 60:] = 255
    white[:, 40:60] = np.rint((rgba[:, 40:60, :3] * 100.0 + 255 * 155) / 255)
    np.testing.assert_array_equal(read_image(photo), white)


@pytest.mark.parametrize("name", [
    "Screenshot 2024-01-02 at 3.04.05\u202fPM.png", "a\xa0b.png", "\u200fשלום.png", "👩‍🚀.png",
    "a\\b%20c.png", "a\nb.png", "-.png", "é.png", "e\u0301.png", "a" * 240 + ".png"])
def test_any_file_name_is_a_file_name(photo: Path, name: str,
                                      capfd: pytest.CaptureFixture[str]) -> None:
    named = photo.rename(photo.with_name(name))
    out = named.with_name("o.png")
    assert predict.main([str(named), "--tap", "24,30", "-o", str(out)]) == 0 and out.is_file()
    capfd.readouterr()
    named.write_bytes(b"no image")
    told = _refused(capfd, named, "--tap", "1,1", "-o", out)
    assert told.rstrip("\n").isprintable() and "not a readable image" in told


def test_a_name_that_is_no_text(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    named = Path(os.fsdecode(os.fsencode(photo.parent) + b"/caf\xe9.png"))
    photo.rename(named)
    assert predict.main([str(named), "--tap", "24,30"]) == 0
    assert "udce9" in capfd.readouterr().out
    named.write_bytes(b"")
    assert "udce9" in _refused(capfd, named, "--tap", "1,1", "-o", named.with_name("o.png"))


def test_a_damaged_photograph_is_one_line(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = photo.read_bytes()
    for place in range(40, len(good) - 12, max(1, len(good) // 20)):
        photo.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1:])
        if predict.main([str(photo), "--tap", "1,1", "-o", str(photo.with_name("o.png"))]) == 2:
            assert capfd.readouterr().err.count("\n") == 1
        else:
            assert capfd.readouterr().err == ""


def test_too_little_memory_is_one_line(photo: Path, monkeypatch: pytest.MonkeyPatch,
                                       capfd: pytest.CaptureFixture[str]) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(segmenter.Photograph, "segment", full)
    assert "memory does not suffice" in _refused(capfd, photo, "--tap", "1,1")


# --- gestures and polygons


def test_gestures_as_options(photo: Path, tiny_multi: Path,
                             capfd: pytest.CaptureFixture[str]) -> None:
    """Each option is the keyword of the library."""
    found, out = TapSegmenter(tiny_multi), photo.with_name("a_mask.png")
    for options, words in (
            (["--box", "4,20,40,50", "--tap", "24,30"], {"box": (4, 20, 40, 50)}),
            (["--drag", "24,30,24,40", "--tap", "24,30"], {"drag": ((24, 30), (24, 40))}),
            (["--scribble", "20,30,30,30", "--tap", "24,30"], {"scribble": [(20, 30), (30, 30)]}),
            (["--scribble", "20,30 30,30", "--tap", "24,30"], {"scribble": [(20, 30), (30, 30)]})):
        assert predict.main([str(photo), *options, "-o", str(out), "--model",
                             str(tiny_multi)]) == 0
        np.testing.assert_array_equal(
            _written(out) > 0, found.segment(photo, taps=[(24, 30)], **words))
    capfd.readouterr()
    assert predict.main([str(photo), "--extreme", "-4,30,44,30,20,9,20,50", "-o", str(out),
                         "--model", str(tiny_multi)]) == 0
    assert "note: the mask is empty" in capfd.readouterr().err  # this file draws nothing for them


@pytest.mark.parametrize("options", [
    ["--box", "1,2,3"], ["--box", "a,b,c,d"], ["--box", "1,2,3,4,5,6"], ["--drag", "1,2"],
    ["--extreme", "1,2,3,4"], ["--scribble", "1,2,3"], ["--scribble", ""]])
def test_wrong_gestures_are_one_line(photo: Path, options: list[str],
                                     capfd: pytest.CaptureFixture[str]) -> None:
    line = _refused(capfd, photo, *options)
    assert f"{options[0]} is written X,Y" in line and "for example 240,310" in line


@pytest.mark.parametrize(("typed", "meant"), [
    (["--tap", "24", "30"], ["--tap=24,30"]), (["--tap", "-5,3"], ["--tap=-5,3"]),
    (["--tap", "24,30", "5"], ["--tap=24,30", "5"]), (["--tap=24,30", "7"], ["--tap=24,30", "7"]),
    (["--box", "1", "-2", "3", "4", "p.jpg"], ["--box=1,-2,3,4", "p.jpg"]),
    (["--scribble", "1,2", "3,4", "5,6", "-o", "x"], ["--scribble=1,2,3,4,5,6", "-o", "x"]),
    (["--drag", "1,2", "3,4", "--tap", "5,6"], ["--drag=1,2,3,4", "--tap=5,6"]),
    (["--tap", "p.jpg"], ["--tap", "p.jpg"]), (["--threads", "3", "4"], ["--threads", "3", "4"])])
def test_numbers_of_a_gesture_may_stand_apart(typed: list[str], meant: list[str]) -> None:
    assert predict._in_one_word(typed) == meant


def test_a_folder_is_no_photograph(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for folder in (photo.parent, "."):
        assert "is a folder; name a photograph" in _refused(capfd, folder, "--tap", "1,1")


def test_a_file_that_knows_taps_alone_says_so(photo: Path,
                                              capfd: pytest.CaptureFixture[str]) -> None:
    assert "knows taps alone, no box" in _refused(capfd, photo, "--box", "4,20,40,50")
    assert "knows taps alone, no drag" in _refused(capfd, photo, "--drag", "4,20,40,50")


def test_a_missed_tap_is_said(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert predict.main([str(photo), "--tap", "80,30"]) == 0  # on blue, where nothing is found
    assert capfd.readouterr().err == (
        "python -m oace_tf.predict: note: the mask is empty: no object was found there\n")


@pytest.mark.parametrize(("name", "flags"), [
    ("a.json", []), ("a.svg", []), ("a.json", ["--format", "labelme"]),
    ("a.JSON", ["--kind", "polygon", "--format", "coco", "--category", "cup"]),
    ("photo_polygon.json", None), ("photo_polygon.svg", ["--format", "svg"])])
def test_polygons(photo: Path, name: str, flags: list[str] | None) -> None:
    beside = name.startswith("photo_")
    options = (["--kind", "polygon"] if flags is None else flags) if beside else [
        *(flags or []), "-o", str(photo.with_name(name))]
    assert predict.main([str(photo), "--tap", "24,30", "--points", "12", *options]) == 0
    text = photo.with_name(name).read_text()
    if name.endswith("svg"):
        assert text.startswith("<svg") and 'viewBox="0 0 96 64"' in text
        return
    content = json.loads(text)
    if "labelme" in options:
        assert content["imagePath"] == "photo.png"
        points = content["shapes"][0]["points"]
    else:
        assert content["images"][0]["file_name"] == "photo.png"
        assert content["categories"][0]["name"] == ("cup" if "cup" in options else "object")
        points = np.reshape(content["annotations"][0]["segmentation"][0], (-1, 2))
    assert 3 <= len(points) <= 12


def test_polygons_are_refused_elsewhere(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, flags, said in (
            ("a.png", ["--kind", "polygon"], "name it .json, .svg"),
            ("a.json", ["--kind", "mask"], "name it .png, .webp, .tif, .tiff, .jpg, .jpeg"),
            ("a.json", ["--format", "svg"], "name it .svg")):
        assert said in _refused(capfd, photo, "--tap", "24,30", "-o", photo.with_name(name), *flags)


def test_help_names_every_gesture(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        predict.main(["--help"])
    text = capfd.readouterr().out
    for option in ("--box X0,Y0,X1,Y1", "--extreme X,Y", "--drag X0", "--scribble X,Y", "--taps",
                   "photo,x,y,label,object,category", "Exit codes: 0 done, 1"):
        assert option in text


# --- the mask answered before


@pytest.fixture
def coffee_mask(tmp_path: Path) -> Path:
    """Return what the command wrote for a tap on the cup, with the shipped file."""
    path = tmp_path / "coffee_mask.png"
    assert predict.main([str(COFFEE), "--tap", "290,120", "-o", str(path), *SHIPPED]) == 0
    return path


def test_the_previous_mask_goes_in_with_the_gesture(coffee_mask: Path) -> None:
    """As `previous` of the library; a mask with soft edges, or with box and 512x512, as well."""
    out, file = coffee_mask.with_name("o_mask.png"), TapSegmenter(SHIPPED[1])
    gesture = ["--tap", "290,120", "--background-tap", "150,250"]
    taps = [(290, 120), (150, 250, 0)]
    assert predict.main([str(COFFEE), *gesture, "--previous", str(coffee_mask), "-o", str(out),
                         *SHIPPED]) == 0
    expected = file.segment(COFFEE, taps, previous=_written(coffee_mask) > 0)
    np.testing.assert_array_equal(_written(out) > 0, expected)
    assert (expected != file.segment(COFFEE, taps)).any()  # it counts
    square, soft = coffee_mask.with_name("square.png"), coffee_mask.with_name("soft.png")
    write_image(square, cv2.resize(read_image(COFFEE), (512, 512)))
    shares = cv2.GaussianBlur(cv2.resize(_written(coffee_mask), (512, 512)), (0, 0), 9)
    write_image(soft, shares)
    assert predict.main([str(square), "--box", "120,60,400,400", "--tap", "250,160", "--previous",
                         str(soft), "-o", str(out), *SHIPPED]) == 0
    np.testing.assert_array_equal(_written(out) > 0, file.segment(
        square, box=(120, 60, 400, 400), taps=[(250, 160)],
        previous=shares.astype(np.float64) / 256))  # not taken for a mask of the file's own frame


def test_a_black_previous_mask_is_nothing(photo: Path) -> None:
    black, masks = photo.with_name("black.png"), []
    write_image(black, np.zeros((64, 96), np.uint8))
    for flags in ([], ["--previous", str(black)]):
        out = photo.with_name("o_mask.png")
        assert predict.main([str(photo), "--box", "4,4,60,60", "-o", str(out), *flags,
                             *SHIPPED]) == 0
        masks.append(_written(out))
    np.testing.assert_array_equal(masks[0], masks[1])


def test_a_previous_mask_of_16_bits_with_values_of_8_counts(coffee_mask: Path) -> None:
    wide, masks = coffee_mask.with_name("wide.png"), []
    assert cv2.imwrite(str(wide), _written(coffee_mask).astype(np.uint16))
    for previous in (coffee_mask, wide):
        out = coffee_mask.with_name("o_mask.png")
        assert predict.main([str(COFFEE), "--tap", "290,120", "--background-tap", "150,250",
                             "--previous", str(previous), "-o", str(out), *SHIPPED]) == 0
        masks.append(_written(out))
    np.testing.assert_array_equal(masks[0], masks[1])


def test_other_previous_masks_are_refused(photo: Path, tiny_int8: Path,
                                          capfd: pytest.CaptureFixture[str]) -> None:
    """In one line that names the file and what to do; nothing is written."""
    mask, out = np.zeros((64, 96), np.uint8), photo.with_name("o.png")
    mask[8:40, 8:40] = 255
    clear = np.dstack([mask, mask, mask, mask])
    for name, picture, words in (
            ("small.png", mask[:32], "has 96x32 pixels, the photograph 96x64; give the mask of"),
            ("grey.png", np.full((64, 96), 130, np.uint8), "is grey in most places, as a photo"),
            ("ones.png", mask // 255, "is 1 at its brightest and is no mask"),
            ("clear.png", clear, "is transparent in parts, as a cutout is, and no mask; write one"),
            ("colours.png", read_image(photo), "has colours and is no mask, which is white on")):
        path = photo.with_name(name)
        write_image(path, picture)
        line = _refused(capfd, photo, "--tap", "24,30", "--previous", path, "-o", out, *SHIPPED)
        assert f"{path} {words}" in line
    path.write_bytes(b"no picture")
    for path, words in ((path, "is not a readable image"), (photo.with_name("none.png"), "no such"),
                        (photo.parent, "is a folder; name the mask's file")):
        line = _refused(capfd, photo, "--tap", "24,30", "--previous", path, "-o", out, *SHIPPED)
        assert str(path) in line and words in line.lower()
    good = photo.with_name("good.png")
    write_image(good, mask)
    line = _refused(capfd, photo, "--tap", "24,30", "--previous", good, "-o", out)
    assert f"{tiny_int8} takes no previous mask; leave --previous {good} out, or take" in line
    table = photo.with_name("taps.csv")
    table.write_text("photo,x,y\nphoto.png,24,30\n", encoding="utf-8")
    line = _refused(capfd, "--taps", table, "--previous", good, "-o", out.with_suffix(".json"))
    assert f"--taps {table} holds several gestures, --previous {good} is the mask of one" in line
    assert "at least one --tap X,Y on it, or --box" in _refused(capfd, photo, "--previous", good)
    line = _refused(capfd, "--taps", table, "--tap", "5,5", "-o", out.with_suffix(".json"))
    assert "leave --tap out" in line
    assert not out.exists() and not out.with_suffix(".json").exists()


def test_a_blank_behind_the_comma_of_a_tap(photo: Path) -> None:
    args = predict.parse_args([str(photo), "--tap", "24,", "30", "--box", "1,", "2,", "3", "4"])
    assert args.tap == ["24,30"] and args.box == "1,2,3,4"


def test_two_ways_to_simplify_a_polygon_are_one_too_many(
        photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = photo.with_name("taps.csv")
    table.write_text("photo,x,y\nphoto.png,24,30\n", encoding="utf-8")
    for gesture in ((photo, "--tap", "24,30"), ("--taps", table)):
        line = _refused(capfd, *gesture, "-o", photo.with_suffix(".json"), "--points", "20",
                        "--tolerance", "1.5")
        assert "--tolerance is in place of --points" in line
    line = _refused(capfd, photo, "--tap", "24,30", "-o", photo.with_suffix(".json"), "--format",
                    "svg")
    assert "a polygon of --format svg is not written as .json; name it .svg" in line


def test_help_shows_how_a_mask_is_corrected(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        predict.main(["--help"])
    first, second = [line.split() for line in capfd.readouterr().out.splitlines()
                     if line.startswith("  python -m oace_tf.predict photo.jpg")]
    written, corrected = (predict.parse_args(words[3:]) for words in (first, second))
    assert written.previous is None and corrected.previous == written.out
    assert corrected.tap == written.tap and corrected.background_tap
