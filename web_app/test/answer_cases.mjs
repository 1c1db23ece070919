// Answers the cases of a folder with lib/, for tests/web_app/test_golden.py, which compares them with
// Python: the same cases, in the same files, as android_app's Golden.kt answers. A line of cases.txt:
// name, width, height, side of the frame, rows of `points`, 1 where the file knows gestures and takes
// its last answer, then x y label for each row.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LABEL, TapSegmenter, cutoutPixels } from "../lib/tap-segmenter.js";
// regions.json: name, width, height, rows of `points` and strokes by label of each photograph; NAME.mask0 and so on
// are what the file gives of each label.

const folder = process.argv[2], read = (name) => readFileSync(join(folder, name));
const write = (name, array) => writeFileSync(join(folder, name), Buffer.from(array.buffer, array.byteOffset, array.byteLength));
const KINDS = ["background", "box", "drag", "extreme", "tap"];

/** Rows in Python's order (drag, box, outline, taps) as gestures. */
function gestures(rows) {
  const drag = rows[1]?.label === LABEL.RELEASE ? [rows.splice(0, 2)] : [];
  const bounds = rows.filter(({ label }) => label > LABEL.OBJECT);
  const box = bounds.filter(({ label }) => label !== LABEL.EXTREME);
  const extreme = bounds.filter(({ label }) => label === LABEL.EXTREME);
  const taps = rows.filter(({ label }) => label <= LABEL.OBJECT).map((row) => [row]);
  return { bounds: [...drag, box, extreme].filter(({ length }) => length), taps };
}

for (const line of read("cases.txt").toString().trim().split("\n")) {
  const [name, width, height, size, maxPoints, knows, ...rest] = line.split(" ");
  const rgb = read(`${name}.rgb`), rgba = new Uint8ClampedArray(rgb.length / 3 * 4).fill(255);
  for (let k = 0; k < rgb.length; k++) rgba[4 * Math.floor(k / 3) + k % 3] = rgb[k];
  const asked = [];
  const model = { size: Number(size), maxPoints: Number(maxPoints), takesPrevious: knows === "1",
                  gestures: knows === "1" ? KINDS : [],
                  run: (image, points, previous) => {
                    asked.push(previous ?? new Uint8Array(size * size));
                    if (asked.length <= 2) {  // segment() asks again
                      write(`${name}.image`, image);
                      write(`${name}.points`, points);
                    }
                    return new Uint8Array(read(`${name}.mask`));
                  } };
  const rows = [];
  for (let k = 0; k < rest.length; k += 3) {
    rows.push({ x: Number(rest[k]), y: Number(rest[k + 1]), label: Number(rest[k + 2]) });
  }
  const { bounds, taps } = gestures(rows), all = [...bounds, ...taps];  // `rows` is cut by this
  const photograph = { width: Number(width), height: Number(height), rgba };
  const segmenter = new TapSegmenter(model);
  segmenter.setPhotograph(photograph);
  let answer = null;
  if (model.takesPrevious) {  // what was said before the last tap is handed back with it
    answer = await segmenter.answer(taps.length && bounds.length ? all.slice(0, -1) : all);
  }
  answer = await segmenter.answer(all, answer);
  if (model.takesPrevious) write(`${name}.previous`, Buffer.concat(asked.slice(0, 2)));
  write(`${name}.probability`, answer.mask().probability());
  write(`${name}.cutout`, cutoutPixels(photograph, answer.mask()));
  write(`${name}.tidied`, answer.tidied().bits);
  if (model.takesPrevious) write(`${name}.segment`, (await segmenter.segment(all)).bits);
}

for (const { name, width, height, rows, strokes } of JSON.parse(read("regions.json"))) {
  const rgb = read(`${name}.rgb`), rgba = new Uint8ClampedArray(rgb.length / 3 * 4).fill(255);
  for (let k = 0; k < rgb.length; k++) rgba[4 * Math.floor(k / 3) + k % 3] = rgb[k];
  const asked = [];
  const run = (_, points) => {  // a mask for each question, in turn
    asked.push(points);
    return new Uint8Array(read(`${name}.mask${asked.length - 1}`));
  };
  const segmenter = new TapSegmenter({ size: 512, maxPoints: rows, takesPrevious: false, gestures: KINDS, run });
  segmenter.setPhotograph({ width, height, rgba });
  const { labels, legend } = await segmenter.regions(strokes);
  write(`${name}.labels`, labels);
  writeFileSync(join(folder, `${name}.legend`), JSON.stringify(legend));
  write(`${name}.asked`, Buffer.concat(asked.map((points) => Buffer.from(points.buffer))));
}
