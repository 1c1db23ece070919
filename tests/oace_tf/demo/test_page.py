"""The page in a real, headless Chromium. Skipped, with the reason, where there is none."""
from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oace_tf import pictures
from oace_tf.clicks import Click
from oace_tf.images import read_image
from oace_tf.segmenter import DEFAULT_MODEL, TapSegmenter

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ROOT = Path(__file__).resolve().parents[3]
PATIENCE_MS = 90_000  # a busy machine
EXPECTED = ("Failed to load resource: the server responded with a status of 4",  # tested for
            "Canvas2D: Multiple readback operations")  # by this test itself
STARTS = "name => document.getElementById('status').textContent.startsWith(name)"
ANSWERED = "#results[data-turn='{}']"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(serve: Callable[..., Any]) -> Iterator[str]:
    with serve(DEFAULT_MODEL) as url:
        yield url


@pytest.fixture(scope="module")
def small(serve: Callable[..., Any], tiny_int8: Path) -> Iterator[str]:
    """Return the address of a page with the tiny file: red inside the disks."""
    with serve(tiny_int8) as url:
        yield url


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Return what opens the page; afterwards, no word on the console and no request elsewhere."""
    contexts, complaints = [], []

    def _visit(url: str, **options: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text)
                if not message.text.startswith(EXPECTED) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if not
                request.url.startswith((url, "data:", "blob:")) else None)
        page.goto(url)
        page.wait_for_selector("#stage[data-ready]")
        return page

    yield _visit
    for context in contexts:
        context.close()
    assert complaints == []


def _open(page: Any, data: bytes, name: str) -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": data})
    page.wait_for_function(STARTS, arg=name)


def _tap(page: Any, x: float, y: float, turn: int, how: str = "left") -> None:
    """Tap at a place given as shares of width and height; wait for the whole answer."""
    box = page.locator("#photo").bounding_box()
    place = (box["x"] + x * box["width"], box["y"] + y * box["height"])
    if how == "touch":
        page.touchscreen.tap(*place)
    else:
        page.mouse.click(*place, button=how)
    page.wait_for_selector(ANSWERED.format(turn))


def _pixels(page: Any, canvas: str) -> np.ndarray:
    """Return what a canvas shows, (H, W, 4) uint8 RGBA."""
    flat, width, height = page.evaluate("""id => {
        const canvas = document.getElementById(id);
        const {width, height} = canvas;
        const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
        let text = "";
        for (let k = 0; k < data.length; k += 8192)
            text += String.fromCharCode(...data.subarray(k, k + 8192));
        return [btoa(text), width, height];
    }""", canvas)
    return np.frombuffer(base64.b64decode(flat), np.uint8).reshape(height, width, 4)


def _taps(page: Any) -> list[Any]:
    return page.evaluate("async () => (await import('/state.js')).state.taps")


def _mask(page: Any) -> np.ndarray:
    return _pixels(page, "mask")[..., 0] > 127


def test_load_tap_mask_and_download(visit: Callable[..., Any], address: str, tmp_path: Path,
                                    kinds: Any) -> None:
    """The whole way with the shipped file: what is seen and saved is what the library says."""
    page = visit(address)
    page.click("#sample-list button")  # coffee
    page.wait_for_selector("#stage[data-state=open]")
    assert not _mask(page).any()
    _tap(page, 0.48, 0.3, 1)
    image = read_image(ROOT / "docs" / "samples" / "coffee.jpg")
    taps = _taps(page)
    assert taps[0][:2] == pytest.approx([0.48 * 600 - 0.5, 0.3 * 400 - 0.5], abs=1)
    expected = TapSegmenter().segment(image, [Click(*taps[0])])
    first = _mask(page)
    assert expected.any()
    np.testing.assert_array_equal(first, expected)
    oace = _pixels(page, "oace")
    assert (oace[..., 3] == 255).all() and oace[..., :3].std() > 10
    assert page.inner_text("#int8-ms").endswith(" ms")
    assert "quantize.py" in page.inner_text("#notes")
    before = page.locator("#photo").screenshot()
    with page.expect_download() as saved:
        page.click("#download")
    saved.value.save_as(tmp_path / "cut.png")
    assert saved.value.suggested_filename == "coffee_cutout.png"
    cutout = kinds.decoded((tmp_path / "cut.png").read_bytes())
    np.testing.assert_array_equal(cutout, pictures.cutout(image, expected))
    _tap(page, 0.85, 0.9, 2)
    assert (_mask(page) != first).any()
    assert page.locator("#photo").screenshot() != before
    if folder := os.environ.get("OACE_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / "desktop.png"), full_page=True)


def test_left_adds_right_and_toggle_remove_undo_clear(visit: Callable[..., Any], small: str,
                                                      kinds: Any) -> None:
    page = visit(small)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    page.mouse.click(5, 5)  # beside the photograph: nothing happens
    _tap(page, 0.25, 0.7, 1)
    one = _mask(page)
    assert one[42, 22] and not one[42, 60]
    _tap(page, 0.33, 0.7, 2, "right")
    two = _mask(page)
    assert two.sum() < one.sum() and not (two & ~one).any() and not two[42, 30]
    page.click("#undo")
    page.wait_for_selector(ANSWERED.format(1))
    np.testing.assert_array_equal(_mask(page), one)
    page.click("#remove")
    _tap(page, 0.33, 0.7, 2)
    np.testing.assert_array_equal(_mask(page), two)
    page.click("#clear")
    page.wait_for_selector("#undo:disabled")
    assert not _mask(page).any() and page.locator("#undo").is_disabled()
    assert page.locator("#download").is_disabled()
    box = page.locator("#photo").bounding_box()
    page.mouse.click(box["x"] + 50, box["y"] + 50)  # still in the mode that removes
    page.wait_for_selector("#message:not([hidden])")
    assert "First tap the object" in page.inner_text("#message")


def test_keyboard_alone(visit: Callable[..., Any], small: str, kinds: Any) -> None:
    page = visit(small)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    page.focus("#photo")
    for key in ["Shift+ArrowLeft"] * 5 + ["Shift+ArrowDown"] * 2 + ["Enter"]:
        page.keyboard.press(key)
    page.wait_for_selector(ANSWERED.format(1))
    one = _mask(page)
    (x, y, positive), = _taps(page)
    assert positive and (x, y) == pytest.approx((44.5 - 5 * 4.5, 29.5 + 2 * 4.5), abs=0.01)
    assert one[round(y), round(x)]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("b")
    page.wait_for_selector(ANSWERED.format(2))
    assert _mask(page).sum() < one.sum()
    page.keyboard.press("u")
    page.wait_for_selector(ANSWERED.format(1))
    np.testing.assert_array_equal(_mask(page), one)
    page.keyboard.press("t")
    assert page.get_attribute("#remove", "aria-checked") == "true"
    with page.expect_download():
        page.keyboard.press("d")
    page.keyboard.press("c")
    page.wait_for_selector("#undo:disabled")
    for _ in range(12):  # everything can be reached with Tab
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#sample-list') !== null"):
            break
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('status').textContent.includes('600')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_touch_at_phone_width(visit: Callable[..., Any], small: str, kinds: Any,
                              scheme: str) -> None:
    page = visit(small, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True,
                 color_scheme=scheme)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for button in ("#add", "#remove", "#open", "#undo", "#clear", "#download"):
        box = page.locator(button).bounding_box()
        assert box["height"] >= 44 and 0 <= box["x"] and box["x"] + box["width"] <= 360
    _tap(page, 0.25, 0.7, 1, "touch")
    one = _mask(page)
    assert one[42, 22]
    page.locator("#photo").dispatch_event("pointerdown", {
        "pointerId": 7, "pointerType": "touch", "button": 0, **_centre(page, 0.33, 0.7)})
    page.wait_for_selector(ANSWERED.format(2))  # a long touch removes
    assert _mask(page).sum() < one.sum()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(one) for one in ground.strip("rgb()").split(",")) / 3
    assert brightness > 200 if scheme == "light" else brightness < 50


def _centre(page: Any, x: float, y: float) -> dict[str, float]:
    box = page.locator("#photo").bounding_box()
    return {"clientX": box["x"] + x * box["width"], "clientY": box["y"] + y * box["height"]}


def test_two_fingers_and_moving_ones_do_not_tap(visit: Callable[..., Any], small: str,
                                                kinds: Any) -> None:
    page = visit(small, has_touch=True)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    photo, place = page.locator("#photo"), _centre(page, 0.3, 0.7)
    moved = {**place, "clientX": place["clientX"] + 40}
    touch = {"pointerType": "touch", "button": 0}
    for events in (
            [("down", 1, place), ("move", 1, moved), ("up", 1, moved)],
            [("down", 1, place), ("down", 2, moved), ("up", 1, place), ("up", 2, moved)]):
        for kind, pointer, at in events:
            photo.dispatch_event(f"pointer{kind}", {"pointerId": pointer, **touch, **at})
    page.wait_for_timeout(700)  # longer than a long touch
    assert _taps(page) == []


def test_difficult_files(visit: Callable[..., Any], small: str, kinds: Any) -> None:
    """A broken file leaves the open photograph; all others are shown upright, and answer."""
    page = visit(small)
    plain = kinds.encoded(kinds.halves(), "PNG")
    _open(page, plain, "plain.png")
    page.set_input_files("#file", {"name": "bad.jpg", "mimeType": "image/jpeg", "buffer": b"no"})
    page.wait_for_selector("#message:not([hidden])")
    assert "bad.jpg is not a readable image" in page.inner_text("#message")
    _tap(page, 0.25, 0.7, 1)  # the earlier photograph still answers
    assert page.locator("#message").is_hidden()
    image = kinds.halves()
    transparent = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    transparent[:20, 60:, 3] = 0
    stored = np.ascontiguousarray(kinds.turned(image, 6))
    for name, data, words in (
            ("moving.gif", kinds.animated("GIF"), "animated"),
            ("clear.png", kinds.encoded(transparent, "PNG"), "Transparent"),
            ("turned.jpg", kinds.encoded(stored, "JPEG", exif=kinds.exif(6), quality=95), ""),
            ("large.jpg", kinds.fifty_megapixels(), "8660 × 5774")):
        _open(page, data, name)
        assert words in page.inner_text("#status")
        seen = _pixels(page, "photo")
        height, width = seen.shape[:2]
        assert width > height and max(width, height) <= 1600
        assert seen[height // 2, width // 4, 0] > 200 > 60 > seen[height // 2, width // 4, 2]
        _tap(page, 0.25, 0.7, 1)
        mask = _mask(page)
        assert mask[int(0.7 * height), width // 4] and not mask[:, width // 2 + 30:].any()


def test_a_photograph_that_the_server_dropped_is_sent_again(
        visit: Callable[..., Any], small: str, kinds: Any) -> None:
    page = visit(small)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    page.route("**/mask", lambda route: route.fulfill(
        status=410, json={"error": "not kept"}), times=1)
    _tap(page, 0.25, 0.7, 1)
    assert _mask(page)[42, 22]


def test_dropping_a_file(visit: Callable[..., Any], small: str, kinds: Any) -> None:
    page = visit(small)
    data = base64.b64encode(kinds.encoded(kinds.halves(), "PNG")).decode()
    page.evaluate("""text => {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
        document.getElementById("stage").dispatchEvent(
            new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }""", data)
    page.wait_for_function(STARTS, arg="dropped.png")
    _tap(page, 0.25, 0.7, 1)
    assert _mask(page)[42, 22]
