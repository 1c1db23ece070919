"""Files that are handed over in place of the one meant: an archive, a pointer, a web page."""
from __future__ import annotations

# First bytes -> what it is, and how the file inside comes out.
_PACKED = ((b"\x1f\x8b", "gzip", "gunzip"), (b"BZh", "bzip2", "bunzip2"),
           (b"\xfd7zXZ\0", "xz", "unxz"), (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"))
_ARCHIVES = ((b"PK\x03\x04", "zip", "unzip"), (b"7z\xbc\xaf\x27\x1c", "7z", "7z x"),
             (b"Rar!\x1a\x07", "rar", "unrar x"))
_HDF5, _NUMPY = b"\x89HDF\r\n\x1a\n", b"\x93NUMPY"


# Pictures of kinds that are not read.
_PICTURES = ((b"%PDF", "a PDF"), (b"\xff\x0a", "a JPEG XL picture"),
             (b"\0\0\0\x0cJXL ", "a JPEG XL picture"), (b"8BPS", "a Photoshop file"),
             (b"FUJIFILMCCD-RAW", "a camera's raw file"), (b"IIU\0", "a camera's raw file"),
             (b"IIRO", "a camera's raw file"), (b"P7\n", "a PAM picture"),
             (b"PF\n", "a PFM picture"), (b"Pf\n", "a PFM picture"),
             (b"v/1\x01", "an OpenEXR picture"),
             (b"\0\0\x01\0", "an icon"), (b"DDS ", "a texture (DDS)"))


def other_picture(data: bytes) -> str:
    """Return what a file is that is no photograph, as `other_file`: pictures of other kinds too."""
    start = data[:512].lstrip().lower()
    name = next((name for magic, name in _PICTURES if data.startswith(magic)), "")
    if not name and b"<svg" in start and start.startswith((b"<?xml", b"<svg", b"<!--")):
        name = "a drawing (SVG)"
    if name:
        return f"it is {name}, which is not read here; save it as JPEG or PNG"
    return other_file(data)


def other_file(data: bytes, archives: bool = True) -> str:
    """Return what a file is in truth and what to do, in words; empty where nothing is known of it.

    Asked about a file that is not of the kind that was expected.

    Args:
      data: its bytes, or the first 512 of them.
      archives: whether a zip archive is another file; PyTorch's are zip archives themselves.
    """
    start = data[:512].lstrip().lower()
    for magic, name, tool in _PACKED:
        if data.startswith(magic):
            return f"it is compressed by {name}; unpack it ({tool}) and give the file inside"
    for magic, name, tool in _ARCHIVES:
        if data.startswith(magic) and (archives or name != "zip"):
            return f"it is a {name} archive; unpack it ({tool}) and give the file inside"
    if data[257:262] == b"ustar":
        return "it is a tar archive; unpack it (tar xf) and give the file inside"
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the file itself; fetch that: git lfs pull"
    if start.startswith((b"<!doctype", b"<html")):
        return "it is a web page, not the file itself; download that"
    if start.startswith(b"<?xml") and b"<svg" not in start:
        return "it is an answer in XML, often of a refused download; download the file again"
    if data.startswith(_HDF5):
        return ("it is an HDF5 file (Keras' .h5, MATLAB's -v7.3), which is not read here; save it "
                "in the form asked for")
    if data.startswith(_NUMPY):
        return ("it is an array of numpy (.npy), which is not read here; save it in the form asked "
                "for")
    return ""
