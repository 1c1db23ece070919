"""The page in a real, headless Chromium. Skipped, with the reason, where there is none."""
from __future__ import annotations

import base64
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oace_tf import pictures
from oace_tf.clicks import Click
from oace_tf.errors import MissedTapWarning
from oace_tf.images import read_image
from oace_tf.samples.coco import decode_mask, load_coco
from oace_tf.segmenter import DEFAULT_MODEL, TapSegmenter

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.slow  # a browser
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


def _marks(page: Any) -> list[Any]:
    """Return what was drawn: (kind, points, whether on the object)."""
    marks = page.evaluate("async () => (await import('/state.js')).state.marks")
    return [(mark["kind"], mark["points"], mark["object"]) for mark in marks]


def _taps(page: Any) -> list[Any]:
    """Return the taps alone: [x, y, whether on the object]."""
    return [[*points[0], on_object] for kind, points, on_object in _marks(page) if kind == "tap"]


def _draw(page: Any, *places: tuple[float, float]) -> None:
    """Move the pressed mouse along places, shares of width and height."""
    points = [(place["clientX"], place["clientY"]) for place in (_centre(page, *one)
                                                                 for one in places)]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def _choose(page: Any, tool: str) -> None:
    page.click(f"[data-tool={tool}]")
    assert page.get_attribute(f"[data-tool={tool}]", "aria-checked") == "true"


def _mask(page: Any) -> np.ndarray:
    return _pixels(page, "mask")[..., 0] > 127


def test_load_tap_mask_and_download(visit: Callable[..., Any], address: str, tmp_path: Path,
                                    kinds: Any) -> None:
    """The whole way with the shipped file: what is seen and saved is what the library says."""
    page = visit(address)
    page.click("#sample-list button:has(b:text-is('Coffee'))")
    page.wait_for_selector("#stage[data-state=open]")
    page.click("#how summary")
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
    assert "oace_int8.tflite" in page.inner_text("#model")
    assert "tflite" not in page.inner_text("header") + page.inner_text("#work")
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
    page.wait_for_selector("#clear:disabled")
    assert not _mask(page).any() and page.locator("#download").is_disabled()
    page.click("#undo")  # what was cleared comes back
    page.wait_for_selector(ANSWERED.format(2))
    np.testing.assert_array_equal(_mask(page), two)
    page.click("#redo")
    page.wait_for_selector("#clear:disabled")
    assert page.locator("#redo").is_disabled()
    box = page.locator("#photo").bounding_box()
    page.mouse.click(box["x"] + 50, box["y"] + 50)  # still in the mode that removes
    page.wait_for_selector("#message:not([hidden])")
    assert "First mark the object" in page.inner_text("#message")


def test_a_tap_that_is_not_followed_is_said(visit: Callable[..., Any], small: str,
                                            kinds: Any) -> None:
    page = visit(small)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    _tap(page, 0.25, 0.7, 1)
    assert page.inner_text("#status").endswith("% of the photograph.")
    _tap(page, 0.4, 0.9, 2, "right")  # beside the mask, as it should be
    assert page.inner_text("#status").endswith("% of the photograph.")
    _tap(page, 0.8, 0.7, 3)  # on blue, where this file finds nothing
    assert page.inner_text("#status").endswith("A tap is not followed; tap once more beside it, or "
                                               "undo.")
    _tap(page, 0.9, 0.2, 4)
    assert "2 taps are not followed" in page.inner_text("#status")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light")])
def test_keyboard_alone(visit: Callable[..., Any], small: str, kinds: Any, width: int,
                        scheme: str) -> None:
    page = visit(small, viewport={"width": width, "height": 740}, color_scheme=scheme)
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
    page.wait_for_selector("#clear:disabled")
    for key in ("Control+z", "Control+Shift+z", "u", "r"):
        page.keyboard.press(key)
    page.wait_for_selector("#clear:disabled")
    for _ in range(20):  # everything can be reached with Tab
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#sample-list') !== null"):
            break
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('status').textContent.includes('1024')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_touch_at_phone_width(visit: Callable[..., Any], small: str, kinds: Any,
                              scheme: str) -> None:
    page = visit(small, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True,
                 color_scheme=scheme)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for button in ("#add", "#remove", "#open", "#undo", "#redo", "#clear", "#closer",
                   "[data-tool=tap]", "[data-tool=scribble]", "#download", "#save-svg"):
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


def _touch(page: Any, *events: tuple[str, int, dict[str, float]]) -> None:
    """Send pointer events of fingers: down, move or up; its number; where."""
    for kind, finger, at in events:
        page.locator("#photo").dispatch_event(f"pointer{kind}", {
            "pointerId": finger, "pointerType": "touch", "button": 0, "bubbles": True, **at})


def test_two_fingers_zoom_and_a_moving_one_does_not_tap(visit: Callable[..., Any], small: str,
                                                        kinds: Any) -> None:
    page = visit(small, has_touch=True)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    left, right = _centre(page, 0.4, 0.5), _centre(page, 0.6, 0.5)
    _touch(page, ("down", 1, left), ("move", 1, right), ("up", 1, right))
    assert page.locator("#fit").is_hidden()
    _touch(page, ("down", 1, left), ("down", 2, right), ("move", 2, _centre(page, 0.8, 0.5)),
           ("up", 1, left), ("up", 2, right))
    page.wait_for_selector("#fit:not([hidden])")
    page.wait_for_timeout(700)  # longer than a long touch
    assert _marks(page) == []
    scale = page.evaluate("async () => (await import('/view.js')).view.scale")
    assert scale == pytest.approx(2, abs=0.01)
    page.click("#fit")
    page.wait_for_selector("#fit", state="hidden")


def test_a_zoomed_photograph_is_tapped_where_it_is_seen(visit: Callable[..., Any], small: str,
                                                        kinds: Any) -> None:
    page = visit(small)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    page.mouse.move(**{axis[-1].lower(): value for axis, value in _centre(page, 0, 0.99).items()})
    page.mouse.wheel(0, -462)  # doubled, the lower left corner stays
    page.wait_for_selector("#fit:not([hidden])")
    _tap(page, 0.5, 0.4, 1)
    (x, y, _), = _taps(page)
    scale = page.evaluate("async () => (await import('/view.js')).view.scale")
    assert scale == pytest.approx(2, abs=0.02)
    assert (x, y) == pytest.approx((90 / 4 - 0.5, 60 * 0.7 - 0.5), abs=0.6)
    _draw(page, (0.5, 0.5), (0.2, 0.5))  # with the tap tool: pans
    assert len(_marks(page)) == 1
    assert page.evaluate("async () => (await import('/view.js')).view.x") == pytest.approx(
        13.5, abs=0.8)
    page.focus("#photo")
    for key in ("+", "-", "0"):
        page.keyboard.press(key)
    page.wait_for_selector("#fit", state="hidden")


@pytest.fixture(scope="module")
def gestures(serve: Callable[..., Any], tiny_multi: Path) -> Iterator[str]:
    """Return the address of a page whose tiny file knows all gestures and gives three answers."""
    with serve(tiny_multi) as url:
        yield url


def test_what_the_file_does_not_know_is_not_offered(visit: Callable[..., Any], small: str,
                                                    gestures: str, kinds: Any) -> None:
    shown = "button => button.offsetParent === null ? null : button.dataset.tool"
    for url, tools in ((small, ["tap", "scribble"]),
                       (gestures, ["tap", "scribble", "box", "drag", "extreme"])):
        page = visit(url)
        assert page.locator("#tools").is_hidden()  # nothing to draw on yet
        _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
        buttons = page.locator("[data-tool]")
        assert [name for name in buttons.evaluate_all(f"all => all.map({shown})") if name] == tools


# In tenths of the photograph of 90 x 60 pixels: what is drawn, and what it is in pixels.
BOX = [(0.2, 0.2), (0.6, 0.8)], [[17.5, 11.5], [53.5, 47.5]]
DRAG = [(0.4, 0.5), (0.2, 0.5)], [[35.5, 29.5], [17.5, 29.5]]
EXTREME = ([(0.1, 0.5), (0.6, 0.5), (0.3, 0.1), (0.3, 0.9)],
           [[8.5, 29.5], [53.5, 29.5], [26.5, 5.5], [26.5, 53.5]])
DRAWN = {"box": BOX, "drag": DRAG, "extreme": EXTREME}


def _same(page: Any, kind: str, points: list[list[float]], on_object: bool = True) -> None:
    found, places, positive = _marks(page)[-1]
    assert (found, positive) == (kind, on_object)
    np.testing.assert_allclose(places, points, atol=0.3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", list(DRAWN))
def test_gestures_with_the_mouse(visit: Callable[..., Any], gestures: str, kinds: Any,
                                 kind: str, scheme: str) -> None:
    page = visit(gestures, color_scheme=scheme)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    _choose(page, kind)
    places, points = DRAWN[kind]
    if kind == "extreme":
        for place in places[:-1]:
            page.mouse.click(*_centre(page, *place).values())
        page.wait_for_selector("#undo:not([disabled])")
        assert _marks(page) == []
        page.mouse.click(*_centre(page, *places[-1]).values())
    else:
        _draw(page, *places)
    page.wait_for_selector(ANSWERED.format(1))
    _same(page, kind, points)
    if kind != "extreme":  # its four points are all that this file takes
        _tap(page, 0.3, 0.6, 2)  # a click with any tool is a tap
        assert [mark[0] for mark in _marks(page)] == [kind, "tap"]
        assert _mask(page)[36, 26]
        page.click("#undo")
        page.wait_for_selector(ANSWERED.format(1))
    page.click("#undo")
    page.wait_for_selector("#undo:disabled")
    page.click("#redo")
    page.wait_for_selector(ANSWERED.format(1))
    _same(page, kind, points)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", list(DRAWN))
def test_gestures_with_a_finger_at_phone_width(visit: Callable[..., Any], gestures: str, kinds: Any,
                                               kind: str, scheme: str) -> None:
    page = visit(gestures, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True,
                 color_scheme=scheme)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for tool in ("tap", "scribble", "box", "drag", "extreme"):
        box = page.locator(f"[data-tool={tool}]").bounding_box()
        assert box["height"] >= 44 and 0 <= box["x"] and box["x"] + box["width"] <= 360
    _choose(page, kind)
    places, points = DRAWN[kind]
    if kind == "extreme":
        for place in places:
            page.touchscreen.tap(*_centre(page, *place).values())
    else:
        assert page.evaluate("getComputedStyle(document.getElementById('photo')).touchAction"
                             ) == "none"  # the finger draws, it does not scroll
        middle = tuple(sum(one) / 2 for one in zip(*places))
        start, halfway, end = (_centre(page, *place) for place in (places[0], middle, places[1]))
        _touch(page, ("down", 3, start), ("move", 3, halfway), ("move", 3, end), ("up", 3, end))
    page.wait_for_selector(ANSWERED.format(1))
    _same(page, kind, points)
    if folder := os.environ.get("OACE_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"phone-{kind}-{scheme}.png"), full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_scribbles_with_a_finger_at_phone_width(visit: Callable[..., Any], small: str, kinds: Any,
                                                scheme: str) -> None:
    page = visit(small, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True,
                 color_scheme=scheme)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    page.tap("[data-tool=scribble]")
    for turn, (sign, row) in enumerate((("add", 0.6), ("remove", 0.9)), 1):
        page.tap(f"#{sign}")
        start, halfway, end = (_centre(page, x, row) for x in (0.1, 0.2, 0.4))
        _touch(page, ("down", 3, start), ("move", 3, halfway), ("move", 3, end), ("up", 3, end))
        page.wait_for_selector(ANSWERED.format(turn))
    (one, added, on_object), (other, _, beside) = _marks(page)
    assert (one, other, on_object, beside) == ("scribble", "scribble", True, False)
    np.testing.assert_allclose(added, [[8.5, 35.5], [35.5, 35.5]], atol=2)
    assert _mask(page)[36, 9] and not _mask(page)[54, 9]


def _cross_to(page: Any, fro: tuple[float, float], to: tuple[float, float]) -> None:
    """Move the cross between places in tenths of the width: two large steps each."""
    for distance, keys in ((to[0] - fro[0], ("ArrowLeft", "ArrowRight")),
                           ((to[1] - fro[1]) * 60 / 90, ("ArrowUp", "ArrowDown"))):
        for _ in range(abs(round(distance * 100))):
            page.keyboard.press(keys[distance > 0])


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light"),
                                               (360, "dark")])
@pytest.mark.parametrize("kind", list(DRAWN))
def test_gestures_with_keys(visit: Callable[..., Any], gestures: str, kinds: Any, kind: str,
                            width: int, scheme: str) -> None:
    page = visit(gestures, viewport={"width": width, "height": 740}, color_scheme=scheme)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    page.focus("#photo")
    page.keyboard.press({"box": "3", "drag": "4", "extreme": "5"}[kind])
    assert page.get_attribute(f"[data-tool={kind}]", "aria-checked") == "true"
    places, points = DRAWN[kind]
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")  # half drawn, dropped
    at = (0.5, 0.5)
    for place in places:
        _cross_to(page, at, place)
        page.keyboard.press("Enter")
        at = place
    page.wait_for_selector(ANSWERED.format(1))
    found, marked, _ = _marks(page)[0]
    assert found == kind
    np.testing.assert_allclose(marked, points, atol=1)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light")])
def test_scribbles_add_and_remove(visit: Callable[..., Any], small: str, kinds: Any, width: int,
                                  scheme: str) -> None:
    page = visit(small, viewport={"width": width, "height": 740}, color_scheme=scheme)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    _choose(page, "scribble")
    _draw(page, (0.1, 0.6), (0.2, 0.8), (0.4, 0.6))
    page.wait_for_selector(ANSWERED.format(1))
    kind, points, on_object = _marks(page)[0]
    assert (kind, on_object, len(points)) == ("scribble", True, 2)  # a fourth of the file's four
    one = _mask(page)
    assert one[36, 9] and one[36, 35]
    page.click("#remove")
    _draw(page, (0.37, 0.6), (0.4, 0.62))
    page.wait_for_selector(ANSWERED.format(2))
    assert _marks(page)[1][2] is False and _mask(page).sum() < one.sum()
    page.click("#clear")
    page.click("#add")
    page.focus("#photo")
    page.keyboard.press("Enter")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_selector(ANSWERED.format(1))
    assert _marks(page)[0][0] == "scribble"


def _number(page: Any, number: int) -> None:
    """Choose an object to draw on; 0 is the background."""
    page.click(f"#objects [data-object='{number}']")
    assert page.get_attribute(f"#objects [data-object='{number}']", "aria-checked") == "true"


def _labels(page: Any) -> list[tuple[int, list[list[float]]]]:
    """Return what was drawn on several objects: which one, and where."""
    marks = page.evaluate("async () => (await import('/state.js')).state.marks")
    return [(mark["label"], mark["points"]) for mark in marks]


def _shown_labels(page: Any) -> np.ndarray:
    """Return the numbers that the page was given, (H, W) uint8, from the colours it shows."""
    colours = page.evaluate("async () => (await import('/marks.js')).COLOURS")
    seen = _pixels(page, "cutout")[..., :3].astype(int)
    labels = np.zeros(seen.shape[:2], np.uint8)
    for number, colour in enumerate(colours, 1):  # half clear, and so rounded by the canvas
        wanted = [int(colour[k:k + 2], 16) for k in (1, 3, 5)]
        labels[(np.abs(seen - wanted) <= 3).all(axis=2)] = number
    return labels


def _of_library(page: Any, file: Path | None, image: Any, names: list[str]) -> np.ndarray:
    strokes: dict[str, list[list[list[float]]]] = {}
    for number, name in enumerate([*names[1:], names[0]], 1):  # the background last, as the page
        own = [points for label, points in _labels(page) if label == number % len(names)]
        if own:
            strokes[name] = own
    with warnings.catch_warnings():  # of what is not found the page tells by itself
        warnings.simplefilter("ignore", MissedTapWarning)
        return TapSegmenter(file).regions(image, strokes)[0]


def test_a_brush_for_several_objects(visit: Callable[..., Any], address: str,
                                     tmp_path: Path, kinds: Any) -> None:
    """With the mouse, and the shipped file: seen and saved is what the library says."""
    page = visit(address)
    page.click("#sample-list button:has(b:text-is('Coffee'))")
    page.wait_for_selector("#stage[data-state=open]")
    assert page.locator("#objects").is_hidden() and page.locator("#save-objects").is_hidden()
    page.click("#several")
    assert page.get_attribute("#several", "aria-pressed") == "true"
    for gone in ("#sign", "#save", "#save-outline", "#how", "[data-tool=box]"):
        assert page.locator(gone).is_hidden()
    assert page.get_attribute("[data-tool=scribble]", "aria-checked") == "true"
    names = ["background", "cup", "object 2", "spoon"]
    _draw(page, (0.42, 0.25), (0.5, 0.3), (0.58, 0.27))
    page.wait_for_selector(ANSWERED.format(1))
    _number(page, 2)
    _draw(page, (0.05, 0.05), (0.1, 0.3))
    page.wait_for_selector(ANSWERED.format(2))
    assert _labels(page)[1][0] == 2
    page.click("#more")
    assert page.get_attribute("#objects [data-object='3']", "aria-checked") == "true"
    _choose(page, "tap")
    _tap(page, 0.8, 0.8, 3)
    _number(page, 0)
    _tap(page, 0.97, 0.03, 4)
    box = page.locator("#photo").bounding_box()  # a right click is on the background, too
    _number(page, 1)
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 0.97 * box["height"], button="right")
    page.wait_for_selector(ANSWERED.format(5))
    assert [label for label, _ in _labels(page)] == [1, 2, 3, 0, 0]
    for number, name in ((1, "cup"), (3, "spoon")):
        page.locator(f"#legend-list li:nth-child({number}) input").fill(name)
        page.keyboard.press("Tab")
    assert page.inner_text("#objects [data-object='1']").endswith("cup")
    assert page.inner_text("#status").startswith("cup ")
    image = read_image(ROOT / "docs" / "samples" / "coffee.jpg")
    expected = _of_library(page, None, image, names)
    assert len(np.unique(expected)) == 4
    np.testing.assert_array_equal(_shown_labels(page), expected)
    if folder := os.environ.get("OACE_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / "several-desktop.png"), full_page=True)
    share = page.inner_text("#legend-list li:nth-child(1) output")
    assert share == f"{100 * (expected == 1).mean():.1f} %"
    saved = _saved(page, "#save-labels", tmp_path)
    assert saved.name == "coffee_labels.png"
    page.wait_for_selector("#status:has-text('so it looks black')")
    np.testing.assert_array_equal(kinds.decoded(saved.read_bytes()), expected)
    legend = _saved(page, "#save-legend", tmp_path)
    assert legend.name == "coffee_labels.json" and json.loads(legend.read_text()) == {
        "0": "background", "1": "cup", "2": "object 2", "3": "spoon"}
    page.click("#undo")
    page.wait_for_selector(ANSWERED.format(4))
    page.click("#redo")
    page.wait_for_selector(ANSWERED.format(5))
    np.testing.assert_array_equal(_shown_labels(page), expected)
    page.click("#several")  # back to one: what is on the chosen object, and beside it
    page.wait_for_selector(ANSWERED.format(5))
    assert [mark[2] for mark in _marks(page)] == [True, False, False, False, False]
    assert page.locator("#objects").is_hidden() and page.locator("#download").is_enabled()
    page.click("#several")
    page.wait_for_selector(ANSWERED.format(5))
    assert [label for label, _ in _labels(page)] == [1, 0, 0, 0, 0]


def test_back_from_several_objects_marks_add(visit: Callable[..., Any], small: str,
                                             kinds: Any) -> None:
    page = visit(small)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    page.click("#remove")
    page.click("#several")
    page.click("#several")
    assert page.get_attribute("#add", "aria-checked") == "true"
    assert page.get_attribute("#remove", "aria-checked") == "false"
    _tap(page, 0.25, 0.7, 1)
    assert _taps(page)[0][2]


def test_a_photograph_opens_whatever_is_pressed_meanwhile(visit: Callable[..., Any], small: str,
                                                          kinds: Any) -> None:
    page = visit(small)
    held: list[Any] = []
    page.route("**/photos*", lambda route: held.append(route))
    page.set_input_files("#file", {"name": "halves.png", "mimeType": "",
                                   "buffer": kinds.encoded(kinds.halves(), "PNG")})
    page.wait_for_selector("#busy:not([hidden])")
    page.keyboard.press("m")
    page.wait_for_selector("#several[aria-pressed=true]", state="attached")
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.wait_for_function(STARTS, arg="halves.png")
    assert page.locator("#busy").is_hidden()


def test_what_several_objects_refuse(visit: Callable[..., Any], small: str, kinds: Any) -> None:
    """Background alone, too many strokes or objects, names that are taken."""
    page = visit(small)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    page.click("#several")
    _choose(page, "tap")
    _number(page, 0)
    page.mouse.click(*_centre(page, 0.8, 0.5).values())
    page.wait_for_selector("#message:has-text('First mark an object')")
    assert _labels(page) == [] and page.locator("#save-labels").is_disabled()
    _number(page, 1)
    _tap(page, 0.2, 0.7, 1)
    _number(page, 2)
    for turn in (2, 3):
        _tap(page, 0.7, 0.2 * turn, turn)
    page.mouse.click(*_centre(page, 0.8, 0.9).values())
    page.wait_for_selector("#message:has-text('takes 2 strokes on one object')")
    assert len(_labels(page)) == 3
    name = page.locator("#legend-list li:nth-child(2) input")
    for wrong, words in (("object 1", "is taken"), ("background", "is taken"), ("  ", "needs")):
        name.fill(wrong)
        page.keyboard.press("Tab")
        page.wait_for_selector(f"#message:has-text('{words}')")
        assert name.input_value() == "object 2"
    for _ in range(6):
        page.click("#more")
    page.click("#more")
    page.wait_for_selector("#message:has-text('8 objects are all')")
    page.click("#clear")
    page.wait_for_selector("#clear:disabled")
    assert page.locator("#save-labels").is_disabled() and not _shown_labels(page).any()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_several_objects_with_a_finger_at_phone_width(visit: Callable[..., Any], small: str,
                                                      tiny_int8: Path, kinds: Any,
                                                      scheme: str) -> None:
    page = visit(small, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True,
                 color_scheme=scheme)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    page.tap("#several")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for button in ("#several", "#more", "#save-labels", "#save-legend",
                   *(f"#objects [data-object='{number}']" for number in (0, 1, 2))):
        box = page.locator(button).bounding_box()
        assert box["height"] >= 44 and 0 <= box["x"] and box["x"] + box["width"] <= 360
    assert page.evaluate("getComputedStyle(document.getElementById('photo')).touchAction"
                         ) == "none"  # the finger draws, it does not scroll
    path = [_centre(page, *one) for one in ((0.1, 0.6), (0.2, 0.75), (0.35, 0.6))]
    _touch(page, ("down", 3, path[0]), ("move", 3, path[1]), ("move", 3, path[2]),
           ("up", 3, path[2]))
    page.wait_for_selector(ANSWERED.format(1))
    page.tap("#objects [data-object='2']")
    page.touchscreen.tap(*_centre(page, 0.7, 0.4).values())
    page.wait_for_selector(ANSWERED.format(2))
    assert [label for label, _ in _labels(page)] == [1, 2]
    expected = _of_library(page, tiny_int8, kinds.halves(), ["background", "object 1", "object 2"])
    assert expected.any() and (expected != 2).all()  # this file finds what is red alone
    assert page.inner_text("#status") == (
        f"object 1 {100 * (expected == 1).mean():.1f} % of the photograph. Nothing found for "
        "object 2; try another place.")
    np.testing.assert_array_equal(_shown_labels(page), expected)
    if folder := os.environ.get("OACE_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"several-phone-{scheme}.png"), full_page=True)


def test_several_objects_with_keys(visit: Callable[..., Any], small: str, kinds: Any) -> None:
    page = visit(small)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    page.focus("#photo")
    for key in ("m", "1", *["Shift+ArrowLeft"] * 5, "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector(ANSWERED.format(1))
    for key in ("t", *["Shift+ArrowRight"] * 9, "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector(ANSWERED.format(2))
    for key in ("n", *["Shift+ArrowDown"] * 3, "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector(ANSWERED.format(3))
    for key in ("t", *["Shift+ArrowRight"] * 2, "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector(ANSWERED.format(4))
    assert [label for label, _ in _labels(page)] == [1, 2, 3, 0]
    with page.expect_download():
        page.keyboard.press("d")
    page.focus("#legend-list li:nth-child(1) input")
    page.keyboard.press("End")
    for key in ("c", "m", "u"):  # letters of a name, no commands
        page.keyboard.press(key)
    page.keyboard.press("Tab")
    assert page.inner_text("#objects [data-object='1']").endswith("object 1cmu")
    assert len(_labels(page)) == 4


def test_several_answers_to_choose_from(visit: Callable[..., Any], gestures: str,
                                        kinds: Any) -> None:
    page = visit(gestures)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    assert page.locator("#alternatives").is_hidden()
    _tap(page, 0.25, 0.7, 1)
    choices = page.locator("#choices button")
    assert choices.count() == 3
    first = _mask(page)
    seen = set()
    for number in range(3):
        choices.nth(number).click()
        page.wait_for_selector(f"#choices button:nth-child({number + 1})[aria-checked=true]")
        page.wait_for_selector(ANSWERED.format(1))
        seen.add(_mask(page).tobytes())
    assert len(seen) > 1
    while page.locator("#undo").is_enabled() and len(_marks(page)):
        page.click("#undo")
        page.wait_for_timeout(100)
    page.click("#redo")
    page.wait_for_selector(ANSWERED.format(1))
    np.testing.assert_array_equal(_mask(page), first)


def _saved(page: Any, button: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click(button)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_what_is_saved(visit: Callable[..., Any], small: str, kinds: Any, tmp_path: Path) -> None:
    """PNG with a soft edge and cropped, SVG and COCO JSON: all of the same mask."""
    page = visit(small)
    image = np.zeros((200, 300, 3), np.uint8)
    image[40:160, 30:150, 0] = 240
    image[80:120, 70:110] = (0, 0, 240)  # a hole of a ninth of it
    _open(page, kinds.encoded(image, "PNG"), "halves.png")
    _tap(page, 0.2, 0.3, 1)
    _tap(page, 0.3, 0.7, 2)
    page.click("#refine")
    page.wait_for_selector(ANSWERED.format(2))
    page.click("#refine")
    page.wait_for_selector(ANSWERED.format(2))
    mask = _mask(page)
    svg = _saved(page, "#save-svg", tmp_path).read_text(encoding="utf-8")
    assert 'viewBox="0 0 300 200"' in svg and svg.count("M") >= 1
    written = _saved(page, "#save-coco", tmp_path)
    (photograph,) = load_coco(written, tmp_path).images  # as strict as with any set
    assert (photograph.path.name, photograph.width, photograph.height) == ("halves.png", 300, 200)
    drawn = decode_mask(photograph.annotations[0], 200, 300) == 1
    (annotation,) = json.loads(written.read_text(encoding="utf-8"))["annotations"]
    assert (drawn & mask).sum() / (drawn | mask).sum() > 0.97
    assert annotation["area"] == pytest.approx(mask.sum(), rel=0.03)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    assert annotation["bbox"] == pytest.approx(
        [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1], abs=2)
    page.click("#crop")
    cropped = kinds.decoded(_saved(page, "#download", tmp_path).read_bytes())
    assert cropped.shape[:2] == (np.ptp(rows) + 1, np.ptp(columns) + 1)
    page.locator("#feather").fill("10")
    soft = kinds.decoded(_saved(page, "#download", tmp_path).read_bytes())
    assert len(np.unique(soft[..., 3])) > 4 > len(np.unique(cropped[..., 3]))


def test_the_cutout_is_copied(visit: Callable[..., Any], small: str, kinds: Any) -> None:
    page = visit(small, permissions=["clipboard-read", "clipboard-write"])
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    _tap(page, 0.25, 0.7, 1)
    page.click("#copy")
    page.wait_for_function("() => document.getElementById('status').textContent.includes('copied')")
    width = page.evaluate("""async () => {
        const [item] = await navigator.clipboard.read();
        return (await createImageBitmap(await item.getType("image/png"))).width;
    }""")
    assert width == 90


def test_the_mask_follows_the_pointer_where_the_file_is_fast(visit: Callable[..., Any], small: str,
                                                             kinds: Any) -> None:
    page = visit(small)
    _open(page, kinds.encoded(kinds.halves(), "PNG"), "halves.png")
    glance = "async () => (await import('/state.js')).state.glance !== null"
    page.mouse.move(*_centre(page, 0.3, 0.5).values())
    page.wait_for_timeout(200)
    assert not page.evaluate(glance)  # nothing is known of its speed yet
    _tap(page, 0.25, 0.7, 1)
    page.mouse.move(*_centre(page, 0.35, 0.5).values())
    page.wait_for_function(glance)
    page.mouse.move(5, 5)
    page.wait_for_function("async () => (await import('/state.js')).state.glance === null")
    assert len(_marks(page)) == 1


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
        assert width > height
        assert seen[height // 2, width // 4, 0] > 200 > 60 > seen[height // 2, width // 4, 2]
        _tap(page, 0.25, 0.7, 1)
        mask = _mask(page)
        height, width = mask.shape
        assert max(width, height) <= 1600
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
