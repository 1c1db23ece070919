"""The server behind the page, asked over a real socket."""
from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import pytest

from oace_tf import pictures
from oace_tf.clicks import Click
from oace_tf.demo import web
from oace_tf.segmenter import TapSegmenter

TAP = [{"kind": "tap", "points": [[22, 40]]}]
Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture(scope="module")
def address(serve: Callable[..., Any], tiny_int8: Path) -> Iterator[str]:
    with serve(tiny_int8) as url:
        yield url


@pytest.fixture
def ask(address: str) -> Ask:
    def _ask(path: str, body: bytes | None = None, method: str | None = None,
             **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection(urlsplit(address).netloc, timeout=60)
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        connection.request(method or ("GET" if body is None else "POST"), path, body, named)
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found
    return _ask


@pytest.fixture
def key(ask: Ask, kinds: Any) -> str:
    status, _, body = ask("/photos", kinds.encoded(kinds.halves(), "PNG"),
                          X_File_Name=quote("dög / cat.png"))
    assert status == 200
    return json.loads(body)["key"]


def _marks(marks: Any, **values: Any) -> bytes:
    return json.dumps({"marks": marks, **values}).encode()


def test_the_page_names_no_other_server(ask: Ask) -> None:
    for path in ("/", *(f"/{name}" for name in web._FILES)):
        status, headers, body = ask(path)
        assert status == 200 and headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "http" not in policy
        text = body.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "http:" not in text and "https:" not in text and "//cdn" not in text
    assert ask("/index.html")[0] == 404
    assert ask("/..%2fweb.py")[0] == 404


def test_from_photograph_to_cutout(ask: Ask, key: str, kinds: Any, tiny_int8: Path) -> None:
    expected = TapSegmenter(tiny_int8).segment(kinds.halves(), [Click(22, 40)])
    status, headers, body = ask(f"/photos/{key}/preview")
    assert status == 200 and headers["content-type"] == "image/jpeg"
    assert kinds.decoded(body).shape == (60, 90, 3)
    status, _, body = ask(f"/photos/{key}/mask", _marks(TAP))
    found = json.loads(body)
    assert status == 200 and found["ms"] > 0
    assert found["share"] == pytest.approx(expected.mean())
    png = base64.b64decode(found["mask"].removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(kinds.decoded(png)[..., 3] == 255, expected)
    assert found["alternatives"] == [] and found["taken"] is None
    glance = json.loads(ask(f"/photos/{key}/glance", _marks(TAP))[2])
    assert glance["mask"] == found["mask"] and glance["ms"] > 0
    status, headers, body = ask(f"/photos/{key}/cutout", _marks(TAP))
    assert status == 200 and headers["content-type"] == "image/png"
    np.testing.assert_array_equal(kinds.decoded(body), pictures.cutout(kinds.halves(), expected))
    body = ask(f"/photos/{key}/cutout", _marks(TAP, crop=True, feather=2.5, refine=True))[2]
    assert kinds.decoded(body).shape[0] < 60
    details = json.loads(ask(f"/photos/{key}/details", _marks(TAP))[2])
    assert details["float_ms"] is None and "quantize.py" in details["float_note"]


def test_samples(ask: Ask) -> None:
    listed = json.loads(ask("/facts")[2])["samples"]
    assert {one["licence"] for one in listed} <= {"CC0", "public domain"} and len(listed) >= 5
    for one in listed:
        assert ask(f"/samples/{one['file']}")[0] == 200
        opened = json.loads(ask(f"/photos/samples/{one['file']}", b"")[2])
        assert opened["name"] == one["file"] and opened["key"]
    assert ask("/samples/README.md")[0] == 404
    assert ask("/photos/samples/none.jpg", b"")[0] == 404


@pytest.mark.parametrize("body", [
    b"", b"x", b"[]", b"{}", b"null", b"\xff", b"[" * 5000, _marks([]), _marks([[1, 2, True]]),
    _marks([{"kind": "tap", "points": [[1e999, 2]]}]),
    _marks([{"kind": "tap", "points": [[1, 2]], "object": False}]),
    _marks([{"kind": "tap", "points": [[500, 2]]}]),
    _marks([{"kind": "box", "points": [[1, 2], [9, 9]]}])])
def test_wrong_marks(ask: Ask, key: str, body: bytes) -> None:
    for path in ("mask", "glance", "details", "cutout"):
        status, _, answer = ask(f"/photos/{key}/{path}", body)
        assert status == 400 and json.loads(answer)["error"]


LABELS: list[dict[str, Any]] = [{"name": "red", "strokes": [[[10, 40], [30, 50]]]},
                                {"name": "background", "strokes": [[[60, 30]]]}]


def test_several_objects(ask: Ask, key: str, kinds: Any, tiny_int8: Path) -> None:
    strokes = {one["name"]: one["strokes"] for one in LABELS}
    expected, legend = TapSegmenter(tiny_int8).regions(kinds.halves(), strokes)
    body = json.dumps({"labels": LABELS, "refine": False}).encode()
    status, _, answer = ask(f"/photos/{key}/regions", body)
    found = json.loads(answer)
    png = base64.b64decode(found["labels"].removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(kinds.decoded(png), expected)
    assert status == 200 and found["legend"] == {str(k): name for k, name in legend.items()}
    assert found["shares"] == pytest.approx([(expected == k).mean() for k in legend])
    assert expected.any() and found["ms"] > 0
    status, headers, answer = ask(f"/photos/{key}/labels", body)
    assert status == 200 and headers["content-type"] == "image/png"
    np.testing.assert_array_equal(kinds.decoded(answer), expected)


@pytest.mark.parametrize("labels", [
    None, [], {}, [1], [{"name": "a"}], [{"name": "a", "strokes": [[1, 2]]}],
    [{"name": "a", "strokes": [[[1, "x"]]]}], [{"name": 3, "strokes": [[[1, 2]]]}],
    [{"name": ["a"], "strokes": [[[1, 2]]]}], [{"name": " ", "strokes": [[[1, 2]]]}],
    [{"name": "a", "strokes": []}], [{"name": "a", "strokes": [[]]}], [LABELS[1]],
    [LABELS[0], LABELS[0]], [{"name": "a", "strokes": [[[1, 1e999]]]}],
    [{"name": "a", "strokes": [[[100, 2]]]}],
    [{"name": f"{k}", "strokes": [[[k, 2]]]} for k in range(33)]])
def test_wrong_labels(ask: Ask, key: str, labels: Any) -> None:
    for path in ("regions", "labels"):
        status, _, answer = ask(f"/photos/{key}/{path}", json.dumps({"labels": labels}).encode())
        assert status == 400 and json.loads(answer)["error"]
        assert ask(f"/photos/none/{path}", json.dumps({"labels": LABELS}).encode())[0] == 410


def test_wrong_options(ask: Ask, key: str) -> None:
    for values in ({"feather": -1}, {"crop": "yes"}, {"refine": 2}):
        assert ask(f"/photos/{key}/cutout", _marks(TAP, **values))[0] == 400


def test_wrong_photographs(ask: Ask) -> None:
    for data in (b"", b"no picture", b"GIF89a"):
        status, _, answer = ask("/photos", data, X_File_Name="..%2F..%2Fholiday.jpg")
        error = json.loads(answer)["error"]
        assert status == 400 and error.startswith("holiday.jpg is not a readable image")


def test_a_photograph_that_is_not_kept(ask: Ask) -> None:
    assert ask("/photos/none/preview")[0] == 410
    for path in ("mask", "glance", "details", "cutout"):
        assert ask(f"/photos/none/{path}", _marks(TAP))[0] == 410


def test_too_large_an_upload(serve: Callable[..., Any], tiny_int8: Path,
                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MAX_UPLOAD_BYTES", 1000)
    with serve(tiny_int8) as url:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
        connection.request("POST", "/photos", bytes(1001))
        answer = connection.getresponse()
        assert answer.status == 413 and "larger than" in json.loads(answer.read())["error"]
        connection.close()


def test_other_names_and_other_pages_are_refused(ask: Ask, address: str) -> None:
    own = urlsplit(address).netloc
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1"):
        assert ask("/facts", Host=host)[0] == 403
    assert ask("/facts", Host=own)[0] == 200
    for origin in ("http://evil.example", "null", f"http://{own}.evil.example",
                   "http://127.0.0.1:1"):
        assert ask("/photos/samples/cat.jpg", b"", Origin=origin)[0] == 403
    assert ask("/photos/samples/cat.jpg", b"", Origin=address)[0] == 200


def test_any_name_where_the_network_may_use_it(serve: Callable[..., Any], tiny_int8: Path) -> None:
    with serve(tiny_int8, hosts=None) as url:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
        connection.request("GET", "/facts", headers={"Host": "my-phone-sees-this.local"})
        assert connection.getresponse().status == 200
        connection.close()
