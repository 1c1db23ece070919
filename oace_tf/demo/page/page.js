// The page: a photograph, taps on it, and what the engine makes of them. What is drawn: show.js.
import { openEngine } from "./engine.js";
import { busy, byId, draw, forget, say, tell } from "./show.js";
import { state } from "./state.js";
import { offerBenchmark } from "./benchmark.js";

const LONG_TOUCH_MS = 550, MOVED_PX = 10;

// --- opening

async function open(source, words) {
  const turn = ++state.turn;
  busy(words);
  say("");
  try {
    const photo = await state.engine.open(source);
    if (turn !== state.turn) return;
    Object.assign(state, { photo, mask: null, taps: [], cross: null });
    const { width, height } = photo.preview;
    for (const id of ["photo", "mask", "cutout", "oace"]) {
      byId(id).width = width;
      byId(id).height = height;
      byId(id).style.aspectRatio = `${width} / ${height}`;
    }
    byId("photo").style.setProperty("--aspect", width / height);
    byId("photo").hidden = false;
    byId("stage").dataset.state = "open";
    forget();
    tell(`${photo.name}, ${photo.width} × ${photo.height}. ${photo.note} Now tap the object.`);
    byId("photo").focus({ preventScroll: true });
    byId("stage").scrollIntoView({ block: "nearest" });  // samples lie below it
  } catch (error) {
    if (turn === state.turn) say(error.message);
  } finally {
    if (turn === state.turn) busy("");
    draw();
  }
}

let early = null;  // a photograph that was chosen before there was an engine

function openFile(file) {
  if (!file) return;
  if (!state.engine) {
    early = file;
    return busy(`${file.name || "The photograph"} opens when the model is there …`);
  }
  const { maxBytes } = state.engine.facts;
  if (file.size > maxBytes) {
    return say(`${file.name} is larger than ${Math.floor(maxBytes / 2 ** 20)} MB; make it smaller.`);
  }
  open(file, `Reading ${file.name || "the photograph"} …`);
}

// --- tapping

function tap(x, y, positive) {  // pixels of the preview
  if (!state.photo) return;
  const { width, height, preview: { width: w, height: h } } = state.photo;
  const { points, channels } = state.engine.facts;
  if (!positive && channels === 1) {
    return say("This file has one click channel: it takes no background taps.");
  }
  if (!positive && !state.taps.some((one) => one[2])) {
    return say("First tap the object, then what does not belong to it.");
  }
  if (state.taps.length >= points) {
    return say(`This file takes ${points} taps; undo one first.`);
  }
  const limit = (value, side) => Math.min(Math.max(value, -0.5), side - 0.5);
  state.taps.push([limit((x + 0.5) * width / w - 0.5, width),
                   limit((y + 0.5) * height / h - 0.5, height), positive]);
  answer();
}

function undo() {
  if (!state.taps.length) return;
  state.taps.pop();
  while (state.taps.length && !state.taps.some((one) => one[2])) state.taps.pop();
  answer();
}

function clear() {
  state.taps = [];
  answer();
}

let running = null;

async function answer() {
  const turn = ++state.turn, { engine, photo, taps } = state;
  if (running) running.abort();
  say("");
  if (!taps.length) {
    state.mask = null;
    forget();
    busy("");
    draw();
    return tell("Tap the object.");
  }
  draw();
  running = new AbortController();
  const { signal } = running, asked = [...taps];
  try {
    const { mask, share, ms } = await engine.mask(photo, asked, signal);
    if (turn !== state.turn) return;
    state.mask = mask;
    byId("int8-ms").textContent = milliseconds(ms);
    draw();
    tell(share ? `The object covers ${(100 * share).toFixed(1)} % of the photograph.`
               : "Nothing found at this tap; try another place.");
    if (engine.details) {
      byId("float-ms").textContent = "…";
      const more = await engine.details(photo, asked, signal);
      if (turn !== state.turn) return;
      details(more);
    }
    byId("results").dataset.turn = String(asked.length);  // complete, for these taps
  } catch (error) {
    if (error.name !== "AbortError" && turn === state.turn) say(error.message);
  }
}

function details(more) {
  const tile = byId("oace").getContext("2d");
  tile.clearRect(0, 0, tile.canvas.width, tile.canvas.height);
  if (more.oace) tile.drawImage(more.oace, 0, 0, tile.canvas.width, tile.canvas.height);
  byId("float-ms").textContent = more.float_ms === null ? "-" : milliseconds(more.float_ms);
  const notes = [];
  if (more.float_note) notes.push(`Float file: ${more.float_note}.`);
  if (more.agreement !== null) notes.push(`int8 and float masks: IoU ${more.agreement.toFixed(3)}.`);
  if (!more.oace) notes.push(more.oace_note);
  byId("notes").textContent = notes.join(" ");
}

const milliseconds = (value) => `${value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`;

// --- saving and sharing

async function cutout() {  // as a file, or null where it could not be made
  const { photo, taps } = state;
  tell("The cutout is being written; a large photograph takes a few seconds.");
  byId("download").disabled = byId("share").disabled = true;
  try {
    const blob = await state.engine.cutout(photo, [...taps]);
    return new File([blob], `${photo.name.replace(/\.[^.]*$/, "")}_cutout.png`, { type: "image/png" });
  } catch (error) {
    say(error.message);
    return null;
  } finally {
    draw();
  }
}

async function download() {
  if (byId("download").disabled) return;
  const file = await cutout();
  if (!file) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  tell(`${file.name} is saved.`);
}

async function share() {
  const file = await cutout();
  if (!file) return;
  try {
    await navigator.share({ files: [file] });
    tell("");
  } catch (error) {
    if (error.name === "AbortError") tell("Not shared.");  // the sheet was closed
    else say("This browser did not share it; use Download.");
  }
}

const canShare = () => Boolean(navigator.canShare?.({
  files: [new File([], "cutout.png", { type: "image/png" })] }));

// --- pointers

function choose(positive) {
  state.positive = positive;
  byId("add").setAttribute("aria-checked", String(positive));
  byId("remove").setAttribute("aria-checked", String(!positive));
}

const canvas = byId("photo");
let pressed = null;  // { id, x, y, timer, done } of the one finger or button that is down

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * canvas.width / box.width - 0.5,
          (event.clientY - box.top) * canvas.height / box.height - 0.5];
}

function release() {
  if (pressed) clearTimeout(pressed.timer);
  pressed = null;
}

canvas.addEventListener("pointerdown", (event) => {
  if (pressed) return release();  // a second finger: the two pinch, they do not tap
  if (event.button > 2 || event.button === 1) return;
  pressed = { id: event.pointerId, x: event.clientX, y: event.clientY, done: false };
  if (event.pointerType !== "mouse") {
    const [x, y] = place(event), mine = pressed;
    pressed.timer = setTimeout(() => {
      mine.done = true;
      tap(x, y, false);
    }, LONG_TOUCH_MS);
  }
});
canvas.addEventListener("pointermove", (event) => {
  if (!pressed || event.pointerId !== pressed.id) return;
  if (Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > MOVED_PX) release();
});
canvas.addEventListener("pointerup", (event) => {
  if (!pressed || event.pointerId !== pressed.id) return;
  const done = pressed.done;
  release();
  state.cross = null;
  if (!done) tap(...place(event), event.button === 2 ? false : state.positive);
});
for (const name of ["pointercancel", "pointerleave"]) canvas.addEventListener(name, release);
canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("focus", draw);
canvas.addEventListener("blur", draw);

// --- keys

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.metaKey && event.key !== "z" || event.defaultPrevented) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    event.preventDefault();
    return undo();
  }
  if (event.ctrlKey) return;
  const here = document.activeElement === canvas;
  if (here && ARROWS[event.key]) {
    event.preventDefault();
    return moveCross(...ARROWS[event.key], event.shiftKey);
  }
  if (here && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    return tap(...crossOrMiddle(), state.positive);
  }
  const actions = {
    b: () => here && tap(...crossOrMiddle(), false), t: () => choose(!state.positive), u: undo, c: clear,
    o: () => byId("file").click(), d: download,
  };
  const action = actions[event.key.toLowerCase()];
  if (action) {
    event.preventDefault();
    action();
  }
});

function crossOrMiddle() {
  state.cross ??= [(canvas.width - 1) / 2, (canvas.height - 1) / 2];
  return state.cross;
}

function moveCross(right, down, fast) {
  if (!state.photo) return;
  const step = Math.max(canvas.width, canvas.height) / (fast ? 20 : 100);
  const [x, y] = crossOrMiddle();
  state.cross = [Math.min(Math.max(x + right * step, 0), canvas.width - 1),
                 Math.min(Math.max(y + down * step, 0), canvas.height - 1)];
  draw();
}

// --- buttons, dropping, pasting

byId("add").addEventListener("click", () => choose(true));
byId("remove").addEventListener("click", () => choose(false));
byId("undo").addEventListener("click", undo);
byId("clear").addEventListener("click", clear);
byId("download").addEventListener("click", download);
byId("share").addEventListener("click", share);
byId("share").hidden = !canShare();
for (const id of ["file", "camera"]) {
  byId(id).addEventListener("change", (event) => {
    openFile(event.target.files[0]);
    event.target.value = "";  // the same file may be chosen again
  });
}
let depth = 0;  // dragenter and dragleave come for every element on the way
document.addEventListener("dragenter", () => byId("stage").classList.toggle("over", ++depth > 0));
document.addEventListener("dragleave", () => byId("stage").classList.toggle("over", --depth > 0));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  byId("stage").classList.remove("over");
  if (event.dataTransfer.files.length) openFile(event.dataTransfer.files[0]);
  else say("That was no file; save the picture first, then drop it here.");
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (file) openFile(file);
});
window.addEventListener("resize", draw);

// --- start

(async () => {
  try {
    const engine = state.engine = await openEngine((words) => { byId("model").textContent = words; });
    const { facts } = engine;
    byId("remove").disabled = facts.channels === 1;
    byId("model").textContent = `${facts.title}, ${facts.how}`;
    byId("place").textContent = facts.place;
    for (const part of document.querySelectorAll("[data-details]")) part.hidden = !engine.details;
    byId("samples").hidden = !facts.samples.length;
    for (const sample of facts.samples) byId("sample-list").append(card(sample));
    if (engine.benchmark) offerBenchmark(engine);
    byId("stage").dataset.ready = "yes";
    openFile(early ?? engine.shared);
  } catch (error) {
    busy("");
    say(error.message);
  }
})();

function card(sample) {
  const item = document.createElement("li"), button = document.createElement("button");
  const image = document.createElement("img"), title = document.createElement("b");
  const credit = document.createElement("small");
  button.type = "button";
  image.src = sample.url;
  image.alt = "";
  title.textContent = sample.title;
  credit.textContent = `${sample.photographer}, ${sample.licence}`;
  button.title = sample.source;
  button.append(image, title, credit);
  button.addEventListener("click", () => open(sample.file, "Reading …"));
  item.append(button);
  return item;
}
