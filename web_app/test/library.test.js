// The library without a browser: tensors, gestures, the mask before, refusals, metadata.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { FrameMask, LABEL, TapSegmenter, box, cutoutPixels, drag, extremes, imageTensor, pointsTensor,
         scribble, tap } from "oace-tap-segmenter";
import { readMetadata } from "../lib/tflite-metadata.js";
import { drawScene, goldenMask } from "../site/golden.js";
import { difference } from "../site/difference.js";

const file = (path) => new URL(path, import.meta.url);
const read = (path) => readFileSync(file(path));
const scenes = JSON.parse(read("../golden/scenes.json")).cases;
const sha256 = (array) => createHash("sha256").update(Buffer.from(array.buffer)).digest("hex");
const rgb = (rgba) => rgba.filter((_, k) => k % 4 !== 3);

/** A model that keeps what it is asked and answers with the number of the question. */
class Recorded {
  constructor({ size = 8, maxPoints = 20, takesPrevious = false } = {}) {
    Object.assign(this, { size, maxPoints, takesPrevious, asked: [] });
  }

  run(image, points, previous) {
    this.asked.push({ image, points, previous });
    return new Uint8Array(this.size ** 2).fill(this.asked.length);
  }
}
const photograph = (width, height) => ({ width, height, rgba: new Uint8ClampedArray(4 * width * height).fill(255) });

for (const one of scenes) {
  test(`the tensors of the scene ${one.name} are Python's, bit for bit`, () => {
    const scene = drawScene(one.scene), { width, height } = scene;
    assert.equal(sha256(Uint8Array.from(rgb(scene.rgba))), one.pixels_sha256);
    assert.equal(sha256(imageTensor(scene, 512)), one.image_sha256);
    const rows = one.taps.flatMap(([x, y, onObject]) => tap(x, y, onObject));
    assert.equal(sha256(pointsTensor(rows, width, height, 512, 20)), one.points_sha256);
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

test("a file with `previous` sees its masks one by one, and none twice", async () => {
  const model = new Recorded({ takesPrevious: true, maxPoints: 48 }), segmenter = new TapSegmenter(model);
  segmenter.setPhotograph(photograph(4, 3));
  const gestures = [tap(0, 0, false), tap(1, 1), box(0, 0, 2, 2), tap(2, 2)];
  await segmenter.segment(gestures.slice(0, 2));
  assert.deepEqual(model.asked.map(({ previous }) => previous?.[0]), [undefined]);
  const last = await segmenter.bytes(gestures);
  assert.deepEqual(model.asked.map(({ previous }) => previous?.[0]), [undefined, 1, 2]);
  assert.equal(last[0], 3);
  const used = ({ points }) => points.filter((value, k) => k % 3 === 2 && value >= 0).length;
  assert.deepEqual(model.asked.map(used), [2, 4, 5]);  // a box is one gesture of two rows
  assert.equal((await segmenter.bytes(gestures.slice(0, 3)))[0], 2);  // undo: not asked again
  assert.equal(model.asked.length, 3);
  segmenter.setPhotograph(photograph(4, 3));  // another photograph: nothing is kept
  await segmenter.bytes(gestures.slice(0, 2));
  assert.equal(model.asked.length, 4);
});

test("what makes no sense is refused in one line", async () => {
  const segmenter = new TapSegmenter(new Recorded({ maxPoints: 2 }));
  await assert.rejects(segmenter.segment([tap(0, 0)]), /no photograph yet/);
  assert.throws(() => segmenter.setPhotograph({ width: 4, height: 3, rgba: new Uint8Array(11) }),
                /4x3 needs 48 bytes RGBA, got 11/);
  segmenter.setPhotograph(photograph(4, 3));
  for (const [gestures, words] of [
    [[], /at least one gesture must mark the object/],
    [[tap(0, 0, false)], /at least one gesture must mark the object/],
    [[[{ x: 0, y: 0, label: 2 }]], /at least one gesture must mark the object/],
    [[tap(0, 0), tap(0, 0), tap(0, 0)], /3 points, but the model takes 2/],
    [[tap(3.6, 0)], /the point 3.6, 0 is outside the photograph of 4x3/],
    [[tap(0, -0.6)], /is outside/], [[tap(NaN, 0)], /is outside/]]) {
    await assert.rejects(segmenter.segment(gestures), words);
  }
  await segmenter.segment([tap(3.5, -0.5)]);
  await segmenter.segment([box(0, 0, 3, 2)]);
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
