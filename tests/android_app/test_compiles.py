"""The whole app compiles, both variants, without warnings: against names and types alone."""
from __future__ import annotations

import re

import pytest

from tests.android_app import compiled


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["litert", "mediapipe"])
def test_the_app_compiles_without_warnings(variant):
    compiled.compile_app(variant)


def test_a_wrong_name_is_seen(monkeypatch, tmp_path):
    """The compilation can fail: a function of Android that is not there is refused."""
    compiled.compiler()
    wrong = tmp_path / "Wrong.kt"
    wrong.write_text("import android.net.Uri\n\nfun wrong(uri: Uri) = uri.toFile()\n")
    uri = [compiled.FRAMEWORK / f"android/{name}.java" for name in ("net/Uri", "os/Parcelable")]
    monkeypatch.setattr(compiled, "ROOT", tmp_path)
    with pytest.raises(AssertionError, match="toFile"):
        compiled._classes(compiled.compiler(), [wrong, *uri])


def test_the_framework_holds_nothing_but_what_is_used():
    folders = (compiled.APP, compiled.MODULE, compiled.FRAMEWORK)
    texts = {path: path.read_text(encoding="utf-8") for folder in folders
             for path in folder.rglob("*") if path.suffix in (".kt", ".java", ".xml")}
    for path in compiled.FRAMEWORK.rglob("*.java"):
        name = re.compile(rf"\b{path.stem}\b")
        assert any(name.search(text) for other, text in texts.items() if other != path), path
