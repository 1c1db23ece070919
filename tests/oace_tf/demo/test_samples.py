"""The samples: every file has a source, and the page's list is the README's."""
from __future__ import annotations

from pathlib import Path

import pytest

from oace_tf.demo import samples
from oace_tf.errors import UsageError
from oace_tf.images import read_image

ROOT = Path(__file__).resolve().parents[3]


def test_every_sample_is_listed_with_its_source() -> None:
    listed = samples.list_samples()
    folder = ROOT / "docs" / "samples"
    assert samples.folder() == folder
    assert sorted(one.file for one in listed) == sorted(file.name for file in folder.glob("*.jpg"))
    text = (folder / "README.md").read_text(encoding="utf-8")
    for one in listed:
        row = next(line for line in text.splitlines() if f"`{one.file}`" in line)
        height, width = read_image(folder / one.file).shape[:2]
        for part in (one.photographer, one.licence, one.source_sha256, f"{width} x {height}"):
            assert part in row
        assert samples.read_sample(one.file) == (folder / one.file).read_bytes()


def test_samples_are_large_and_light_enough() -> None:
    """Five at least are 1,000 pixels long, the first one among them; each is quick to load."""
    listed = samples.list_samples()
    sides = [max(read_image(ROOT / "docs/samples" / one.file).shape[:2]) for one in listed]
    assert 5 <= len(listed) <= 8
    assert sum(side >= 1000 for side in sides) >= 5 and sides[0] >= 1000
    assert all(len(samples.read_sample(one.file)) < 150_000 for one in listed)
    assert len({one.title for one in listed}) == len(listed)


def test_only_what_is_listed_can_be_read() -> None:
    for name in ("README.md", "../figures.json", "none.jpg", ""):
        with pytest.raises(KeyError):
            samples.read_sample(name)


def test_without_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(samples, "PLACES", (tmp_path / "none",))
    assert samples.list_samples() == () and samples.folder() is None
    with pytest.raises(KeyError):
        samples.read_sample("cat.jpg")


def test_a_damaged_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(samples, "PLACES", (tmp_path,))
    (tmp_path / samples.LIST).write_text('[{"file": "a.jpg"}]')
    with pytest.raises(UsageError, match="samples.json"):
        samples.list_samples()
