// Answers the cases of a folder with lib/, for tests/web_app/test_golden.py, which compares them with
// Python: the same cases, in the same files, as android_app's Golden.kt answers.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TapSegmenter, cutoutPixels, tap } from "../lib/tap-segmenter.js";

const folder = process.argv[2], read = (name) => readFileSync(join(folder, name));
const write = (name, array) => writeFileSync(join(folder, name), Buffer.from(array.buffer));

for (const line of read("cases.txt").toString().trim().split("\n")) {
  const [name, width, height, size, maxPoints, ...rest] = line.split(" ");
  const rgb = read(`${name}.rgb`), rgba = new Uint8ClampedArray(rgb.length / 3 * 4).fill(255);
  for (let k = 0; k < rgb.length; k++) rgba[4 * Math.floor(k / 3) + k % 3] = rgb[k];
  const model = { size: Number(size), maxPoints: Number(maxPoints), takesPrevious: false,
                  run: (image, points) => {
                    write(`${name}.image`, image);
                    write(`${name}.points`, points);
                    return read(`${name}.mask`);
                  } };
  const gestures = [];
  for (let k = 0; k < rest.length; k += 3) gestures.push(tap(Number(rest[k]), Number(rest[k + 1]), rest[k + 2] === "1"));
  const photograph = { width: Number(width), height: Number(height), rgba };
  const segmenter = new TapSegmenter(model);
  segmenter.setPhotograph(photograph);
  const mask = await segmenter.segment(gestures);
  write(`${name}.probability`, mask.probability());
  write(`${name}.cutout`, cutoutPixels(photograph, mask));
}
