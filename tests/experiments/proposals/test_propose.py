"""The command that proposes masks: its file, going on, what it leaves out and refuses."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from experiments import minisam
from experiments.proposals import propose
from oace_tf.samples.coco import decode_mask
from oace_tf.training.sources import find_sources


class BrightTeacher:
    """Proposes what is bright."""

    def look(self, image: np.ndarray) -> None:
        """Take a photograph."""
        self.bright = image[..., 0] > 128

    def masks(self, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
        """Return one mask."""
        return np.where(self.bright, 8.0, -8.0)[None].astype(np.float32), np.array([0.95])


class BrightSegmenter:
    """Agrees."""

    def probability(self, image: np.ndarray, clicks: Any) -> np.ndarray:
        """Return probabilities."""
        return (image[..., 0] > 128).astype(np.float32)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of five photographs, the third unreadable, the fifth without an object."""
    folder = tmp_path / "photographs"
    (folder / "images").mkdir(parents=True)
    listing = []
    for number in range(5):
        image = np.full((40, 60, 3), 40, np.uint8)
        if number != 4:
            image[10:30, 10 + number:40] = 220
        path = folder / "images" / f"{number}.png"
        assert cv2.imwrite(str(path), image)
        if number == 2:
            path.write_bytes(b"no image")
        listing.append({"id": number + 1, "file_name": path.name, "width": 60, "height": 40})
    (folder / "images.json").write_text(json.dumps({"images": listing}))
    (tmp_path / "our.tflite").write_bytes(b"ours")

    def bright_networks(teacher: Path, model: Path, grid: int, seed: int) -> propose.Networks:
        stand_ins: Any = {"teacher": BrightTeacher(), "segmenter": BrightSegmenter()}
        return propose.Networks(**stand_ins, grid=grid, seed=seed)

    monkeypatch.setattr(propose, "open_networks", bright_networks)
    monkeypatch.setattr(minisam, "find", lambda folder, cache: cache)
    return folder


@pytest.fixture
def command(source: Path) -> Callable[..., int]:
    """Return a function that calls the command on the folder."""
    def call(*arguments: Any) -> int:
        return propose.main([str(source), "--model", str(source.parent / "our.tflite"),
                             *map(str, arguments)])
    return call


def test_the_file_is_a_source_of_training(source: Path, command: Callable[..., int],
                                          capsys: pytest.CaptureFixture[str],
                                          caplog: pytest.LogCaptureFixture) -> None:
    assert command() == 0
    assert "3 masks on 3 of 4 photographs, 1 left out" in capsys.readouterr().out
    assert "2.png" in caplog.text
    found, = find_sources([source], {"photographs_proposed": 1.0})
    assert [image.id for image in found.dataset.images] == [1, 2, 4]
    for image, left in zip(found.dataset.images, (10, 11, 13)):
        expected = np.zeros((40, 60), np.uint8)
        expected[10:30, left:40] = 1
        annotation, = image.annotations
        assert (decode_mask(annotation, 40, 60) == expected).all()


def test_it_goes_on_where_it_stopped(source: Path, command: Callable[..., int],
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("--out", source / "whole.json") == 0
    assert command("--limit", 2) == 0
    first = json.loads((source / propose.FOUND).read_text())
    assert first["images_seen"] == [1, 2]
    asked = []
    inner = propose.objects_of

    def noted(networks: Any, photograph: tuple[int, Path]) -> Any:
        asked.append(photograph[0])
        return inner(networks, photograph)

    monkeypatch.setattr(propose, "objects_of", noted)
    assert command() == 0 and asked == [3, 4, 5]
    assert (source / propose.FOUND).read_bytes() == (source / "whole.json").read_bytes()
    assert command() == 0 and asked == [3, 4, 5, 3]  # what could not be read is tried again
    cv2.imwrite(str(source / "images" / "2.png"), np.full((40, 60, 3), 40, np.uint8))
    assert command() == 0 and asked == [3, 4, 5, 3, 3]
    assert command() == 0 and asked == [3, 4, 5, 3, 3]  # nothing left


def test_the_size_is_that_of_the_photograph(source: Path, command: Callable[..., int]) -> None:
    listing = json.loads((source / "images.json").read_text())
    for image in listing["images"]:
        image.update(width=40, height=60)  # as if it had been turned
    (source / "images.json").write_text(json.dumps(listing))
    assert command() == 0
    found, = find_sources([source], {"photographs_proposed": 1.0})
    assert {(image.height, image.width) for image in found.dataset.images} == {(40, 60)}


def test_an_interrupt_keeps_what_was_written(
        source: Path, command: Callable[..., int], monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(propose, "KEPT_EVERY", 1)
    inner = propose.objects_of

    def stopping(networks: Any, photograph: tuple[int, Path]) -> Any:
        if photograph[0] == 4:
            raise KeyboardInterrupt
        return inner(networks, photograph)

    monkeypatch.setattr(propose, "objects_of", stopping)
    assert command() == 130 and "goes on" in capsys.readouterr().err
    assert json.loads((source / propose.FOUND).read_text())["images_seen"] == [1, 2]


def test_bad_input_is_one_line_and_exit_2(source: Path, command: Callable[..., int],
                                          capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*arguments: Any) -> str:
        assert command(*arguments) == 2
        found = capsys.readouterr()
        assert found.out == "" and found.err.count("\n") == 1
        return found.err

    assert "--grid is 0" in refused("--grid", 0)
    assert "--limit is -1" in refused("--limit", -1)
    assert "--seed is -1" in refused("--seed", -1)
    assert command() == 0
    capsys.readouterr()
    assert "other networks or settings" in refused("--seed", 7)
    written = json.loads((source / propose.FOUND).read_text())
    for cut in ({"info": written["info"]}, {**written, "images_seen": [[1]]}):
        (source / "cut.json").write_text(json.dumps(cut))
        assert "cut.json" in refused("--out", source / "cut.json")
    (source.parent / "our.tflite").write_bytes(b"another")
    assert "other networks or settings" in refused()
    for record, words in (({"id": "one", "file_name": "x.png"}, "id must be a whole number"),
                          ({"id": 1, "file_name": "../x.png"}, "no file name inside the folder")):
        (source / "images.json").write_text(json.dumps({"images": [record]}))
        assert words in refused("--out", source / "new.json")
    (source / "images.json").write_text('{"images": [{"id": 1, "file_name": "none.png"}]}')
    assert command("--out", source / "new.json") == 2
    assert "none of 1 photographs could be read" in capsys.readouterr().err
    (source / "images.json").unlink()
    assert "images.json" in refused()


def test_a_damaged_model_is_one_line_from_workers_too(source: Path, capsys: Any,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the setup is imported anew in each worker
    monkeypatch.setattr(minisam, "find", lambda folder, cache: source)
    code = propose.main([str(source), "--model", str(source.parent / "our.tflite"), "--workers",
                         "2"])
    found = capsys.readouterr()
    assert code == 2 and "our.tflite" in found.err and found.err.count("\n") == 1
