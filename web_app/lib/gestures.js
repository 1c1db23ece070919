// Gestures -> rows {x, y, label} of the file's `points`, in pixels of the photograph (pixel centres
// are whole numbers). A gesture is a list of rows; what was drawn is a list of gestures.

/** What the third number of a row means; taps and corners as in SAM-type exports. */
export const LABEL = Object.freeze({
  UNUSED: -1, BACKGROUND: 0, OBJECT: 1, CORNER: 2, OPPOSITE_CORNER: 3, EXTREME: 4, RELEASE: 5,
});
/** What a file knows that names no gestures. */
export const TAPS = Object.freeze(["background", "tap"]);
const SCRIBBLE_STEP = 0.02;  // of the photograph's diagonal, between the taps along a stroke
const BOUNDS = [LABEL.CORNER, LABEL.OPPOSITE_CORNER, LABEL.EXTREME];

const row = (x, y, label) => ({ x, y, label });
const tapLabel = (onObject) => (onObject ? LABEL.OBJECT : LABEL.BACKGROUND);

/** A tap on the object, or on what does not belong to it. */
export const tap = (x, y, onObject = true) => [row(x, y, tapLabel(onObject))];

/** A box around the object: two opposite corners, in any order. */
export const box = (x0, y0, x1, y1) => [row(x0, y0, LABEL.CORNER), row(x1, y1, LABEL.OPPOSITE_CORNER)];

/** Four points [x, y] on the object's outline: leftmost, rightmost, top, bottom, in any order. */
export const extremes = (points) => points.map(([x, y]) => row(x, y, LABEL.EXTREME));

/** Pressed at the middle of the object, released at its nearest edge. */
export const drag = (x, y, toX, toY) => [row(x, y, LABEL.OBJECT), row(toX, toY, LABEL.RELEASE)];

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

/**
 * What gestures are together, as `Gesture` of oace_tf/gestures.py.
 * Raises RangeError where nothing says which object is meant, and for two boxes, two drags, or other
 * than four points on the outline.
 */
export class Gestures {
  constructor(gestures) {
    const drags = gestures.filter((rows) => rows[1]?.label === LABEL.RELEASE);
    const others = gestures.filter((rows) => !drags.includes(rows)).flat();
    const of = (...labels) => others.filter(({ label }) => labels.includes(label));
    const corners = of(LABEL.CORNER, LABEL.OPPOSITE_CORNER), extreme = of(LABEL.EXTREME);
    this.taps = of(LABEL.BACKGROUND, LABEL.OBJECT);
    this.drag = drags.flat();
    this.pressed = this.drag.slice(0, 1);
    this.bounds = [...corners, ...extreme];
    this.rows = [...this.drag, ...corners, ...extreme, ...this.taps];  // in Python's order
    const count = (label) => of(label).length;
    if (count(LABEL.CORNER) !== count(LABEL.OPPOSITE_CORNER) || corners.length > 2) {
      throw new RangeError("a box has two opposite corners, and there is one box at most");
    }
    if (this.drag.length > 2 || count(LABEL.RELEASE)) {
      throw new RangeError("there is one drag at most: where it begins, and where it ends");
    }
    if (extreme.length && extreme.length !== 4) {
      throw new RangeError(`${extreme.length} points on the outline; give four: leftmost, rightmost, top and bottom`);
    }
    if (!this.rows.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))) {
      throw new RangeError("a gesture holds a number that is not finite");
    }
    if (!marksObject(gestures)) {
      throw new RangeError("at least one gesture must mark the object: a tap on it, a box, four points or a drag");
    }
  }

  /** What they are made of: tap, background, box, extreme, drag. */
  get kinds() {
    const kinds = new Set(this.taps.map(({ label }) => (label === LABEL.OBJECT ? "tap" : "background")));
    if (this.pressed.length) kinds.add("drag");
    for (const { label } of this.bounds) kinds.add(label === LABEL.EXTREME ? "extreme" : "box");
    return kinds;
  }

  /** The taps on the object and on the background; a drag begins with one on the object. */
  get allTaps() { return [...this.pressed, ...this.taps]; }
}

/** Whether gestures mark something: an object tap, a drag, a box, or points on the outline. */
export const marksObject = (gestures) => gestures.flat().some(
  ({ label }) => label === LABEL.OBJECT || BOUNDS.includes(label));
