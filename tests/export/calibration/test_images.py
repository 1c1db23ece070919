"""Sources of calibration images: their order, the checked download, folders of all kinds."""
from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from export.calibration import images as ci
from oace_tf.clicks import Click
from oace_tf.errors import UsageError
from oace_tf.samples.taps import KINDS

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody answers


def png(seed: int, size: tuple[int, int] = (40, 60)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


class Server:
    """Serves `files` (path -> bytes) on loopback and keeps what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802 (http.server calls it so)
                owner.asked.append(self.path)
                body = owner.files.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *args: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def listing(tmp_path: Path, server: Server) -> Path:
    """Return a list of five images; the server holds them."""
    entries = []
    for number in range(5):
        body = png(number)
        server.files[f"/val2017/{number:012d}.png"] = body
        entries.append({
            "id": number, "url": f"http://images.example.org/val2017/{number:012d}.png",
            "sha256": hashlib.sha256(body).hexdigest(), "width": 60, "height": 40,
            "kind": "centre", "taps": [[10 + number, 20, 1], [1, 2, 0]]})
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"seed": 0, "images": entries}))
    return path


def choose(listing: Path, tmp_path: Path, host: str = NOWHERE, **named: Any):
    settings = {"images": None, "data": None, "seed": 0, **named}
    return ci.choose(**settings, listing=listing, cache=tmp_path / "cache", host=host)


def test_download_and_cache(listing: Path, tmp_path: Path, server: Server) -> None:
    found, _ = choose(listing, tmp_path, server.url)
    assert found is not None and found.source == "downloaded COCO images"
    assert [p.path.parent for p in found.photographs] == [tmp_path / "cache"] * 5
    assert found.photographs[2].clicks == (Click(12, 20), Click(1, 2, False))
    assert len(server.asked) == 5
    again, _ = choose(listing, tmp_path, server.url)
    assert again is not None and again.summary() == found.summary()
    assert len(server.asked) == 5  # nothing was fetched twice
    offline, _ = choose(listing, tmp_path)
    assert offline is not None and offline.sha256 == found.sha256


def test_wrong_bytes_are_refused(listing: Path, tmp_path: Path, server: Server) -> None:
    server.files["/val2017/000000000003.png"] = png(99)
    found, notes = choose(listing, tmp_path, server.url)
    assert found is None
    assert "000000000003.png has not the listed SHA-256" in notes[-1]
    assert not (tmp_path / "cache" / "000000000003.png").exists()


def test_a_damaged_cache_is_fetched_anew(listing: Path, tmp_path: Path, server: Server) -> None:
    choose(listing, tmp_path, server.url)
    (tmp_path / "cache" / "000000000001.png").write_bytes(b"damaged")
    found, _ = choose(listing, tmp_path, server.url)
    assert found is not None and len(server.asked) == 6


def test_not_found(listing: Path, tmp_path: Path, server: Server) -> None:
    del server.files["/val2017/000000000004.png"]
    found, notes = choose(listing, tmp_path, server.url)
    assert found is None and "000000000004.png: HTTP 404" in notes[-1]


def test_without_network_one_image_is_tried(listing: Path, tmp_path: Path) -> None:
    found, notes = choose(listing, tmp_path)
    assert found is None
    assert "OACE_DATA" in notes[0] and "000000000000.png: ConnectionError" in notes[-1]


def test_local_images_come_first(listing: Path, tmp_path: Path, server: Server) -> None:
    local = tmp_path / "data" / "coco_calibration" / "images"
    local.mkdir(parents=True)
    for path, body in server.files.items():
        (local / Path(path).name).write_bytes(body)
    found, notes = choose(listing, tmp_path, server.url, data=tmp_path / "data")
    assert found is not None and found.source == "local COCO images"
    assert server.asked == [] and notes == ()
    downloaded, _ = choose(listing, tmp_path, server.url)
    assert downloaded is not None and downloaded.sha256 == found.sha256  # same bytes, same taps


def test_incomplete_local_images_are_passed_over(
    listing: Path, tmp_path: Path, server: Server
) -> None:
    local = tmp_path / "data" / "coco_calibration" / "images"
    local.mkdir(parents=True)
    (local / "000000000000.png").write_bytes(b"other")
    found, notes = choose(listing, tmp_path, server.url, data=tmp_path / "data")
    assert found is not None and found.source == "downloaded COCO images"
    assert "SHA-256" in notes[0]


def test_a_named_folder_is_the_only_source(
    listing: Path, tmp_path: Path, folder: Callable[..., Path]
) -> None:
    found, _ = choose(listing, tmp_path, images=folder("own", 5))
    assert found is not None and found.source == "folder own"
    assert "at random" in found.taps and found.skipped == ()
    assert len(found.photographs) == 5
    assert all(p.clicks[0].positive for p in found.photographs)
    assert any(len(p.clicks) > 1 for p in found.photographs)


def test_the_seed_decides_random_taps(folder: Callable[..., Path]) -> None:
    place = folder("own", 4)
    made = [ci.from_folder(place, seed) for seed in (0, 0, 1)]
    assert made[0].sha256 == made[1].sha256 != made[2].sha256


def test_an_unreadable_image_is_named_and_skipped(folder: Callable[..., Path]) -> None:
    place = folder("own", 3)
    (place / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    found = ci.from_folder(place, 0)
    assert len(found.photographs) == 3
    assert len(found.skipped) == 1 and "broken.jpg" in found.skipped[0]
    assert found.summary()["images"] == 3


@pytest.mark.parametrize("content", [{}, {"a.txt": b"x"}, {"a.jpg": b"x", "b.png": b""}])
def test_a_folder_without_readable_images_is_refused(
    content: dict[str, bytes], tmp_path: Path
) -> None:
    for name, body in content.items():
        (tmp_path / name).write_bytes(body)
    with pytest.raises(UsageError, match=tmp_path.name):
        ci.from_folder(tmp_path, 0)
    with pytest.raises(UsageError, match="no folder"):
        ci.from_folder(tmp_path / "none", 0)


def test_at_most_128(tmp_path: Path) -> None:
    for number in range(135):
        (tmp_path / f"{number:03d}.png").write_bytes(png(0, (6, 6)))
    chosen = [[p.path.name for p in ci.from_folder(tmp_path, seed).photographs]
              for seed in (0, 0, 1)]
    assert len(chosen[0]) == len(set(chosen[0])) == ci.COUNT
    assert chosen[0] == chosen[1] != chosen[2]


def instances(folder: Path, **change: Any) -> None:
    """Write an instances.json: an object at rows 10-20, columns 30-45 of 000.png (360x480)."""
    box = [30, 10, 45, 10, 45, 20, 30, 20]
    record = {"id": 1, "image_id": 7, "category_id": 3, "iscrowd": 0, "area": 150.0,
              "bbox": [30, 10, 15, 10], "segmentation": [box], **change}
    (folder / "instances.json").write_text(json.dumps({
        "images": [{"id": 7, "file_name": "000.png", "height": 360, "width": 480}],
        "annotations": [record], "categories": [{"id": 3, "name": "box"}]}))


def test_taps_lie_on_the_objects(folder: Callable[..., Path]) -> None:
    place = folder("set", 1)
    instances(place)
    for seed in range(5):
        found = ci.from_folder(place, seed)
        assert found.taps == "on objects of instances.json"
        click = found.photographs[0].clicks[0]
        assert 30 <= click.x <= 45 and 10 <= click.y <= 20


@pytest.mark.parametrize("change", [
    {"segmentation": [[1, 2, 3, 4, 5]]},  # odd
    {"segmentation": {"size": [360, 480], "counts": [5, 5]}},  # short
    {"segmentation": {"size": [4, 4], "counts": [16]}},  # another size
    {"image_id": 8},
])
def test_broken_instances_are_refused(
    change: dict[str, Any], folder: Callable[..., Path]
) -> None:
    place = folder("set", 1)
    instances(place, **change)
    with pytest.raises(UsageError, match="instances.json"):
        ci.from_folder(place, 0)


def test_an_image_of_another_size_is_skipped(folder: Callable[..., Path]) -> None:
    place = folder("set", 1)
    instances(place)
    (place / "000.png").write_bytes(png(0))
    with pytest.raises(UsageError, match="none of the 1 images"):
        ci.from_folder(place, 0)


def test_feeds(folder: Callable[..., Path]) -> None:
    found = ci.from_folder(folder("own", 4), 0)
    for photo, feed in zip(found.photographs, ci.feeds(found.photographs, 64, 2)):
        assert feed["image"].shape == (1, 64, 64, 3) and feed["points"].shape == (1, 2, 3)
        assert feed["image"].dtype == feed["points"].dtype == np.float32
        x = (photo.clicks[0].x + 0.5) * 64 / 480 - 0.5
        assert feed["points"][0, 0, 0] == pytest.approx(x)
        used = int((feed["points"][0, :, 2] >= 0).sum())
        assert used == min(2, len(photo.clicks))


@pytest.mark.parametrize("change", [
    {"images": []}, {"images": [{"id": 1}]}, {}, {"images": 3},
    {"images": [json.loads(ci.LIST.read_text())["images"][0] | {"taps": [[10**400, 1]]}]},
])
def test_a_malformed_list_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"seed": 0, **change}))
    with pytest.raises(UsageError, match="list.json"):
        ci.read_list(path)


def test_the_committed_list() -> None:
    entries = ci.read_list(ci.LIST)
    assert len(entries) == ci.COUNT == len({entry["id"] for entry in entries})
    assert len({entry["sha256"] for entry in entries}) == ci.COUNT
    assert [entry["kind"] for entry in entries] == [KINDS[k % 4] for k in range(ci.COUNT)]
    taps = [tap for entry in entries for tap in entry["taps"]]
    assert sum(label == 0 for _, _, label in taps) > 32  # background taps are among them
    for entry in entries:
        assert entry["url"].startswith(f"{ci.HOST}/") and f"{entry['id']:012d}.jpg" in entry["url"]
        assert all(0 <= x < entry["width"] and 0 <= y < entry["height"]
                   for x, y, _ in entry["taps"])


@pytest.mark.parametrize(("change", "objects", "counts", "words"), [
    ({}, 3, (3, 0), "on objects of instances.json"),
    ({}, 1, (1, 2), "on objects of instances.json on 1, at random on 2 of 3 photographs"),
    ({"iscrowd": 1}, 3, (0, 3), "at random on 3 of 3 photographs"),
    ({"segmentation": [[500, 50, 520, 50, 520, 60]], "bbox": [500, 50, 20, 10]}, 3, (0, 3),
     "at random on 3 of 3 photographs"),  # outside its picture
    ({"segmentation": {"size": [360, 480], "counts": [360 * 480]}, "bbox": [], "area": 0}, 2,
     (0, 3), "at random on 3 of 3 photographs"),
])
def test_how_many_were_tapped_on_objects_and_how_many_at_random(
        folder: Callable[..., Path], change: dict[str, Any], objects: int,
        counts: tuple[int, int], words: str) -> None:
    place = folder("set", 3)
    instances(place)
    content = json.loads((place / "instances.json").read_text())
    record, image = content["annotations"][0], content["images"][0]
    content["images"] = [{**image, "id": k, "file_name": f"{k:03d}.png"} for k in range(3)]
    content["annotations"] = [{**record, "id": k, "image_id": k, **change} for k in range(objects)]
    (place / "instances.json").write_text(json.dumps(content))
    summary = ci.from_folder(place, 0).summary()
    assert (summary["tapped_on_objects"], summary["tapped_at_random"]) == counts
    assert summary["taps"].startswith(words) and summary["skipped"] == []


def test_drawings_among_photographs_are_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    cv2.imwrite(str(tmp_path / "noise.png"), rng.integers(0, 256, (40, 50, 3), np.uint8))
    drawing = np.full((40, 50, 3), 255, np.uint8)
    cv2.line(drawing, (2, 3), (40, 30), (0, 0, 200), 2)
    cv2.imwrite(str(tmp_path / "plot.png"), drawing)
    found = ci.from_folder(tmp_path, 0)
    assert [photo.flat for photo in found.photographs] == [False, True]
    assert len(found.notes) == 1 and "1 of 2" in found.notes[0] and "plot.png" in found.notes[0]
    (tmp_path / "plot.png").unlink()
    assert ci.from_folder(tmp_path, 0).notes == ()
    assert not ci.is_flat(np.zeros((4, 1, 3), np.uint8))  # no neighbours
