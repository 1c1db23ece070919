// Marks: what is drawn on the photograph, and what of it the file takes.
import { state } from "./state.js";

// Of several objects, told apart also by the numbers beside them; and of what is on none.
export const COLOURS = ["#e8590c", "#1971c2", "#9c36b5", "#2f9e44", "#c2255c", "#0c8599", "#a67c00", "#5f3dc4"];
export const BACKGROUND = "#55606b";
export const TOOLS = ["tap", "scribble", "box", "drag", "extreme"];
export const POINTS = { tap: 1, box: 2, drag: 2, extreme: 4 };  // a scribble has as many as it needs
const STEP = 0.02;  // of the photograph's diagonal, between the taps along a scribble
const STROKE_SHARE = 1 / 4;  // of the rows that the file takes, for one scribble
const EXTENTS = ["box", "extreme"];  // both say how far the object reaches: the later one counts

/** Whether the file knows a tool. A scribble is taps. */
export const knows = (tool) => tool === "scribble"
  || (state.engine.facts.kinds.includes(tool) && (tool === "tap" || !state.objects));

/** A place of the preview in pixels of the photograph, at its border where it lies beside. */
export function onPhoto([x, y]) {
  const { width, height, preview } = state.photo;
  const limit = (value, side) => Math.min(Math.max(value, -0.5), side - 0.5);
  return [limit((x + 0.5) * width / preview.width - 0.5, width),
          limit((y + 0.5) * height / preview.height - 0.5, height)];
}

/** A place of the photograph in canvas coordinates of the preview: edges are whole numbers. */
export function onPreview([x, y]) {
  const { width, height, preview } = state.photo;
  return [(x + 0.5) * preview.width / width, (y + 0.5) * preview.height / height];
}

/** A mark from places of the preview. */
export function markOf(kind, places, object) {
  const points = places.map(onPhoto);
  const mark = { kind, points: kind === "scribble" ? stroke(points) : points, object };
  return state.objects ? { ...mark, label: object ? state.object : 0 } : mark;
}

/** The marks with one more; a second box or drag takes the place of the first. */
export function withMark(marks, mark) {
  const gone = EXTENTS.includes(mark.kind) ? EXTENTS : mark.kind === "drag" ? ["drag"] : [];
  return [...marks.filter(({ kind }) => !gone.includes(kind)), mark];
}

/** What is wrong with marks, a sentence, or nothing. */
export function refusal(marks) {
  const { kinds, points } = state.engine.facts;
  if (marks.some(({ object }) => !object) && !kinds.includes("background")) {
    return "This model takes no marks on the background.";
  }
  if (state.objects) return refusalOfSeveral(marks, points);
  if (!marks.some(({ object }) => object)) return "First mark the object, then what does not belong to it.";
  const rows = marks.reduce((sum, mark) => sum + mark.points.length, 0);
  return rows > points ? `The model takes ${points} points; undo some first.` : "";
}

function refusalOfSeveral(marks, points) {  // as oace_tf/regions.py: half of the rows are an object's own
  const labels = new Map();
  for (const { label } of marks) labels.set(label, (labels.get(label) ?? 0) + 1);
  if (![...labels.keys()].some(Boolean)) return "First mark an object, then the background.";
  const room = labels.size > 1 ? Math.floor(points / 2) : points;
  const full = [...labels].find(([label, count]) => label && count > room);
  return full ? `The model takes ${room} strokes on one object; undo some first.` : "";
}

/** What the engine is asked of several objects: each one's name and strokes, in pixels of the photograph. */
export function strokesByLabel(marks, objects) {
  return [...objects.map(({ name }) => name), "background"].map((name, k) => ({
    name, strokes: marks.filter(({ label }) => label === (k + 1) % (objects.length + 1)).map((mark) => mark.points),
  })).filter(({ strokes }) => strokes.length);
}

function stroke(places) {  // taps along it, as far apart as the model wants them
  const { width, height } = state.photo, step = STEP * Math.hypot(width, height), taps = places.slice(0, 1);
  let left = step;
  for (let k = 1; k < places.length; k++) {
    const [[ax, ay], [bx, by]] = [places[k - 1], places[k]], length = Math.hypot(bx - ax, by - ay);
    let along = left;
    for (; along <= length; along += step) taps.push([ax + (bx - ax) * along / length, ay + (by - ay) * along / length]);
    left = along - length;
  }
  const count = Math.min(taps.length, Math.max(2, Math.floor(STROKE_SHARE * state.engine.facts.points)));
  return Array.from({ length: count }, (_, k) => taps[count === 1 ? 0 : Math.round(k * (taps.length - 1) / (count - 1))]);
}
