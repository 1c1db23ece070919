// The page: a photograph, taps on it, and what the server makes of them. What is drawn: show.js.
"use strict";

const LONG_TOUCH_MS = 550, MOVED_PX = 10;

const state = {
  photo: null,      // what the server says of the open photograph
  again: null,      // opens the same photograph once more, should the server have dropped it
  picture: null,    // its preview, an ImageBitmap
  mask: null,       // an ImageBitmap, opaque on the object
  taps: [],         // [x, y, positive] in pixels of the photograph
  positive: true,   // what a left click or a touch adds
  cross: null,      // [x, y] in pixels of the preview, moved by keys
  turn: 0,          // number of the latest question; answers to earlier ones are dropped
  points: 20, channels: 2, hasFloat: false, maxBytes: Infinity,
};

// --- asking the server

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("No answer: is the program that opened this page still running?");
  }
  if (response.ok) return response;
  let text = `The server answered ${response.status}.`;
  try { text = (await response.json()).error || text; } catch { /* not ours: keep the number */ }
  const failure = new Error(text);
  failure.gone = response.status === 410;
  throw failure;
}

async function bitmap(source) {
  const blob = await (typeof source === "string" ? fetchBlob(source) : source.blob());
  return createImageBitmap(blob);
}

function fetchBlob(url) {  // a data: URL, without asking the network
  const [head, body] = url.split(",");
  const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5).split(";")[0] });
}

// --- opening

async function open(question, words) {
  const turn = ++state.turn;
  busy(words);
  say("");
  try {
    const photo = await (await question()).json();
    const picture = await bitmap(await ask(`/photos/${photo.key}/preview`));
    if (turn !== state.turn) return;
    Object.assign(state, { photo, picture, mask: null, taps: [], cross: null, again: question });
    for (const id of ["photo", "mask", "cutout", "oace"]) {
      byId(id).width = photo.preview_width;
      byId(id).height = photo.preview_height;
      byId(id).style.aspectRatio = `${photo.preview_width} / ${photo.preview_height}`;
    }
    byId("photo").style.setProperty("--aspect", photo.preview_width / photo.preview_height);
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

function openFile(file) {
  if (!file) return;
  if (file.size > state.maxBytes) {
    return say(`${file.name} is larger than ${Math.floor(state.maxBytes / 2 ** 20)} MB; make it smaller.`);
  }
  open(() => ask("/photos", {
    method: "POST", body: file, headers: { "X-File-Name": encodeURIComponent(file.name || "pasted") },
  }), `Reading ${file.name || "the photograph"} …`);
}

function openSample(name) {
  open(() => ask(`/photos/samples/${encodeURIComponent(name)}`, { method: "POST" }), "Reading …");
}

// --- tapping

function tap(x, y, positive) {  // pixels of the preview
  if (!state.photo) return;
  const { width, height, preview_width: w, preview_height: h } = state.photo;
  if (!positive && state.channels === 1) {
    return say("This file has one click channel: it takes no background taps.");
  }
  if (!positive && !state.taps.some((one) => one[2])) {
    return say("First tap the object, then what does not belong to it.");
  }
  if (state.taps.length >= state.points) {
    return say(`This file takes ${state.points} taps; undo one first.`);
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

async function answer(second = false) {
  const turn = ++state.turn;
  if (running) running.abort();
  say("");
  if (!state.taps.length) {
    state.mask = null;
    forget();
    busy("");
    draw();
    return tell("Tap the object.");
  }
  draw();
  running = new AbortController();
  const options = { method: "POST", body: JSON.stringify(state.taps), signal: running.signal };
  const place = `/photos/${state.photo.key}`;
  try {
    const found = await (await ask(`${place}/mask`, options)).json();
    const mask = await bitmap(found.mask);
    if (turn !== state.turn) return;
    state.mask = mask;
    byId("int8-ms").textContent = milliseconds(found.ms);
    byId("download").href = `${place}/cutout.png?taps=${encodeURIComponent(JSON.stringify(state.taps))}`;
    byId("download").setAttribute("aria-disabled", "false");
    byId("float-ms").textContent = state.hasFloat ? "…" : "-";
    draw();
    tell(found.share ? `The object covers ${(100 * found.share).toFixed(1)} % of the photograph.`
                     : "Nothing found at this tap; try another place.");
    const more = await (await ask(`${place}/details`, options)).json();
    const oace = more.oace ? await bitmap(more.oace) : null;
    if (turn === state.turn) details(more, oace);
  } catch (error) {
    if (error.name === "AbortError" || turn !== state.turn) return;
    if (error.gone && !second) return reopen();
    say(error.message);
  }
}

async function reopen() {  // the server keeps a few photographs only: send this one again
  const taps = state.taps;
  await open(state.again, "Reading again …");
  if (!state.photo) return;
  state.taps = taps;
  answer(true);
}

function details(more, oace) {
  const tile = byId("oace").getContext("2d");
  tile.clearRect(0, 0, tile.canvas.width, tile.canvas.height);
  if (oace) tile.drawImage(oace, 0, 0, tile.canvas.width, tile.canvas.height);
  byId("float-ms").textContent = more.float_ms === null ? "-" : milliseconds(more.float_ms);
  const notes = [];
  if (more.float_note) notes.push(`Float file: ${more.float_note}.`);
  if (more.agreement !== null) notes.push(`int8 and float masks: IoU ${more.agreement.toFixed(3)}.`);
  if (!oace) notes.push(more.oace_note);
  byId("notes").textContent = notes.join(" ");
  byId("results").dataset.turn = String(state.taps.length);  // complete, for these taps
}

const milliseconds = (value) => `${value < 100 ? value.toFixed(1) : value.toFixed(0)} ms`;

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
    o: () => byId("file").click(), d: () => byId("download").href && byId("download").click(),
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
byId("download").addEventListener("click", (event) => {
  if (!byId("download").href) return event.preventDefault();
  tell("The cutout is being written; a large photograph takes a few seconds.");
});
byId("file").addEventListener("change", (event) => {
  openFile(event.target.files[0]);
  event.target.value = "";  // the same file may be chosen again
});
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
    const facts = await (await ask("/facts")).json();
    Object.assign(state, { points: facts.max_points, channels: facts.click_channels,
                           hasFloat: facts.has_float, maxBytes: facts.max_bytes });
    byId("remove").disabled = facts.click_channels === 1;
    byId("model").textContent = `${facts.model}, ${facts.size_mb} MB, `
      + `${facts.threads === 1 ? "one thread" : `${facts.threads} threads`}`;
    byId("samples").hidden = !facts.samples.length;
    for (const sample of facts.samples) byId("sample-list").append(card(sample));
    byId("stage").dataset.ready = "yes";
  } catch (error) {
    say(error.message);
  }
})();

function card(sample) {
  const item = document.createElement("li"), button = document.createElement("button");
  const image = document.createElement("img"), title = document.createElement("b");
  const credit = document.createElement("small");
  button.type = "button";
  image.src = `/samples/${encodeURIComponent(sample.file)}`;
  image.alt = "";
  title.textContent = sample.title;
  credit.textContent = `${sample.photographer}, ${sample.licence}`;
  button.title = sample.source;
  button.append(image, title, credit);
  button.addEventListener("click", () => openSample(sample.file));
  item.append(button);
  return item;
}
