// Mouse, finger and pen on the photograph: marks, the mask under the pointer, zoom and pan.
import { addMark, glanceAt } from "./answer.js";
import { byId, draw, tell } from "./show.js";
import { POINTS } from "./marks.js";
import { state } from "./state.js";
import { pan, placeAt, view, zoomAt } from "./view.js";

const LONG_TOUCH_MS = 550, MOVED_PX = 10, NEAR_PX = 3;
const DRAWN = ["scribble", "box", "drag"];  // by moving while pressed
const WHEEL = 0.0015, PAD = 0.01;  // of a zoom, for each pixel of a wheel, and of two fingers on a touchpad (Ctrl)
const LINE_PX = 20;  // of wheels that count in lines
const canvas = byId("photo");
const down = new Map();  // the pointers that are down: id -> [x, y]
let pressed = null;  // { id, x, y, timer, moves, done } of the one finger or button that draws

/** Shares of the stage at which an event happened. */
function shares({ clientX, clientY }) {
  const box = canvas.getBoundingClientRect();
  return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
}

const place = (event) => placeAt(...shares(event));

/** A point more of the outline; with the last one the mark is done. */
export function addPoint(at) {
  const points = [...(state.pending?.points ?? []), at];
  if (points.length === POINTS.extreme) return addMark("extreme", points);
  state.pending = { kind: "extreme", points, object: true };
  tell(`${POINTS.extreme - points.length} more to mark: leftmost, rightmost, top and bottom, in any order.`);
  draw();
}

/** What a tap with the chosen tool does. */
export function tapAt(at, positive) {
  if (state.tool === "extreme" && positive) addPoint(at);
  else addMark("tap", [at], positive);
}

function release() {
  if (pressed) {
    clearTimeout(pressed.timer);
    if (pressed.moves && state.tool !== "extreme") state.pending = null;
  }
  pressed = null;
  draw();
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button > 2) return;
  down.set(event.pointerId, [event.clientX, event.clientY]);
  glanceAt(null);
  if (pressed || down.size > 1) return release();  // a second finger: the two zoom, they do not draw
  if (event.button === 1) event.preventDefault();  // no scrolling by the wheel's button: it pans
  pressed = { id: event.pointerId, x: event.clientX, y: event.clientY, start: place(event),
              button: event.button, moves: false, done: false };
  state.cross = null;
  try {
    canvas.setPointerCapture(event.pointerId);
  } catch { /* the pointer is gone already */ }
  if (event.pointerType === "mouse") return;
  const mine = pressed;
  pressed.timer = setTimeout(() => {
    mine.done = true;
    addMark("tap", [mine.start], false);
  }, LONG_TOUCH_MS);
});

canvas.addEventListener("pointermove", (event) => {
  const before = down.get(event.pointerId);
  if (before) down.set(event.pointerId, [event.clientX, event.clientY]);
  if (down.size > 1) return before && pinch(event.pointerId, before);
  if (!pressed) {
    if (event.pointerType === "mouse" && state.photo && !event.buttons) glanceAt(place(event));
    return;
  }
  if (event.pointerId !== pressed.id || pressed.done) return;
  if (!pressed.moves) {
    const far = Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y);
    const enough = event.pointerType === "mouse" ? NEAR_PX : MOVED_PX;
    if (far <= (DRAWN.includes(state.tool) ? enough : MOVED_PX)) return;
    clearTimeout(pressed.timer);
    pressed.moves = true;
  }
  const draws = DRAWN.includes(state.tool) && pressed.button === 0;
  if (draws) return stretch(event);
  if (pressed.button !== 2 && view.scale > 1 && before) {
    const box = canvas.getBoundingClientRect();
    pan((event.clientX - before[0]) / box.width, (event.clientY - before[1]) / box.height);
    draw();
  }
});

function stretch(event) {  // what is being drawn, as far as it goes
  const kind = state.tool, at = place(event);
  if (kind === "scribble") {
    const points = state.pending?.points ?? [pressed.start];
    for (const one of event.getCoalescedEvents?.() ?? []) points.push(place(one));
    points.push(at);
    state.pending = { kind, points, object: state.positive };
  } else {
    state.pending = { kind, points: [pressed.start, at], object: true };
  }
  draw();
}

canvas.addEventListener("pointerup", (event) => {
  down.delete(event.pointerId);
  if (!pressed || event.pointerId !== pressed.id) return;
  const { done, moves, button, start } = pressed, { pending } = state;
  clearTimeout(pressed.timer);
  pressed = null;
  if (done) return;
  if (!moves) {
    if (button !== 1) tapAt(start, button === 2 ? false : state.positive);
  } else if (pending && DRAWN.includes(pending.kind) && button === 0) {
    addMark(pending.kind, pending.points, pending.object);
  }
});

canvas.addEventListener("pointercancel", (event) => {
  down.delete(event.pointerId);
  release();
});
canvas.addEventListener("lostpointercapture", ({ pointerId }) => down.delete(pointerId));
canvas.addEventListener("pointerleave", () => glanceAt(null));
canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("focus", draw);
canvas.addEventListener("blur", draw);

// --- zoom

function pinch(id, before) {
  const now = down.get(id), [other] = [...down].filter(([one]) => one !== id).map(([, at]) => at);
  const box = canvas.getBoundingClientRect(), gap = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]);
  const middle = (at) => [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2], [x, y] = middle(now), [x0, y0] = middle(before);
  pan((x - x0) / box.width, (y - y0) / box.height);
  zoomAt((x - box.left) / box.width, (y - box.top) / box.height, Math.max(gap(now), 1) / Math.max(gap(before), 1));
  draw();
}

canvas.addEventListener("touchmove", (event) => {
  if (event.touches.length > 1) event.preventDefault();  // else the browser takes the pinch for itself
}, { passive: false });

canvas.addEventListener("wheel", (event) => {
  if (!state.photo) return;
  const turned = event.deltaY * (event.deltaMode ? LINE_PX : 1);
  if (zoomAt(...shares(event), Math.exp(-(event.ctrlKey ? PAD : WHEEL) * turned))) {
    event.preventDefault();
    draw();
  } else if (view.scale > 1 || event.ctrlKey) event.preventDefault();
}, { passive: false });
