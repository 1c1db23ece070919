// The library without a browser: tensors, gestures, the mask before, refusals, metadata.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { BitMask, FrameMask, LABEL, TapSegmenter, box, cutoutPixels, drag, extremes, imageTensor, pointsTensor,
         scribble, tap, tidied } from "oace-tap-segmenter";
import { readMetadata } from "../lib/tflite-metadata.js";
import { drawScene, goldenMask } from "../site/golden.js";
import { difference } from "../site/difference.js";

const file = (path) => new URL(path, import.meta.url);
const read = (path) => readFileSync(file(path));
const { cases: scenes, max_points: maxPoints } = JSON.parse(read("../golden/scenes.json"));
const sha256 = (array) => createHash("sha256").update(Buffer.from(array.buffer)).digest("hex");
const rgb = (rgba) => rgba.filter((_, k) => k % 4 !== 3);

/** A model that keeps what it is asked and answers with the number of the question. */
class Recorded {
  constructor({ size = 8, maxPoints = 20, takesPrevious = false, gestures = [], clickChannels = 2 } = {}) {
    Object.assign(this, { size, maxPoints, takesPrevious, gestures, clickChannels, asked: [] });
  }

  run(image, points, previous) {
    this.asked.push({ image, points, previous });
    return new Uint8Array(this.size ** 2).fill(this.asked.length);
  }
}
const KINDS = ["background", "box", "drag", "extreme", "tap"];
const used = ({ points }) => points.filter((value, k) => k % 3 === 2 && value >= 0).length;
const photograph = (width, height) => ({ width, height, rgba: new Uint8ClampedArray(4 * width * height).fill(255) });

for (const one of scenes) {
  test(`the tensors of the scene ${one.name} are Python's, bit for bit`, () => {
    const scene = drawScene(one.scene), { width, height } = scene;
    assert.equal(sha256(Uint8Array.from(rgb(scene.rgba))), one.pixels_sha256);
    assert.equal(sha256(imageTensor(scene, 512)), one.image_sha256);
    const rows = one.taps.flatMap(([x, y, onObject]) => tap(x, y, onObject));
    assert.equal(sha256(pointsTensor(rows, width, height, 512, maxPoints)), one.points_sha256);
  });
}

test("a changed pixel is seen", () => {
  const scene = drawScene(scenes[0].scene);
  scene.rgba[4 * 100_000] ^= 128;
  assert.notEqual(sha256(imageTensor(scene, 512)), scenes[0].image_sha256);
});

test("gestures become rows with the labels of the contract", () => {
  assert.deepEqual(tap(1, 2), [{ x: 1, y: 2, label: LABEL.OBJECT }]);
  assert.deepEqual(tap(1, 2, false)[0].label, 0);
  assert.deepEqual(box(1, 2, 3, 4).map(({ label }) => label), [2, 3]);
  assert.deepEqual(extremes([[0, 1], [2, 3]]).map(({ label }) => label), [4, 4]);
  assert.deepEqual(drag(1, 2, 3, 4).map(({ label }) => label), [1, 5]);
  const stroke = scribble([[0, 0], [30, 0], [30, 40]], 300, 400);  // a step of 10 px
  assert.deepEqual(stroke.map(({ x, y }) => [x, y]),
                   [[0, 0], [10, 0], [20, 0], [30, 0], [30, 10], [30, 20], [30, 30], [30, 40]]);
  assert.equal(scribble([[0, 0], [0, 399]], 300, 400, true, 5).length, 5);
  assert.equal(scribble([[7, 7]], 300, 400).length, 1);
});

test("rows beyond the gestures are unused, in files of any N", () => {
  for (const count of [3, 48]) {
    const points = pointsTensor(box(0, 0, 9, 9), 10, 10, 512, count);
    assert.equal(points.length, 3 * count);
    assert.deepEqual([...points.slice(2, 6)].filter((_, k) => k % 3 === 0), [2, 3]);
    assert.deepEqual([...points.slice(6, 9)], [0, 0, -1]);
  }
});

test("a file without `previous` is asked once", async () => {
  const model = new Recorded(), segmenter = new TapSegmenter(model);
  segmenter.setPhotograph(photograph(4, 3));
  await segmenter.segment([tap(0, 0), tap(1, 1), tap(2, 2, false)]);
  assert.equal(model.asked.length, 1);
  assert.equal(model.asked[0].previous, undefined);
});

test("a file of taps with `previous` sees its masks one by one", async () => {
  const model = new Recorded({ takesPrevious: true, maxPoints: 48 }), segmenter = new TapSegmenter(model);
  segmenter.setPhotograph(photograph(4, 3));
  const gestures = [tap(0, 0, false), tap(1, 1), tap(2, 2)];
  const last = await segmenter.answer(gestures);
  assert.equal(last.bytes[0], 2);
  assert.deepEqual(model.asked.map(({ previous }) => previous?.[0]), [undefined, 1]);
  assert.deepEqual(model.asked.map(used), [2, 3]);
  await segmenter.answer([...gestures, tap(3, 1)], last);  // handed back: asked once
  assert.equal(model.asked.length, 3);
  assert.equal(model.asked[2].previous[0], 2);
});

test("a file of gestures starts from nothing, or from the answer that is handed back", async () => {
  const model = new Recorded({ takesPrevious: true, maxPoints: 48, gestures: KINDS });
  const segmenter = new TapSegmenter(model);
  segmenter.setPhotograph(photograph(40, 30));
  const first = await segmenter.answer([tap(9, 9), tap(8, 8)]);
  assert.deepEqual(model.asked.map(({ previous }) => previous), [null]);
  await segmenter.answer([tap(9, 9), tap(8, 8), box(2, 3, 20, 25)], first);  // in the box's own part
  assert.equal(model.asked[1].previous.length, 64);
  assert.notEqual(model.asked[1].image, model.asked[0].image);
  assert.equal(used(model.asked[1]), 4);
  const { window } = await segmenter.answer([box(2, 3, 20, 25)]);
  assert.deepEqual(window, { left: 0, top: 0, right: 28, bottom: 30 });
});

test("a photograph is encoded once by an encoder, and its features are freed", async () => {
  const log = [], model = new Recorded({ takesPrevious: true, gestures: KINDS });
  model.encode = async () => { log.push("encode"); return { one: { delete: () => log.push("free") } }; };
  model.decode = async (features, points) => { log.push(Object.keys(features)[0]); return model.run(null, points); };
  const segmenter = new TapSegmenter(model);
  segmenter.setPhotograph(photograph(40, 30));
  await segmenter.segment([tap(1, 1)]);
  await segmenter.segment([tap(2, 2)]);
  assert.deepEqual(log.splice(0), ["encode", "one", "one"]);
  await segmenter.segment([box(2, 3, 20, 25)]);
  await segmenter.segment([box(2, 3, 10, 25)]);  // of parts the newest is kept
  await segmenter.segment([tap(2, 2)]);
  await new Promise((resolve) => { setTimeout(resolve); });
  assert.deepEqual(log.splice(0).sort(), ["encode", "encode", "free", "one", "one", "one"]);
  segmenter.delete();
  await new Promise((resolve) => { setTimeout(resolve); });
  assert.deepEqual(log, ["free", "free"]);
});

test("a file with several answers gives them all", async () => {
  const model = new Recorded({ maxPoints: 4 });
  model.hasAlternatives = true;
  model.runAll = async () => ({ mask: new Uint8Array(64).fill(200), scores: [0.5, 0.9],
                                masks: [new Uint8Array(64), new Uint8Array(64).fill(255)] });
  const segmenter = new TapSegmenter(model);
  segmenter.setPhotograph(photograph(4, 3));
  const { alternatives, bytes } = await segmenter.answer([tap(1, 1)]);
  assert.equal(bytes[0], 200);
  assert.deepEqual(alternatives.map(({ score }) => score), [0.5, 0.9]);
  assert.deepEqual(alternatives.map(({ answer }) => answer.tidied().share), [0, 1]);
});

test("what makes no sense is refused in one line", async () => {
  const segmenter = new TapSegmenter(new Recorded({ maxPoints: 2 }));
  await assert.rejects(segmenter.segment([tap(0, 0)]), /no photograph yet/);
  assert.throws(() => segmenter.setPhotograph({ width: 4, height: 3, rgba: new Uint8Array(11) }),
                /4x3 needs 48 bytes RGBA, got 11/);
  segmenter.setPhotograph(photograph(4, 3));
  const all = new TapSegmenter(new Recorded({ gestures: KINDS }));
  all.setPhotograph(photograph(4, 3));
  const one = new TapSegmenter(new Recorded({ clickChannels: 1 }));
  one.setPhotograph(photograph(4, 3));
  for (const [asked, gestures, words] of [
    [segmenter, [], /at least one gesture must mark the object/],
    [segmenter, [tap(0, 0, false)], /at least one gesture must mark the object/],
    [segmenter, [tap(0, 0), tap(0, 0), tap(0, 0)], /3 points, but the model takes 2/],
    [segmenter, [tap(3.6, 0)], /the point 3.6, 0 is outside the photograph of 4x3/],
    [segmenter, [tap(0, -0.6)], /is outside/], [segmenter, [tap(NaN, 0)], /not finite/],
    [segmenter, [box(0, 0, 3, 2)], /was not trained on box; it knows background, tap/],
    [segmenter, [drag(0, 0, 3, 2)], /was not trained on drag/],
    [one, [tap(0, 0), tap(1, 1, false)], /takes no background taps/],
    [all, [[{ x: 0, y: 0, label: 2 }]], /a box has two opposite corners/],
    [all, [box(0, 0, 3, 2), box(0, 0, 1, 1)], /one box at most/],
    [all, [drag(0, 0, 3, 2), drag(0, 0, 1, 1)], /one drag at most/],
    [all, [extremes([[0, 0], [1, 1]])], /2 points on the outline; give four/],
    [all, [box(-9, 0, -5, 2)], /the box lies outside the photograph of 4x3/]]) {
    await assert.rejects(asked.segment(gestures), words);
  }
  await segmenter.segment([tap(3.5, -0.5)]);
  for (const gesture of [box(-1, 0, 9, 2), drag(0, 0, 9, 9), extremes([[0, 1], [3, 1], [1, 0], [1, 2]])]) {
    await all.segment([gesture]);
  }
});

test("a mask is tidied: one piece under the taps, no small holes but where the background was tapped", () => {
  const of = (...lines) => new BitMask(lines[0].length, lines.length,
                                       Uint8Array.from(lines.join(""), (letter) => (letter === "#" ? 1 : 0)));
  const shown = ({ width, height, bits }) => Array.from({ length: height }, (_, y) => (
    [...bits.subarray(y * width, (y + 1) * width)].map((bit) => (bit ? "#" : ".")).join("")));
  const mask = of("#######..", "###.###..", "#######.#", ".......#.", "#........");  // the crumb holds by a corner
  const on = [{ x: 1, y: 1, label: 1 }];
  const whole = ["#######..", "#######..", "#######..", ".........", "........."];
  assert.deepEqual(shown(tidied(mask, on)).slice(0, 2), whole.slice(0, 2));
  assert.equal(tidied(mask, on).bits[4 * 9], 0);
  assert.equal(tidied(mask, [{ x: 0, y: 4, label: 1 }]).share, 1 / 45);  // the crumb was tapped
  assert.equal(tidied(mask, [...on, { x: 3, y: 1, label: 0 }]).bits[9 + 3], 0);  // a hole that is meant
  assert.deepEqual(shown(tidied(of("...", "..."), on)), ["...", "..."]);
  assert.equal(tidied(of("##.", "##.", "..."), []).share, 4 / 9);
});

test("the cutout keeps colours and transparency where the mask is, and nothing elsewhere", () => {
  const rgba = Uint8ClampedArray.from([9, 8, 7, 255, 6, 5, 4, 100, 3, 2, 1, 255]);
  const cut = (bytes) => [...cutoutPixels({ width: 3, height: 1, rgba }, new FrameMask(Uint8Array.from(bytes), 2, 3, 1))];
  assert.deepEqual(cut([255, 0, 255, 0]), [9, 8, 7, 255, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(cut([128, 128, 128, 128]), [...rgba]);  // one half is the object
  assert.deepEqual(cut([127, 127, 127, 127]), Array(12).fill(0));
});

test("the metadata is read from the file, and other files are refused", () => {
  const model = read("../../oace_tf/weights/oace_int8.tflite");
  const metadata = readMetadata(model);
  assert.equal(metadata.click_channels, 2);
  assert.equal(metadata.interface, "points");
  assert.deepEqual(readMetadata(read("previous.tflite")), {});
  assert.throws(() => readMetadata(read("../package.json")), /not a .tflite file/);
  assert.throws(() => readMetadata(model.subarray(0, 5000)), /truncated or damaged/);
});

test("differences of masks are counted", async () => {
  const golden = await goldenMask(scenes[0]);
  assert.equal(golden.length, 512 * 512);
  assert.equal(difference(golden, golden).differing_bytes, 0);
  const other = golden.slice();
  other[7] ^= 3;
  other[9] = other[9] >= 128 ? 0 : 255;
  const found = difference(other, golden);
  assert.equal(found.differing_bytes, 2);
  assert.equal(found.pixels, 1);
  assert.equal(found.bytes, 512 * 512);
});

test("the README's example is the one that is compiled", () => {
  const [, example] = read("example.ts").toString().match(/(import [^]*?\n}\n)/);
  assert.ok(read("../README.md").toString().includes(example));
  assert.ok(example.split("\n").length <= 20);
});
