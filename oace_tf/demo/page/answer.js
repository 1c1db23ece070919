// From marks to masks: what was drawn goes to the engine, its answer into the state. Undo and redo.
import { byId, draw, forget, say, setMask, showAlternatives, tell, tiles, unfollowed } from "./show.js";
import { askRegions, forgetRegions } from "./objects.js";
import { knows, markOf, refusal, withMark } from "./marks.js";
import { state } from "./state.js";

const QUICK_MS = 70;  // an answer that fast may follow the pointer without an encoder
const HINTS = {
  tap: "Tap the object.",
  scribble: "Scribble over the object.",
  box: "Draw a box around the object.",
  drag: "Press in the middle of the object, release at its nearest edge.",
  extreme: "Mark its leftmost, rightmost, top and bottom point.",
};
/** What to do with the chosen tool, a sentence. */
export const hint = () => (state.objects ? hintOfSeveral() : HINTS[state.tool]);

function hintOfSeveral() {
  const { object, objects, tool } = state, does = tool === "tap" ? "Tap" : "Draw over";
  return object ? `${does} ${objects[object - 1].name}, then choose the next object.` : `${does} what is on no object.`;
}

let running = null, lastMs = Infinity;

/** Chooses what is drawn with. */
export function chooseTool(tool) {
  if (!state.engine || !knows(tool)) return;
  Object.assign(state, { tool, pending: null, glance: null });
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.setAttribute("aria-checked", String(button.dataset.tool === tool));
  }
  if (!state.objects && !["tap", "scribble"].includes(tool)) chooseSign(true);
  if (state.photo && !state.marks.length) tell(hint());
  draw();
}

/** Chooses whether taps and scribbles add or remove; boxes and the like only add. */
export function chooseSign(positive) {
  if (state.objects || (!positive && !state.engine?.facts.kinds.includes("background"))) return;
  state.positive = positive;
  byId("add").setAttribute("aria-checked", String(positive));
  byId("remove").setAttribute("aria-checked", String(!positive));
  if (!positive && !["tap", "scribble"].includes(state.tool)) chooseTool("tap");
}

/** Adds a mark of places of the preview, and asks. */
export function addMark(kind, places, object = true) {
  if (!state.photo) return;
  const marks = withMark(state.marks, markOf(kind, places, object)), wrong = refusal(marks);
  state.pending = state.glance = null;
  if (wrong) {
    say(wrong);
    return draw();
  }
  change(marks);
}

/** Takes another of several answers. */
export function take(number) {
  const last = state.marks.at(-1);
  if (!last || state.taken === number) return;
  change([...state.marks.slice(0, -1), { ...last, choice: number }]);
}

function change(marks) {
  state.past.push(state.marks);
  Object.assign(state, { marks, future: [] });
  answer();
}

export function undo() {
  if (state.pending) {  // a half-drawn mark first
    state.pending.points.pop();
    if (!state.pending.points.length) state.pending = null;
    return draw();
  }
  if (!state.past.length) return;
  state.future.push(state.marks);
  state.marks = state.past.pop();
  answer();
}

export function redo() {
  if (!state.future.length) return;
  state.past.push(state.marks);
  state.marks = state.future.pop();
  answer();
}

export function clear() {
  state.pending = null;
  if (state.marks.length) change([]);
  else draw();
}

/** Asks about the marks as they are. */
export async function answer() {
  const turn = ++state.turn, { engine, photo, marks } = state;
  if (running) running.abort();
  state.glance = null;
  say("");
  if (!marks.length) {
    Object.assign(state, { alternatives: [], taken: null });
    setMask(null);
    if (state.objects) forgetRegions();
    else forget();
    showAlternatives(take);
    draw();
    return tell(hint());
  }
  delete byId("results").dataset.turn;
  draw();
  byId("work").classList.add("thinking");
  running = new AbortController();
  const { signal } = running;
  try {
    if (state.objects) {
      const took = await askRegions(turn, signal);
      if (took !== null) byId("results").dataset.turn = String(marks.length);
      return;
    }
    const { mask, share, ms, alternatives, taken } = await engine.mask(photo, marks, state.options, signal);
    if (turn !== state.turn) return;
    lastMs = ms;
    Object.assign(state, { alternatives, taken });
    setMask(mask);
    byId("int8-ms").textContent = milliseconds(ms);
    draw();
    tiles();
    showAlternatives(take);
    tell(share ? `The object covers ${(100 * share).toFixed(1)} % of the photograph.${notFollowed()}`
               : "Nothing found here; try another place.");
    if (byId("how").open) await explain(turn);
    if (turn === state.turn) byId("results").dataset.turn = String(marks.length);  // complete, for these marks
  } catch (error) {
    if (error.name !== "AbortError" && turn === state.turn) say(error.message);
  } finally {
    if (turn === state.turn) byId("work").classList.remove("thinking");
  }
}

/** Shows what the engine knows beside the mask; it takes longer, so only where it is wanted. */
export async function explain(turn = state.turn) {
  const { engine, photo, marks, mask } = state;
  if (!engine?.details || !mask) return;
  byId("notes").textContent = "One moment …";
  let more;
  try {
    more = await engine.details(photo, marks, running?.signal);
  } catch (error) {
    if (error.name !== "AbortError" && turn === state.turn) byId("notes").textContent = error.message;
    return;
  }
  if (turn !== state.turn) return;
  byId("oace-figure").hidden = !more.oace;
  if (more.oace) {
    const tile = byId("oace");
    [tile.width, tile.height] = [more.oace.width, more.oace.height];
    tile.getContext("2d").drawImage(more.oace, 0, 0);
  }
  byId("float-row").hidden = more.float_ms === null;
  if (more.float_ms !== null) byId("float-ms").textContent = milliseconds(more.float_ms);
  byId("notes").textContent = more.agreement === null ? ""
    : `The masks of the int8 and the float file overlap by ${(100 * more.agreement).toFixed(1)} % (IoU).`;
}

function notFollowed() {
  const count = unfollowed();
  return count ? ` ${count === 1 ? "A tap is" : `${count} taps are`} not followed; tap once more beside it, or undo.` : "";
}

const milliseconds = (value) => `${value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`;

// --- the mask under the pointer, before it taps

let wanted = null, asking = false;

/** Asks what a tap at a place of the preview would give; null where the pointer is gone. */
export function glanceAt(place) {
  wanted = place;
  if (!place && state.glance) {
    state.glance = null;
    draw();
  }
  if (!asking) glance();
}

async function glance() {
  const { engine } = state;
  asking = true;
  try {
    while (wanted && state.tool === "tap" && !state.objects && !state.pending && (engine.facts.encoder || lastMs < QUICK_MS)) {
      const place = wanted, { turn, photo, marks, positive } = state;
      wanted = null;
      const asked = withMark(marks, markOf("tap", [place], positive));
      if (refusal(asked)) break;
      const { mask } = await engine.glance(photo, asked);
      if (turn !== state.turn || document.querySelector("#photo:hover") === null) continue;
      state.glance = mask;
      draw();
    }
  } catch { /* a glance that fails is none */ } finally {
    asking = false;
    wanted = null;
  }
}
