// Marks of the page -> answers: what is asked, what is handed back, what is kept; and soft edges.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BitMask, TapSegmenter } from "oace-tap-segmenter";
import { ask, gesturesOf } from "../site/answers.js";
import { blurred, cropped, softened } from "../site/cutouts.js";

const KINDS = ["background", "box", "drag", "extreme", "tap"];

function segmenter(takesPrevious) {
  const model = { size: 8, maxPoints: 48, takesPrevious, gestures: KINDS, asked: [], run(image, points, previous) {
    this.asked.push({ used: points.filter((value, k) => k % 3 === 2 && value >= 0).length, previous: previous?.[0] });
    return new Uint8Array(64).fill(this.asked.length);
  } };
  const made = new TapSegmenter(model);
  made.setPhotograph({ width: 40, height: 30, rgba: new Uint8ClampedArray(4800).fill(255) });
  return [made, model.asked];
}
const mark = (kind, points, object = true) => ({ kind, points, object });
const TAP = mark("tap", [[5, 6]]), OFF = mark("tap", [[20, 20]], false);

test("every kind of mark becomes a gesture", () => {
  const labels = gesturesOf([TAP, OFF, mark("scribble", [[1, 1], [2, 2]]), mark("box", [[1, 2], [9, 8]]),
    mark("drag", [[5, 5], [9, 9]]), mark("extreme", [[1, 5], [9, 5], [5, 1], [5, 9]])])
    .map((rows) => rows.map(({ label }) => label));
  assert.deepEqual(labels, [[1], [0], [1], [1], [2, 3], [1, 5], [4, 4, 4, 4]]);
});

test("each answer knows the one before, and none is asked twice", async () => {
  const [made, asked] = segmenter(true), kept = new Map();
  await ask(made, kept, [OFF, TAP]);
  assert.deepEqual(asked, [{ used: 2, previous: undefined }]);  // a mark on the background alone asks nothing
  const { answer, ms } = await ask(made, kept, [OFF, TAP, TAP]);
  assert.deepEqual(asked[1], { used: 3, previous: 1 });
  assert.ok(ms >= 0 && answer.bytes[0] === 2);
  await ask(made, kept, [OFF, TAP]);
  await ask(made, kept, [OFF, { ...TAP, choice: undefined }]);
  assert.equal(asked.length, 2);
  await assert.rejects(ask(made, kept, [OFF]), /must mark the object/);
  const many = Array.from({ length: 40 }, (_, k) => mark("tap", [[k, 1]]));
  for (let count = 1; count <= many.length; count++) await ask(made, kept, many.slice(0, count));
  assert.equal(asked.length, 42);  // one run a mark, though not all answers are kept
  assert.equal(kept.size, 32);
});

test("a file without `previous` is asked about all marks at once", async () => {
  const [made, asked] = segmenter(false), kept = new Map();
  await ask(made, kept, [TAP, OFF, mark("box", [[1, 2], [9, 8]])]);
  assert.deepEqual(asked, [{ used: 4, previous: undefined }]);
});

test("a soft edge falls on both sides, and the crop holds all of it", () => {
  const mask = new BitMask(60, 40), rgba = new Uint8ClampedArray(60 * 40 * 4).fill(200);
  for (let y = 10; y < 30; y++) mask.bits.fill(1, 60 * y + 20, 60 * y + 40);
  const alpha = blurred(mask, 2);
  assert.ok(Math.abs(alpha[20 * 60 + 30] - 1) < 1e-5 && alpha[20 * 60 + 2] < 1e-5);
  assert.ok(Math.abs(alpha[20 * 60 + 19] + alpha[20 * 60 + 20] - 1) < 1e-5);
  for (let x = 10; x < 29; x++) assert.ok(alpha[20 * 60 + x] <= alpha[20 * 60 + x + 1] + 1e-6);
  const picture = { width: 60, height: 40, rgba: softened({ width: 60, height: 40, rgba }, mask, 4) };
  assert.equal(picture.rgba[4 * (20 * 60 + 30) + 3], 200);  // the photograph's own transparency
  const part = cropped(picture);
  assert.ok(part.width > 20 && part.width < 40 && part.height > 20 && part.height < 40);
  const nothing = { width: 2, height: 1, rgba: new Uint8ClampedArray(8) };
  assert.equal(cropped(nothing), nothing);
});
