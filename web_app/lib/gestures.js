// Gestures -> rows {x, y, label} of the file's `points`, in pixels of the photograph (pixel centres
// are whole numbers). A gesture is a list of rows; what was drawn is a list of gestures.

/** What the third number of a row means; taps and corners as in SAM-type exports. */
export const LABEL = Object.freeze({
  UNUSED: -1, BACKGROUND: 0, OBJECT: 1, CORNER: 2, OPPOSITE_CORNER: 3, EXTREME: 4, RELEASE: 5,
});
const SCRIBBLE_STEP = 0.02;  // of the photograph's diagonal, between the taps along a stroke

const row = (x, y, label) => ({ x, y, label });
const tapLabel = (onObject) => (onObject ? LABEL.OBJECT : LABEL.BACKGROUND);

/** A tap on the object, or on what does not belong to it. */
export const tap = (x, y, onObject = true) => [row(x, y, tapLabel(onObject))];

/** A box around the object: two opposite corners, in any order. */
export const box = (x0, y0, x1, y1) => [row(x0, y0, LABEL.CORNER), row(x1, y1, LABEL.OPPOSITE_CORNER)];

/** Points [x, y] on the object's outline: leftmost, rightmost, top, bottom. */
export const extremes = (points) => points.map(([x, y]) => row(x, y, LABEL.EXTREME));

/** Pressed at the middle of the object, or of what does not belong to it; released near its edge. */
export const drag = (x, y, toX, toY, onObject = true) => [
  row(x, y, tapLabel(onObject)), row(toX, toY, LABEL.RELEASE)];

/**
 * A stroke: taps along it, every 2 % of the photograph's diagonal, from its first point on; thinned
 * where there are more than `most`.
 */
export function scribble(points, width, height, onObject = true, most = Infinity) {
  const step = SCRIBBLE_STEP * Math.hypot(width, height);
  const kept = points.slice(0, 1);
  let left = step;
  for (let k = 1; k < points.length; k++) {
    const [[ax, ay], [bx, by]] = [points[k - 1], points[k]], length = Math.hypot(bx - ax, by - ay);
    let along = left;
    for (; along <= length; along += step) {
      kept.push([ax + (bx - ax) * along / length, ay + (by - ay) * along / length]);
    }
    left = along - length;
  }
  const count = Math.min(kept.length, most);
  return Array.from({ length: count }, (_, k) => {
    const [x, y] = kept[count === 1 ? 0 : Math.round(k * (kept.length - 1) / (count - 1))];
    return row(x, y, tapLabel(onObject));
  });
}

/** Whether rows mark something: an object tap, a whole box, or points on the outline. */
export function marksObject(rows) {
  const has = (label) => rows.some((one) => one.label === label);
  return has(LABEL.OBJECT) || (has(LABEL.CORNER) && has(LABEL.OPPOSITE_CORNER)) || has(LABEL.EXTREME);
}
