"""The page: whole, self-contained, well-formed; its cases, outlines and charts."""
from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

from oace_tf import evaluate

VOID = {"meta", "img", "br"}


class _Nesting(HTMLParser):
    """Checks that every tag is closed in order, and collects what is addressed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)


def test_page(data: Path, tmp_path: Path, tiny_int8: Path, tiny_float32: Path) -> None:
    odd = tmp_path / "<tiny> & co.tflite"
    odd.write_bytes(tiny_int8.read_bytes())
    page = tmp_path / "page.html"
    assert evaluate.main([str(word) for word in [
        "--data", data, "--dataset", "many", "grabcut", "--workers", 1, "--clicks", 3,
        "--spread-taps", 2, "--baselines", "disk", "--model", odd, tiny_float32,
        "--html", page]]) == 0
    text = page.read_text()
    reader = _Nesting()
    reader.feed(text)
    assert reader.open == [] and reader.tags.count("svg") == 4
    # two sets, two models, worst and median, four and three objects
    assert reader.tags.count("img") == 2 * 2 * (4 + 3) == len(reader.addresses)
    assert all(address.startswith("data:image/jpeg;base64,") for address in reader.addresses)
    text = re.sub("base64,[^\"]*", "", text)
    assert "<script" not in text and "http" not in text and "nan" not in text.lower()
    assert "<tiny>" not in text and "&lt;tiny&gt; &amp; co" in text
    assert "many: 4 objects in 2 photographs" in text and "grabcut: 3 of 50 objects" in text
    assert "No pictures of the OACE" in text and "Paired differences" in text
    for svg in re.findall(r"<svg.*?</svg>", text):
        ElementTree.fromstring(svg)
    assert not list(tmp_path.glob("*.journal"))
