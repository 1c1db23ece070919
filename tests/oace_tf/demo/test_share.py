"""The page's button Share, in Node: no Chromium of a machine without a desktop can share."""
from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "oace_tf" / "demo" / "page"
# A page of elements that take everything, a photograph with a tap, and a browser that shares.
SCRIPT = """
const anything = () => new Proxy(function () {}, {
  get: (target, key) => key in target && key !== "length" && key !== "name" ? target[key]
    : key === Symbol.toPrimitive ? () => 0 : key === Symbol.iterator ? () => [][Symbol.iterator]()
    : key === "then" ? undefined : target[key] = anything(),
  set: (target, key, value) => Reflect.defineProperty(target, key,
    { value, writable: true, configurable: true }),
  apply: () => anything(),
});
const elements = {}, calls = [], asked = [];
globalThis.window = anything();
globalThis.document = anything();
globalThis.requestAnimationFrame = () => {};  // nothing is drawn
document.getElementById = (id) => elements[id] ??= anything();
Object.defineProperty(globalThis, "navigator", { configurable: true, value: {
  canShare: ({ files }) => ANSWER !== "cannot" && files[0].type === "image/png",
  share: async ({ files }) => {
    calls.push(...files.map(({ name, type, size }) => ({ name, type, size })));
    if (ANSWER !== "shared") throw Object.assign(new Error("no"), { name: ANSWER });
  } } });
const { state } = await import("./state.js");
const { canShare, share } = await import("./save.js");
state.photo = { name: "a photo.heic", width: 4000, height: 3000 };
state.marks = [];
Object.assign(state.options, { feather: 10, crop: true, refine: false });
state.engine = { cutout: async (photo, marks, options) => {
  asked.push(options);
  if (ANSWER === "no cutout") throw new Error("the server is gone");
  return new Blob(["12345"], { type: "image/png" });
} };
const offered = canShare();
await share();
console.log(JSON.stringify({ offered, calls, asked, status: elements.status?.textContent,
  message: elements.message?.textContent }));
"""


def shared(answer: str, folder: Path) -> dict[str, Any]:
    """Press Share once; `answer` is what the browser does: shared, cannot, or the error's name.

    Returns:
      `offered`: whether the button is shown; `calls`: name, type and size of the files that the
      browser was given; `asked`: the options of each cutout; `status` and `message`: the page's
      words.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node on this machine")
    copy = folder / "page"
    shutil.copytree(PAGE, copy)
    (copy / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (copy / "press.js").write_text(f"const ANSWER = {json.dumps(answer)};\n{SCRIPT}",
                                   encoding="utf-8")
    done = subprocess.run([node, "press.js"], cwd=copy, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_cutout_is_handed_to_the_browser(tmp_path: Path) -> None:
    result = shared("shared", tmp_path)
    assert result["offered"] is True
    assert result["calls"] == [{"name": "a photo_cutout.png", "type": "image/png", "size": 5}]
    # the edge is in thousandths of the longer side
    assert result["asked"] == [{"feather": 40, "crop": True, "refine": False}]
    assert result["status"] == ""


@pytest.mark.parametrize(("answer", "place", "words"), [
    ("AbortError", "status", "Not shared."),
    ("NotAllowedError", "message", "This browser did not share it; save it instead."),
    ("no cutout", "message", "the server is gone")])
def test_what_went_wrong_is_said(answer: str, place: str, words: str, tmp_path: Path) -> None:
    result = shared(answer, tmp_path)
    assert result[place] == words
    assert len(result["calls"]) == (answer != "no cutout")


def test_it_is_not_offered_where_the_browser_cannot(tmp_path: Path) -> None:
    assert shared("cannot", tmp_path)["offered"] is False
    page = (PAGE / "page.js").read_text(encoding="utf-8")
    assert 'byId("share").hidden = !canShare();' in page
