// Marks: what is drawn on the photograph, and what of it the file takes.
import { state } from "./state.js";

export const TOOLS = ["tap", "scribble", "box", "drag", "extreme"];
export const POINTS = { tap: 1, box: 2, drag: 2, extreme: 4 };  // a scribble has as many as it needs
const STEP = 0.02;  // of the photograph's diagonal, between the taps along a scribble
const STROKE_SHARE = 1 / 4;  // of the rows that the file takes, for one scribble
const EXTENTS = ["box", "extreme"];  // both say how far the object reaches: the later one counts

/** Whether the file knows a tool. A scribble is taps. */
export const knows = (tool) => tool === "scribble" || state.engine.facts.kinds.includes(tool);

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
  return { kind, points: kind === "scribble" ? stroke(points) : points, object };
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
  if (!marks.some(({ object }) => object)) return "First mark the object, then what does not belong to it.";
  const rows = marks.reduce((sum, mark) => sum + mark.points.length, 0);
  return rows > points ? `The model takes ${points} points; undo some first.` : "";
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
