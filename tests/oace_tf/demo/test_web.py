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

TAP = [[22, 40, True]]
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


def _taps(taps: Any) -> bytes:
    return json.dumps(taps).encode()


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
    status, _, body = ask(f"/photos/{key}/mask", _taps(TAP))
    found = json.loads(body)
    assert status == 200 and found["ms"] > 0
    assert found["share"] == pytest.approx(expected.mean())
    png = base64.b64decode(found["mask"].removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(kinds.decoded(png)[..., 3] == 255, expected)
    status, headers, body = ask(f"/photos/{key}/cutout.png?taps={quote(json.dumps(TAP))}")
    assert status == 200 and "cat_cutout.png" in headers["content-disposition"]
    np.testing.assert_array_equal(kinds.decoded(body), pictures.cutout(kinds.halves(), expected))
    details = json.loads(ask(f"/photos/{key}/details", _taps(TAP))[2])
    assert details["float_ms"] is None and "quantize.py" in details["float_note"]


def test_samples(ask: Ask) -> None:
    listed = json.loads(ask("/facts")[2])["samples"]
    assert [one["licence"] for one in listed] == ["CC0"] * len(listed) and len(listed) >= 3
    for one in listed:
        assert ask(f"/samples/{one['file']}")[0] == 200
        opened = json.loads(ask(f"/photos/samples/{one['file']}", b"")[2])
        assert opened["name"] == one["file"] and opened["key"]
    assert ask("/samples/README.md")[0] == 404
    assert ask("/photos/samples/none.jpg", b"")[0] == 404


@pytest.mark.parametrize("body", [
    b"", b"x", b"{}", b"[[1]]", b"[[1,2,3]]", b'[["a",2,true]]', b"[[NaN,2,true]]",
    b"[[1e999,2,true]]", b"[" * 5000, b"[[1,2,false]]", b"[[500,2,true]]", b"[]", b"\xff", b"null"])
def test_wrong_taps(ask: Ask, key: str, body: bytes) -> None:
    for path in ("mask", "details"):
        status, _, answer = ask(f"/photos/{key}/{path}", body)
        assert status == 400 and json.loads(answer)["error"]
    assert ask(f"/photos/{key}/cutout.png?taps={quote(body)}")[0] == 400


def test_wrong_photographs(ask: Ask) -> None:
    for data in (b"", b"no picture", b"GIF89a"):
        status, _, answer = ask("/photos", data, X_File_Name="..%2F..%2Fholiday.jpg")
        error = json.loads(answer)["error"]
        assert status == 400 and error.startswith("holiday.jpg is not a readable image")


def test_a_photograph_that_is_not_kept(ask: Ask) -> None:
    for path in ("preview", "cutout.png?taps=[]"):
        assert ask(f"/photos/none/{path}")[0] == 410
    assert ask("/photos/none/mask", _taps(TAP))[0] == 410


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
