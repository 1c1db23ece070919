// The worker of the site: holds model and photographs, answers the page's calls (calls.js).
import { loadRuntime, openModel, openSplit } from "../lib/litert-model.js";
import { SMALL_SHARE, TapSegmenter, cutoutPixels } from "../lib/tap-segmenter.js";
import { ask, gesturesOf } from "./answers.js";
import { cropped, softened } from "./cutouts.js";
import { measure } from "./measure.js";
import { answerCalls } from "./calls.js";
import { openPhotograph, pngOf } from "./photographs.js";
import { greyPng } from "./png.js";

const KEPT = 2;  // the photograph that is shown, and the one before while it is being saved
const GLANCE_SIDE = 512, THUMBNAIL_SIDE = 256;  // px, the longer sides of small masks
const SURELY = 2;  // times as large in the preview: such an object is not small in the photograph either
const photographs = new Map();
let model = null, lastKey = 0;

answerCalls({
  async load(place, way) {
    const files = [place.model, place.decoder].filter(Boolean).map(fetchBytes);  // all downloads at once
    const runs = await loadRuntime(place.runtime, way);
    const bytes = await Promise.all(files);
    model = await (place.decoder ? openSplit : openModel)(...bytes, runs);
    const points = new Float32Array(model.maxPoints * 3).fill(-1);  // the first answer packs the weights
    await model.run(new Uint8Array(model.size ** 2 * 3), points);
    return { result: { ...runs, maxPoints: model.maxPoints, clickChannels: model.clickChannels,
                       gestures: [...model.gestures] } };
  },

  async open(blob, name) {
    const { photograph, preview, note } = await openPhotograph(blob, name);
    const segmenter = new TapSegmenter(model);
    segmenter.setPhotograph(photograph);
    const key = ++lastKey, size = [preview.width, preview.height];
    photographs.set(key, { photograph, segmenter, size, answers: new Map() });
    for (const [old, one] of photographs) {
      if (photographs.size <= KEPT) break;
      one.segmenter.delete();
      photographs.delete(old);
    }
    const { width, height } = photograph;
    return { result: { key, name, width, height, preview, note }, transfer: [preview] };
  },

  async mask(key, marks) {
    const { segmenter, size: [width, height], answers } = kept(key);
    const said = await ask(segmenter, answers, marks), choice = marks.at(-1).choice ?? null;
    const several = said.answer.alternatives, { ms } = said;
    const answer = choice === null ? await lookedTwice(segmenter, said, marks, width, height) : several[choice].answer;
    const tidy = answer.tidied(width, height);
    const alternatives = await Promise.all(several.map(async (one) => ({
      mask: await bitmapOf(one.answer.tidied(...within(width, height, THUMBNAIL_SIDE))), score: one.score })));
    const same = several.findIndex((one) => one.answer.bytes.every((value, k) => value === answer.bytes[k]));
    const mask = await bitmapOf(tidy), taken = choice ?? (same < 0 ? null : same);
    return { result: { mask, share: tidy.share, ms, taken, alternatives },
             transfer: [mask, ...alternatives.map((one) => one.mask)] };
  },

  async glance(key, marks) {
    const { segmenter, size: [width, height], answers } = kept(key), start = performance.now();
    const { answer } = await ask(segmenter, answers, marks);
    const mask = await bitmapOf(answer.tidied(...within(width, height, GLANCE_SIDE)));
    return { result: { mask, ms: performance.now() - start }, transfer: [mask] };
  },

  async cutout(key, marks, { feather, crop }) {
    const { photograph, segmenter, size, answers } = kept(key), said = await ask(segmenter, answers, marks);
    const { choice } = marks.at(-1);
    const answer = choice === undefined ? await lookedTwice(segmenter, said, marks, ...size)
      : said.answer.alternatives[choice].answer;
    const mask = answer.tidied();
    let picture = { width: photograph.width, height: photograph.height };
    picture.rgba = feather ? softened(photograph, mask, feather) : cutoutPixels(photograph, mask);
    if (crop) picture = cropped(picture);
    return { result: await pngOf(picture.rgba, picture.width, picture.height) };
  },

  async regions(key, labels) {
    const { segmenter, size } = kept(key), start = performance.now();
    const { width, height, labels: numbers, legend } = await segmenter.regions(strokesOf(labels), ...size);
    const picture = new ImageData(width, height), counts = legend.map(() => 0);
    numbers.forEach((number, k) => {
      counts[number]++;
      picture.data.set([number, number, number, 255], 4 * k);
    });
    const bitmap = await createImageBitmap(picture);
    return { result: { labels: bitmap, legend, shares: counts.map((count) => count / numbers.length),
                       ms: performance.now() - start }, transfer: [bitmap] };
  },

  async labels(key, labels) {
    const { labels: numbers, width, height } = await kept(key).segmenter.regions(strokesOf(labels));
    return { result: await greyPng(numbers, width, height) };
  },

  async benchmark(place, way, sha256) {
    return { result: await measure(place, way, sha256) };
  },
});

/** The first answer, or its mean with a second look at a small object; kept beside it. */
async function lookedTwice(segmenter, said, marks, width, height) {
  if (!said.first) return said.answer;
  const { share } = said.answer.tidied(width, height);  // of the preview: quicker than the photograph
  if (share === 0 || share >= SURELY * SMALL_SHARE) return said.answer;
  said.twice ??= segmenter.lookTwice(gesturesOf(marks), said.answer);
  return said.twice;
}

const strokesOf = (labels) => new Map(labels.map(({ name, strokes }) => [name, strokes]));

function kept(key) {
  const photograph = photographs.get(key);
  if (!photograph) throw new Error("this photograph is not kept any more; open it again");
  return photograph;
}

function within(width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

function bitmapOf({ width, height, bits }) {  // opaque on the object
  const picture = new ImageData(width, height);
  for (let k = 0; k < bits.length; k++) if (bits[k]) picture.data[4 * k + 3] = 255;
  return createImageBitmap(picture);
}

async function fetchBytes(url) {
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) throw new Error("the model could not be loaded; is there a network?");
  return new Uint8Array(await answer.arrayBuffer());
}
