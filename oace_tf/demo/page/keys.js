// The keyboard: a cross that moves over the photograph and draws, and a key for every button.
import { addMark, chooseSign, chooseTool, clear, redo, undo } from "./answer.js";
import { byId, draw } from "./show.js";
import { TOOLS } from "./marks.js";
import { addPoint } from "./pointers.js";
import { addObject, nextObject, saveLabels, toggleSeveral } from "./objects.js";
import { copy, download } from "./save.js";
import { state } from "./state.js";
import { fit, reveal, view, zoomAt } from "./view.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SLOW = 100, FAST = 20;  // steps across what is shown
const STEP = 1.5;  // of a zoom
const canvas = byId("photo");

const ACTIONS = {
  b: () => here() && addMark("tap", [crossOrMiddle()], false), t: () => (state.objects ? nextObject() : chooseSign(!state.positive)),
  m: toggleSeveral, n: addObject,
  u: undo, r: redo, c: clear, o: () => byId("file").click(), d: () => (state.objects ? saveLabels() : download()), escape,
  "+": () => zoom(STEP), "=": () => zoom(STEP), "-": () => zoom(1 / STEP), 0: () => zoom(0),
  ...Object.fromEntries(TOOLS.map((tool, k) => [k + 1, () => chooseTool(tool)])),
};
const WITH_CONTROL = { z: undo, y: redo, c: copy };

const here = () => document.activeElement === canvas;

document.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  if (event.altKey || event.defaultPrevented || event.target.type === "text") return;  // text: an object's name
  if (event.ctrlKey || event.metaKey) {
    const action = key === "z" && event.shiftKey ? redo : WITH_CONTROL[key];
    if (!action || (key === "c" && !(state.mask && getSelection().isCollapsed))) return;
    event.preventDefault();
    return action();
  }
  if (event.target.type === "range") return;  // it has arrows and digits of its own
  if (here() && ARROWS[event.key]) {
    event.preventDefault();
    return moveCross(...ARROWS[event.key], event.shiftKey);
  }
  if (here() && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    return enter();
  }
  if (event.target.getAttribute?.("role") === "radio" && ARROWS[event.key]) {
    event.preventDefault();
    return nextRadio(event.target, ARROWS[event.key][0] + ARROWS[event.key][1]);
  }
  if (Object.hasOwn(ACTIONS, key)) {
    event.preventDefault();
    ACTIONS[key]();
  }
});

function enter() {  // taps and points at once; boxes, drags and scribbles from one Enter to the next
  if (!state.photo) return;
  const at = crossOrMiddle(), { tool, pending, positive } = state;
  if (tool === "tap") return addMark("tap", [at], positive);
  if (tool === "extreme") return addPoint(at);
  if (pending) return addMark(tool, [...pending.points.slice(0, tool === "scribble" ? undefined : 1), at], pending.object);
  state.pending = { kind: tool, points: [at], object: tool === "scribble" ? positive : true };
  draw();
}

function escape() {
  state.pending = null;
  draw();
}

function crossOrMiddle() {
  const { width, height } = state.photo.preview;
  return state.cross ??= [view.x + width / view.scale / 2 - 0.5, view.y + height / view.scale / 2 - 0.5];
}

function moveCross(right, down, fast) {
  if (!state.photo) return;
  const { width, height } = state.photo.preview;
  const step = Math.max(width, height) / view.scale / (fast ? FAST : SLOW), [x, y] = crossOrMiddle();
  const at = state.cross = [Math.min(Math.max(x + right * step, 0), width - 1),
                            Math.min(Math.max(y + down * step, 0), height - 1)];
  if (view.scale > 1) reveal(at);
  const { pending } = state;
  if (pending?.kind === "scribble") pending.points.push(at);
  else if (pending && pending.kind !== "extreme") pending.points = [pending.points[0], at];
  draw();
}

/** Zooms around the cross, or the middle; 0 shows the whole photograph. */
export function zoom(factor) {
  if (!state.photo) return;
  if (!factor) fit();
  else {
    const { width, height } = state.photo.preview, [x, y] = state.cross ?? [NaN, NaN];
    const share = (value, from, side) => (value >= from && value <= from + side / view.scale
      ? (value - from) * view.scale / side : 0.5);
    zoomAt(share(x, view.x, width), share(y, view.y, height), factor);
  }
  draw();
}

function nextRadio(radio, step) {
  const all = [...radio.closest("[role=radiogroup]").querySelectorAll("[role=radio]:not([hidden], :disabled)")];
  const next = all[(all.indexOf(radio) + step + all.length) % all.length];
  next.focus();
  next.click();
}
