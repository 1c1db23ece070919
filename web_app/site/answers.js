// From the page's marks to answers, one after the other, each knowing the one before: the twin of
// oace_tf/demo/answers.py. What was said is kept, so that an undo asks nothing.
import { box, drag, extremes, tap } from "../lib/tap-segmenter.js";
import { marksObject } from "../lib/gestures.js";

const KEPT = 32;  // answers a photograph, a quarter of a megabyte each
const GESTURES = {
  tap: ([[x, y]], object) => [tap(x, y, object)],
  scribble: (points, object) => points.map(([x, y]) => tap(x, y, object)),
  box: ([[x0, y0], [x1, y1]]) => [box(x0, y0, x1, y1)],
  drag: ([[x0, y0], [x1, y1]]) => [drag(x0, y0, x1, y1)],
  extreme: (points) => [extremes(points)],
};

/** Marks as the library's gestures. */
export const gesturesOf = (marks) => marks.flatMap(({ kind, points, object }) => GESTURES[kind](points, object));

/**
 * What a segmenter says of marks: { answer, ms, first: whether no answer was handed back }.
 * @param kept  a Map of this photograph, in the order of use
 */
export async function ask(segmenter, kept, marks) {
  if (!segmenter.model.takesPrevious) return once(segmenter, kept, marks, null);
  segmenter.checkAll(gesturesOf(marks));  // refuses first
  const parts = marks.map((_, k) => marks.slice(0, k + 1)).filter((part) => marksObject(gesturesOf(part)));
  let said = null, before = null;
  const latest = parts.findLastIndex((part) => kept.has(keyOf(part)));  // on from there
  for (const part of parts.slice(Math.max(latest, 0))) {
    said = await once(segmenter, kept, part, before);
    const { choice } = part.at(-1);
    before = choice === undefined ? said.answer : said.answer.alternatives[choice].answer;
  }
  return said;
}

/** Marks as they are asked about: which answer is taken of the last one comes later. */
function keyOf(marks) {
  const { choice: _, ...last } = marks.at(-1) ?? {};
  return JSON.stringify([...marks.slice(0, -1), last]);
}

async function once(segmenter, kept, marks, before) {
  const key = keyOf(marks), start = performance.now();
  let said = kept.get(key);
  if (!said) {
    const answer = await segmenter.answer(gesturesOf(marks), before);
    said = { answer, ms: performance.now() - start, first: !before };
  }
  kept.delete(key);
  kept.set(key, said);
  for (const old of kept.keys()) {
    if (kept.size <= KEPT) break;
    kept.delete(old);
  }
  return said;
}
