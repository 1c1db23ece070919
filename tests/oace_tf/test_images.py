"""Images: there and back, their orientation, and what is no image."""
import io
import os
import resource
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from oace_tf import image_header, images
from oace_tf.demo.photos import read_photo
from oace_tf.errors import UsageError
from oace_tf.images import decode_photograph, read_brightest, read_image, write_image
from oace_tf.samples.coco import CocoImage, read_coco_image


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".tif", ".webp"])
def test_image_there_and_back(tmp_path, photo, suffix):
    path = tmp_path / f"x{suffix}"
    write_image(path, photo)
    np.testing.assert_array_equal(read_image(path), photo)


def test_channels_of_cutout_and_mask(tmp_path, photo):
    cutout = np.dstack([photo, photo[..., 0]])
    write_image(tmp_path / "cutout.png", cutout)
    stored = cv2.imread(str(tmp_path / "cutout.png"), cv2.IMREAD_UNCHANGED)
    assert stored is not None
    np.testing.assert_array_equal(stored, cutout[..., [2, 1, 0, 3]])  # OpenCV keeps BGRA
    write_image(tmp_path / "mask.png", photo[..., 0])
    np.testing.assert_array_equal(read_brightest(tmp_path / "mask.png"), photo[..., 0])


@pytest.mark.parametrize("name, channels", [
    ("x.jpg", 4), ("x.bmp", 3), ("x.avif", 3), ("x.jp2", 3), ("x.xyz", 3), ("x", 3)])
def test_formats_that_cannot_be_written(tmp_path, name, channels):
    with pytest.raises(UsageError, match="name it"):
        write_image(tmp_path / name, np.zeros((4, 4, channels), np.uint8))
    assert not os.listdir(tmp_path)


def _with_orientation(jpeg: bytes, orientation: int) -> bytes:
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize("orientation, upright", [
    (1, lambda a: a), (2, np.fliplr), (3, lambda a: np.rot90(a, 2)), (4, np.flipud),
    (5, lambda a: a.transpose(1, 0, 2)), (6, lambda a: np.rot90(a, -1)),
    (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)), (8, lambda a: np.rot90(a, 1)),
])
def test_exif_orientation_is_applied(tmp_path, orientation, upright):
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:8, :16] = (200, 100, 50)  # in whole 8x8 blocks: JPEG keeps them apart
    jpeg = cv2.imencode(".jpg", stored[..., ::-1])[1].tobytes()
    path = tmp_path / "x.jpg"
    path.write_bytes(_with_orientation(jpeg, orientation))
    found = read_image(path)
    plain = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(found, upright(plain))
    assert read_brightest(path).shape == (32, 48)  # masks stay as they are stored


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_cut_image_is_unreadable(tmp_path, photo, suffix):
    path = tmp_path / f"x{suffix}"
    write_image(path, np.tile(photo, (8, 8, 1)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UsageError, match=f"x{suffix} is not a readable image"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff"])
def test_no_image(tmp_path, content):
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a readable image"):
        read_image(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_image(tmp_path / "missing.jpg")
    with pytest.raises(UsageError, match="cannot read"):
        read_image(tmp_path)


# --- other people's photographs


def encoded(kind, orientation=1, alpha=None, **options):
    """Return a file's bytes by Pillow: a dark picture with a red corner."""
    pixels = np.full((40, 60, 3), 40, np.uint8)
    pixels[:10, :20] = (240, 0, 0)
    if alpha is not None:
        pixels = np.dstack([pixels, alpha])
    record = Image.Exif()
    record[0x112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, exif=record, **options)
    return file.getvalue()


def half_clear():
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[:, 30:], alpha[0, 0] = 0, 100
    return alpha


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("clear", [False, True])
def test_orientation_outside_jpeg(kind, orientation, clear):
    options = {"quality": 100} if kind == "AVIF" else {"lossless": True} if kind == "WEBP" else {}
    data = encoded(kind, orientation, half_clear() if clear else None, **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert expected is not None
    photo = decode_photograph(data, "x")
    assert photo.is_turned == (orientation != 1)
    assert photo.image.shape[:2] == expected.size[::-1]
    if clear:
        assert photo.alpha is not None
        np.testing.assert_array_equal(photo.alpha, np.asarray(expected)[..., 3])
        assert (photo.image[photo.alpha == 0] == 255).all()
        opaque = photo.alpha == 255
        difference = np.abs(photo.image.astype(int) - np.asarray(expected)[..., :3])[opaque]
        assert difference.max() <= 3  # AVIF: 2
    else:
        difference = np.abs(photo.image.astype(int) - np.asarray(expected.convert("RGB")))
        assert photo.alpha is None and difference.max() <= 3  # AVIF: 2


def test_one_colour_cannot_tell_how_its_transparency_is_turned():
    file = io.BytesIO()
    record = Image.Exif()
    record[0x112] = 3
    alpha = np.zeros((20, 20), np.uint8)
    alpha[:5] = 255
    Image.fromarray(np.dstack([np.full((20, 20, 3), 9, np.uint8), alpha])).save(
        file, "PNG", exif=record)
    photo = decode_photograph(file.getvalue(), "x")
    assert photo.alpha is not None
    assert (photo.alpha[-5:] == 255).all() and not photo.alpha[:15].any()


@pytest.mark.parametrize("kind", ["palette", "colour", "grey", "grey 16", "grey 2", "LA"])
def test_transparency_of_png_in_all_its_forms(kind):
    grey = np.full((40, 60), 0x55, np.uint8)
    grey[:, 30:] = 0xAA
    pictures = {"palette": Image.fromarray(grey).convert("RGB").quantize(4),
                "colour": Image.fromarray(grey).convert("RGB"), "grey": Image.fromarray(grey),
                "LA": Image.merge("LA", (Image.fromarray(grey), Image.fromarray(255 - grey // 170
                                                                                * 255)))}
    file = io.BytesIO()
    if kind in ("grey 16", "grey 2"):
        bits = int(kind[5:])
        rows = grey.astype(">u2") * 257 if bits == 16 else np.packbits(
            np.unpackbits(grey[..., None], axis=2)[..., :2].reshape(40, -1), axis=1)
        clear = 0xAAAA if bits == 16 else 2
        file.write(png(60, 40, b"".join(b"\0" + row.tobytes() for row in rows), bits, 0,
                       struct.pack(">H", clear)))
    elif kind == "LA":
        pictures[kind].save(file, "PNG")
    else:
        first = pictures["palette"].getpixel((59, 0))
        pictures[kind].save(file, "PNG", transparency={"palette": first, "colour": (170,) * 3,
                                                       "grey": 170}[kind])
    photo = decode_photograph(file.getvalue(), "x")
    assert photo.alpha is not None
    assert (photo.alpha[:, :30] == 255).all() and not photo.alpha[:, 30:].any()
    assert (photo.image[:, 30:] == 255).all() and (photo.image[:, :30] == 0x55).all()


def png(width, height, rows, depth=8, colour=2, clear=b""):
    """Return a PNG of compressed rows; `rows` None: none at all."""
    def chunk(name, part):
        return struct.pack(">I", len(part)) + name + part + struct.pack(
            ">I", zlib.crc32(name + part))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth,
                                                              colour, 0, 0, 0))
            + (chunk(b"tRNS", clear) if clear else b"")
            + (b"" if rows is None else chunk(b"IDAT", zlib.compress(rows))) + chunk(b"IEND", b""))


def huge():
    """Yield (name, a small file that says it has more than 200 megapixels)."""
    yield "png", png(32000, 32000, b"\0" * 10**6)
    small = encoded("JPEG")
    place = small.index(b"\xff\xc0") + 5
    yield "jpeg", small[:place] + struct.pack(">HH", 60000, 60000) + small[place + 4:]
    yield "gif", encoded("GIF")[:6] + struct.pack("<HH", 65535, 65535) + encoded("GIF")[10:]
    small = encoded("BMP")
    yield "bmp", small[:18] + struct.pack("<ii", 40000, -40000) + small[26:]
    webp = encoded("WEBP", lossless=True)
    place = webp.index(b"VP8X") + 12
    yield "webp", webp[:place] + b"\xff\x3f\0" * 2 + webp[place + 6:]
    tiff = encoded("TIFF")
    for tag in (256, 257):
        place = tiff.index(struct.pack("<HH", tag, 4)) if struct.pack("<HH", tag, 4) in tiff else (
            tiff.index(struct.pack("<HH", tag, 3)))
        tiff = tiff[:place] + struct.pack("<HHII", tag, 4, 1, 30000) + tiff[place + 12:]
    yield "tiff", tiff
    avif = encoded("AVIF")
    place = avif.index(b"ispe") + 8
    yield "avif", avif[:place] + struct.pack(">II", 40000, 40000) + avif[place + 8:]
    yield "netpbm", b"P6 99999 99999 255\n"


@pytest.mark.parametrize(("kind", "data"), list(huge()))
def test_too_many_pixels_are_refused_before_they_are_unpacked(tmp_path, kind, data):
    path = tmp_path / f"x.{kind}"
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (read_image, images.read_brightest,
                 lambda p: read_photo(p.read_bytes(), str(p))):
        with pytest.raises(UsageError, match=rf"x.{kind} has \d+ megapixels; at most 200 are"):
            read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 50_000  # KiB


def test_long_sides(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(png(70000, 20, (b"\0" + bytes(210000)) * 20))
    assert read_image(path).shape == (20, 70000, 3)
    path.write_bytes(png(2**21, 1, b"\0" + bytes(3 * 2**21)))
    with pytest.raises(UsageError, match="x.png has 2097152x1 pixels; a side of at most 1048576"):
        read_image(path)


def test_image_libraries_are_quiet(tmp_path, capfd):
    good = encoded("PNG")
    flipped = bytearray(encoded("JPEG"))
    flipped[-40] ^= 0xFF
    revision = bytearray(encoded("JPEG"))
    revision[revision.index(b"JFIF") + 5] = 9
    for data in (bytes(revision), good[:60] + b"\x55" + good[61:], good[:-30], bytes(flipped),
                 b"\xff\xd8\xff"):
        path = tmp_path / "x.png"
        path.write_bytes(data)
        try:
            read_image(path)
        except UsageError:
            pass
    assert capfd.readouterr().err == ""
    with images.quiet_libraries():
        os.write(2, b"libpng error: bad\n[ERROR:0@1.2] global a.cpp:1 b\n> c\n>     d\n\n"
                 b"somebody else\n")
    assert capfd.readouterr().err == "somebody else\n"


# --- labels and the frame that they are in


@pytest.mark.parametrize(("orientation", "words"), [
    (3, "warned"), (2, "warned"), (4, "warned"), (6, "frame of the stored picture"),
    (5, "frame of the stored picture"), (1, "")])
@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_labels_of_photographs_that_are_stored_turned(tmp_path, caplog, orientation, words, kind):
    path = tmp_path / f"x.{kind}"
    path.write_bytes(encoded(kind, orientation))
    record = CocoImage(1, path, 40, 60, ())  # the stored frame
    if words in ("", "warned"):
        read_coco_image(record)
        read_coco_image(record)
        told = [entry for entry in caplog.messages if "upright" in entry]
        assert len(told) == (words == "warned") and all(str(path) in entry for entry in told)
    else:
        with pytest.raises(UsageError, match=words):
            read_coco_image(record)
        assert read_coco_image(CocoImage(1, path, 60, 40, ())).shape == (60, 40, 3)
        assert "upright" not in caplog.text  # here the size tells


def test_square_photographs_are_told_too(tmp_path, caplog):
    file = io.BytesIO()
    record = Image.Exif()
    record[0x112] = 6
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(file, "JPEG", exif=record)
    path = tmp_path / "x.jpg"
    path.write_bytes(file.getvalue())
    read_coco_image(CocoImage(1, path, 16, 16, ()))
    assert "cannot tell" in caplog.text


def test_a_png_that_promises_more_than_it_holds_takes_no_memory(tmp_path):
    good = encoded("PNG")
    start = good.index(b"IDAT") - 4
    path = tmp_path / "x.png"
    path.write_bytes(good[:start] + (2**31 - 1).to_bytes(4, "big") + good[start + 4:])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match="not a readable image"):
        read_image(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 50_000  # KiB
    path.write_bytes(good + b"what stands behind the end")
    np.testing.assert_array_equal(read_image(path), images.decode_image(good, "x"))


def test_a_file_of_a_kilobyte_holds_no_64_megapixels(tmp_path):
    path = tmp_path / "x.gif"
    path.write_bytes(b"GIF89a" + (7998).to_bytes(2, "little") + (7983).to_bytes(2, "little")
                     + bytes(1000))
    with pytest.raises(UsageError, match="its 1010 bytes hold 64 megapixels"):
        read_image(path)


def test_a_tiff_whose_directory_lies_beyond_all_files(tmp_path):
    path = tmp_path / "x.tif"
    path.write_bytes(b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(64))
    with pytest.raises(UsageError, match="not a readable image"):
        read_image(path)


# --- HEIC, as iPhones write it


def _heic(pixels: np.ndarray, orientation: int = 1) -> bytes:
    """Return a HEIC file of pixels, RGB or RGBA, to be turned as EXIF counts it."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    picture = pillow_heif.from_pillow(Image.fromarray(pixels))
    exif = Image.Exif()
    exif[0x112] = orientation
    picture.info["exif"] = exif.tobytes()
    file = io.BytesIO()
    picture.save(file, quality=95)
    return file.getvalue()


def _quarters() -> np.ndarray:
    picture = np.zeros((48, 80, 3), np.uint8)
    picture[:, :40, 0], picture[:24, 40:, 2] = 240, 240
    return picture


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_upright(orientation):
    photograph = decode_photograph(_heic(_quarters(), orientation), "x.heic")
    expected = image_header.upright(_quarters(), image_header._TURNS[orientation])
    assert photograph.image.shape == expected.shape and photograph.alpha is None
    assert np.abs(photograph.image.astype(int) - expected).max() < 9  # measured: 1
    assert photograph.stored_hw == (48, 80) and photograph.is_turned == (orientation != 1)


def test_heic_with_transparency_and_as_a_mask(tmp_path):
    rgba = np.dstack([_quarters(), np.full((48, 80), 100, np.uint8)])
    photograph = decode_photograph(_heic(rgba, 6), "x.heic")
    assert photograph.alpha is not None and photograph.alpha.shape == (80, 48)
    assert abs(int(photograph.alpha[5, 5]) - 100) < 3
    (tmp_path / "x.heic").write_bytes(_heic(_quarters()))
    assert read_brightest(tmp_path / "x.heic")[40, 60] < 9


def test_a_damaged_or_huge_heic_is_one_line():
    good = _heic(_quarters())
    for place in range(60, len(good), 40):
        data = good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1:]
        try:
            decode_photograph(data, "x.heic")
        except UsageError as error:
            assert "x.heic" in str(error) and "\n" not in str(error)
    place = good.index(b"ispe") + 8
    with pytest.raises(UsageError, match="x.heic has 1600 megapixels; at most 200"):
        decode_photograph(good[:place] + struct.pack(">II", 40000, 40000) + good[place + 8:],
                          "x.heic")


def test_heic_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UsageError, match=r"x.heic is a HEIC photograph: pip install -c "
                       r"constraints.txt -e '.\[heic\]' to read it, or save it as JPEG"):
        decode_photograph(b"\0\0\0\x18ftypheic" + bytes(40), "x.heic")


def _tiff(pixels: np.ndarray, **tags) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "TIFF", **tags)
    return file.getvalue()


@pytest.mark.parametrize("tags", [{254: 1}, {50706: b"\1\4\0\0"}])
def test_the_preview_of_a_raw_file_is_no_photograph(photo, tags):
    with pytest.raises(UsageError, match="x.dng: it is a camera's raw file.*develop it to JPEG"):
        decode_photograph(_tiff(photo, tiffinfo=tags), "x.dng")


def tiff(pixels: np.ndarray, bits: int = 8, **more: int) -> bytes:
    """Return a TIFF (H, W, C) with tags that other writers do not give."""
    height, width, channels = pixels.shape
    planes = more.get("planes", 1)
    data = (pixels if planes == 1 else pixels.transpose(2, 0, 1)).astype(f"<u{bits // 8}").tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: more.get("colours", 2), 273: 0,
            277: channels, 278: height, 279: len(data), 284: planes}
    tags |= {338: more["extra"]} if "extra" in more else {}
    tags |= {339: more["form"]} if "form" in more else {}
    start = 8 + 2 + 12 * len(tags) + 4
    at, parts = start, b""
    for tag, (kind, values) in sorted({
            tag: (4 if tag in (273, 279) else 3,
                  [value] * (channels if tag in (258, 339) else
                             channels if tag in (273, 279) and planes == 2 else
                             channels - 3 if tag == 338 and channels > 3 else 1))
            for tag, value in tags.items()}.items()):
        if tag in (273, 279):
            each = len(data) // len(values)
            values = [each] * len(values) if tag == 279 else [
                4096 + k * each for k in range(len(values))]
        packed = struct.pack(f"<{len(values)}{'HI'[kind - 3]}", *values)
        where = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", at)
        if len(packed) > 4:
            at, parts = at + len(packed), parts + packed
        tags[tag] = struct.pack("<HHI", tag, kind, len(values)) + where
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(
        tags[tag] for tag in sorted(tags)) + struct.pack("<I", 0) + parts
    return head.ljust(4096, b"\0") + data


HALF = np.full((6, 8, 4), (200, 60, 20, 128), np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG2000", "AVIF", "TIFF", "BMP"])
def test_colours_under_half_transparency(kind):
    file = io.BytesIO()
    if kind == "BMP":
        file.write(bmp(HALF))
    else:
        options = {"lossless": True} if kind == "WEBP" else {}
        Image.fromarray(HALF).save(file, kind, **options)
    photo = decode_photograph(file.getvalue(), "x")
    assert photo.alpha is not None and (np.abs(photo.alpha.astype(int) - 128) <= 1).all()
    difference = np.abs(photo.colours.astype(int) - HALF[..., :3])
    assert difference.max() <= 2  # TIFF and AVIF: 1
    assert np.abs(photo.image.astype(int) - (227, 157, 137)).max() <= 2


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_the_fourth_channel_of_tiff(bits, extra):
    pixels = HALF.astype(int)
    if extra == 1:  # multiplied already
        pixels[..., :3] = (100, 30, 10)
    photo = decode_photograph(tiff(pixels * (1 if bits == 8 else 257), bits, extra=extra), "x.tif")
    assert (photo.alpha is None) == (extra == 0)  # unspecified: infrared, a selection
    assert np.abs(photo.colours.astype(int) - (200, 60, 20)).max() <= 1


@pytest.mark.parametrize("data, words", [
    (tiff(HALF[..., 2:], colours=1, extra=2), "grey with transparency, which is read of PNG alone"),
    (tiff(HALF, 16, extra=2, planes=2), "4 channels, kept in a way"),
    (tiff(np.dstack([HALF, HALF])), "8 channels, kept in a way that is not read here; save it as"),
    (tiff(HALF[..., :3], 32), "of 32 bits; save it with 8 or 16"),
    (tiff(HALF[..., :1], 16, colours=1, form=2), "of 16 bits, signed; save it"),
    (tiff(HALF, 16, colours=5), "colours are kept in a way that is not read here; save it as RGB"),
    (tiff(HALF[..., :3], colours=9), "colours are kept in a way")])
def test_tiffs_that_would_come_out_as_another_picture(data, words, capfd):
    with pytest.raises(UsageError, match=f"x.tif: .*{words}"):
        decode_photograph(data, "x.tif")
    assert capfd.readouterr().err == ""


def bmp(pixels: np.ndarray) -> bytes:
    """Return a BMP of 32 bits with a mask of its transparency; pixels (H, W, 4) RGBA."""
    rows = pixels[::-1, :, [2, 1, 0, 3]].tobytes()
    height, width = pixels.shape[:2]
    head = struct.pack("<IiiHHIIiiII4I", 108, width, height, 1, 32, 3, len(rows), 0, 0, 0, 0,
                       0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs".ljust(52, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(rows), 0, 0, 14 + len(head)) + (
        head + rows)


def test_a_bmp_whose_fourth_byte_is_unused():
    photo = decode_photograph(bmp(HALF * np.array([1, 1, 1, 0], np.uint8)), "x.bmp")
    assert photo.alpha is None and (photo.image == (200, 60, 20)).all()


def test_jpeg2000_in_grey_with_transparency():
    file = io.BytesIO()
    Image.fromarray(HALF).convert("LA").save(file, "JPEG2000")
    with pytest.raises(UsageError, match="x.jp2: it is grey with transparency"):
        decode_photograph(file.getvalue(), "x.jp2")


def test_floating_point_is_told():
    for channels in (1, 3):
        pixels = np.full((6, 8, channels), 0.5, np.float32)
        data = cv2.imencode(".tif", pixels)[1].tobytes()
        with pytest.raises(UsageError, match="floating point; save it with 8 or 16 bits"):
            decode_photograph(data, "x.tif")


@pytest.mark.parametrize("most, taken", [(255, True), (65535, True), (100, False), (1023, False),
                                         (0, False), (256, False)])
@pytest.mark.parametrize("kind", [2, 3, 5, 6])
def test_grey_that_goes_up_to_another_value(kind, most, taken):
    numbers = 3 * 8 if kind in (3, 6) else 8
    pixels = b"9 " * numbers + b"\n" if kind < 4 else bytes(2 * numbers)
    data = b"P%d # a remark\n4 2\n%d\n" % (kind, most) + pixels
    if taken:
        assert decode_photograph(data, "x.pgm").image.shape == (2, 4, 3)
    else:
        with pytest.raises(UsageError, match=f"x.pgm: its values go up to {most}, .*save it as"):
            decode_photograph(data, "x.pgm")


@pytest.mark.parametrize("data, words", [
    (b"%PDF-1.7", "it is a PDF"), (b"\xff\x0a\x1f", "JPEG XL"), (b"<svg xmlns='x'>", "SVG"),
    (b"<?xml version='1.0'?><svg/>", "SVG"), (b"PF\n4 4\n-1.0\n", "PFM"),
    (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    (b"<!DOCTYPE html>", "web page"),
    (b"PK\x03\x04", "unzip"), (b"plain text", "damaged, cut short")])
def test_what_is_handed_over_in_place_of_a_photograph(tmp_path, data, words):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=words) as caught:
        read_image(path)
    assert "photo.jpg is not a readable image" in str(caught.value)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_masks_whose_ground_is_transparent(tmp_path, mode):
    alpha = np.zeros((4, 6), np.uint8)
    alpha[:2] = 255
    white = Image.fromarray(np.dstack([np.full((4, 6, 3), 255, np.uint8), alpha]))
    path = tmp_path / "mask.png"
    if mode == "P":
        labels = Image.fromarray(1 - alpha // 255, "P")
        labels.putpalette([255, 255, 255] * 2)
        labels.save(path, transparency=1)
    else:
        white.convert(mode).save(path)
    np.testing.assert_array_equal(read_brightest(path), alpha)


def test_masks_of_16_bits(tmp_path):
    labels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    for name, stored in (("labels", labels), ("grey", labels * 256), ("full", labels * 257)):
        for suffix in (".png", ".tif"):
            path = str(tmp_path / f"{name}{suffix}")
            assert cv2.imwrite(path, stored)
            np.testing.assert_array_equal(read_brightest(path), labels)
    floats = str(tmp_path / "x.hdr")
    assert cv2.imwrite(floats, np.ones((4, 4, 3), np.float32))
    with pytest.raises(UsageError, match="x.hdr: its values are floating point"):
        read_brightest(floats)
