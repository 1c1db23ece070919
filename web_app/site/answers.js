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

/** What a segmenter says of marks: { answer, ms }; `kept` is a Map of this photograph, in the order of use. */
export async function ask(segmenter, kept, marks) {
  if (!segmenter.model.takesPrevious) return once(segmenter, kept, marks, null);
  segmenter.checkAll(gesturesOf(marks));  // refuses first
  let before = null;
  for (let count = 1; count <= marks.length; count++) {
    const part = marks.slice(0, count);
    if (!marksObject(gesturesOf(part))) continue;
    const said = await once(segmenter, kept, part, before), { choice } = part.at(-1);
    if (count === marks.length) return said;
    before = choice === undefined ? said.answer : said.answer.alternatives[choice].answer;
  }
  return once(segmenter, kept, marks, null);  // refuses: nothing marks the object
}

async function once(segmenter, kept, marks, before) {
  const { choice: _, ...last } = marks.at(-1) ?? {}, key = JSON.stringify([...marks.slice(0, -1), last]);
  const start = performance.now();
  let said = kept.get(key);
  if (!said) {
    const answer = await segmenter.answer(gesturesOf(marks), before);
    said = { answer, ms: performance.now() - start };
  }
  kept.delete(key);
  kept.set(key, said);
  for (const old of kept.keys()) {
    if (kept.size <= KEPT) break;
    kept.delete(old);
  }
  return said;
}
