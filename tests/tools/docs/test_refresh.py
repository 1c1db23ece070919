"""Pictures, limits, model card: of the shipped file, and remade by one command."""
from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from oace_tf import fileio
from oace_tf.errors import GateFailed
from oace_tf.segmenter import DEFAULT_MODEL
from tests.oace_tf.conftest import tiny_int8  # noqa: F401  (fixture)
from tools.docs import limits, refresh
from tools.docs import picture as make_picture

ROOT = Path(__file__).resolve().parents[3]


def test_what_is_committed_is_current() -> None:
    assert refresh.check(None) == 0


def test_a_picture_of_another_file_is_found_out(monkeypatch: pytest.MonkeyPatch,
                                                tmp_path: Path) -> None:
    sha256 = fileio.sha256_file(DEFAULT_MODEL)
    for name, value in (("result.json", sha256), ("limits.json", "0" * 64)):
        (tmp_path / name).write_text(json.dumps({"sha256": value}))
    monkeypatch.setattr(refresh, "IMAGES", tmp_path)
    with pytest.raises(GateFailed, match="limits.json.*tools/docs/refresh.py"):
        refresh.check(None)


def test_a_step_that_fails_ends_it(monkeypatch: pytest.MonkeyPatch,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    called: list[str] = []

    def step(name: str, code: int) -> Callable[[list[str]], int]:
        def main(argv: list[str]) -> int:
            called.append(name)
            return code
        return main

    monkeypatch.setattr(make_picture, "main", step("picture", 2))
    monkeypatch.setattr(limits, "main", step("limits", 0))
    assert refresh.main([]) == 1
    assert called == ["picture"] and "tools/docs/picture.py failed" in capsys.readouterr().err


@pytest.mark.parametrize("document", ["README.md", "MODEL_CARD.md", "docs/demo.md",
                                      "docs/samples/README.md", "docs/weights_licence.md"])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (path.parent / target).exists(), f"{document}: {target}"
