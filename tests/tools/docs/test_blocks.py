"""Parts of documents that commands write."""
from __future__ import annotations

from pathlib import Path

import pytest

from oace_tf.errors import GateFailed, UsageError
from tools.docs import blocks

TEXT = "# Title\n<!-- a:begin -->\nold\n<!-- a:end -->\nmiddle\n<!-- b:begin -->\n<!-- b:end -->\n"


def test_there_and_found_out(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(TEXT)
    bodies = {"a": "one\ntwo", "b": "three"}
    with pytest.raises(GateFailed, match="'a'.*not current; run this"):
        blocks.check_blocks(path, bodies, "this")
    blocks.write_blocks(path, bodies)
    assert path.read_text() == ("# Title\n<!-- a:begin -->\none\ntwo\n<!-- a:end -->\nmiddle\n"
                                "<!-- b:begin -->\nthree\n<!-- b:end -->\n")
    blocks.check_blocks(path, bodies, "this")
    with pytest.raises(GateFailed, match="'b'"):
        blocks.check_blocks(path, {**bodies, "b": "four"}, "this")


@pytest.mark.parametrize("text", [
    "", "<!-- a:begin -->", "<!-- a:end --><!-- a:begin -->", TEXT.replace("a:end", "c:end"),
    TEXT + TEXT, TEXT + "<!-- a:end -->"])
def test_markers_that_are_missing_or_doubled(text: str) -> None:
    with pytest.raises(UsageError, match="FILE must hold"):
        blocks.with_block(text, "a", "x", "FILE")
