// The worker of the site: holds model and photographs, answers the page's calls (calls.js).
import { loadRuntime, openModel } from "../lib/litert-model.js";
import { FrameMask, TapSegmenter, cutoutPixels, tap } from "../lib/tap-segmenter.js";
import { measure } from "./measure.js";
import { answerCalls } from "./calls.js";
import { openPhotograph, pngOf } from "./photographs.js";

const KEPT = 2;  // the photograph that is shown, and the one before while it is being saved
const photographs = new Map();
let model = null, lastKey = 0;

answerCalls({
  async load(place, way) {
    const bytes = fetchBytes(place.model);  // both downloads at once
    const runs = await loadRuntime(place.runtime, way);
    model = await openModel(await bytes, runs);
    const points = new Float32Array(model.maxPoints * 3).fill(-1);  // the first answer packs the weights
    await model.run(new Uint8Array(model.size ** 2 * 3), points);
    return { result: { ...runs, maxPoints: model.maxPoints, clickChannels: model.clickChannels } };
  },

  async open(blob, name) {
    const { photograph, preview, note } = await openPhotograph(blob, name);
    const segmenter = new TapSegmenter(model);
    segmenter.setPhotograph(photograph);
    const key = ++lastKey, size = [preview.width, preview.height];
    photographs.set(key, { photograph, segmenter, size });
    for (const old of photographs.keys()) if (photographs.size > KEPT) photographs.delete(old);
    const { width, height } = photograph;
    return { result: { key, name, width, height, preview, note }, transfer: [preview] };
  },

  async mask(key, taps) {
    const { segmenter, size: [width, height] } = kept(key);
    const start = performance.now();
    const bytes = await segmenter.bytes(gestures(taps));
    const ms = performance.now() - start;
    const frame = new FrameMask(bytes, model.size, width, height);
    const picture = new ImageData(width, height), row = new Float32Array(width);
    let count = 0;
    for (let y = 0; y < height; y++) {
      frame.row(y, row);
      for (let x = 0; x < width; x++) {
        if (row[x] < 0.5) continue;
        picture.data[4 * (y * width + x) + 3] = 255;
        count++;
      }
    }
    const mask = await createImageBitmap(picture);
    return { result: { mask, share: count / (width * height), ms }, transfer: [mask] };
  },

  async cutout(key, taps) {
    const { photograph, segmenter } = kept(key);
    const pixels = cutoutPixels(photograph, await segmenter.segment(gestures(taps)));
    return { result: await pngOf(pixels, photograph.width, photograph.height) };
  },

  async benchmark(place, way, sha256) {
    return { result: await measure(place, way, sha256) };
  },
});

const gestures = (taps) => taps.map(([x, y, positive]) => tap(x, y, positive));

function kept(key) {
  const photograph = photographs.get(key);
  if (!photograph) throw new Error("this photograph is not kept any more; open it again");
  return photograph;
}

async function fetchBytes(url) {
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) throw new Error("the model could not be loaded; is there a network?");
  return new Uint8Array(await answer.arrayBuffer());
}
