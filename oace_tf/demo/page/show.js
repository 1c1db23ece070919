// What the page shows of its state: photograph, mask and marks, the small pictures, words.
import { enlarged, simplified, softPath, trace } from "./outline.js";
import { BACKGROUND, COLOURS, onPreview } from "./marks.js";
import { state } from "./state.js";
import { view } from "./view.js";

const GREEN = "#00a845", RED = "#d92626", WHITE = "#fff", SHADOW = "rgba(0, 0, 0, 0.5)";
const DIM = "rgba(8, 12, 16, 0.62)";
const ADDS = "rgba(64, 156, 255, 0.5)", TAKES = "rgba(255, 64, 64, 0.45)";  // what a tap under the pointer would change
const SHARPEST = 2;  // canvas pixels per CSS pixel, at most
const OPAQUE = 130;  // of 255: colours over several objects
const EDGE = 1.5;  // px of the preview: softness of the dimmed surroundings' edge

export const byId = (id) => document.getElementById(id);
let shade = null, path = null;  // of the mask: what dims its surroundings, and its outline
let rings = [], pixels = null;  // of the mask: its outline's corners, its bytes RGBA
let painted = null, paths = [];  // of several objects: their colours, and the outline of each

/** Takes a mask: an ImageBitmap of the preview's size, or null. */
export function setMask(mask) {
  Object.assign(state, { mask });
  [shade, path, rings, pixels] = [null, null, [], null];
  if (!mask) return;
  const { width, height } = mask, [canvas, context] = sheet(width, height, { willReadFrequently: true });
  context.drawImage(mask, 0, 0);
  pixels = context.getImageData(0, 0, width, height).data;
  rings = simplified(trace(pixels, width, height), width, height);
  path = softPath(rings);
  const [dark, dim] = sheet(width, height);
  dim.fillStyle = DIM;
  dim.fillRect(0, 0, width, height);
  dim.globalCompositeOperation = "destination-out";
  dim.drawImage(softened(canvas, EDGE), 0, 0, width, height);
  shade = dark;
}

/** How many taps the mask does not follow: on the object and beside the mask, or the reverse. */
export function unfollowed() {
  if (!state.mask) return 0;
  const { width, height } = state.mask, within = (value, side) => Math.min(Math.max(Math.floor(value), 0), side - 1);
  return state.marks.filter(({ kind, points: [at], object }) => {
    if (kind !== "tap") return false;
    const [x, y] = onPreview(at);
    return object !== (pixels[4 * (within(y, height) * width + within(x, width)) + 3] >= 128);
  }).length;
}

/** Takes several objects, see state.js, or null. */
export function setRegions(regions) {
  Object.assign(state, { regions });
  [painted, paths] = [null, []];
  if (!regions) return;
  const { labels, numbers } = regions, { width, height } = labels, [canvas, context] = sheet(width, height, { willReadFrequently: true });
  context.drawImage(labels, 0, 0);
  const picture = context.getImageData(0, 0, width, height), { data } = picture;
  const colours = numbers.map((number) => [1, 3, 5].map((k) => parseInt(COLOURS[number - 1].slice(k, k + 2), 16)));
  const found = Uint8Array.from({ length: width * height }, (_, k) => data[4 * k]);
  paths = numbers.map((_, k) => {
    for (let j = 0; j < found.length; j++) data[4 * j + 3] = found[j] === k + 1 ? 255 : 0;
    return softPath(simplified(trace(data, width, height), width, height));
  });
  for (let k = 0; k < found.length; k++) {
    const colour = colours[found[k] - 1];
    if (colour) data.set([...colour, OPAQUE], 4 * k);
    else data.set([8, 12, 16, 158], 4 * k);
  }
  context.putImageData(picture, 0, 0);
  painted = canvas;
}

/** The outline of the mask in pixels of the photograph; see outline.js. */
export function outline() {
  const { width, height, preview } = state.photo;
  return enlarged(rings, width / preview.width, height / preview.height);
}

let planned = false;

/** Draws the stage with the next frame, once however often it is asked for. */
export function draw() {
  // at once: whether the finger that comes down next draws, or scrolls the page
  byId("photo").classList.toggle("still", view.scale > 1 || !["tap", "extreme"].includes(state.tool));
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    drawStage();
  });
}

export function drawStage() {
  const any = state.marks.length > 0, ready = any && state.mask !== null;
  byId("undo").disabled = !state.past.length && !state.pending;
  byId("redo").disabled = !state.future.length;
  byId("clear").disabled = !any && !state.pending;
  for (const id of ["download", "copy", "share"]) byId(id).disabled = !ready;
  for (const id of ["save-svg", "save-coco"]) byId(id).disabled = !ready || !rings.length;
  for (const id of ["save-labels", "save-legend"]) byId(id).disabled = !any || !state.regions;
  if (!state.photo) return;
  byId("fit").hidden = byId("farther").hidden = view.scale === 1;
  const canvas = byId("photo"), { preview } = state.photo;
  const sharp = Math.min(window.devicePixelRatio || 1, SHARPEST);
  const across = Math.max(1, Math.round((canvas.clientWidth || preview.width) * sharp));
  const down = Math.max(1, Math.round(across * preview.height / preview.width));
  if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
  const stage = canvas.getContext("2d"), zoom = across * view.scale / preview.width;
  stage.setTransform(zoom, 0, 0, zoom, -view.x * zoom, -view.y * zoom);
  stage.imageSmoothingQuality = "high";
  stage.drawImage(preview, 0, 0);
  if (shade) stage.drawImage(shade, 0, 0);
  const unit = sharp / zoom;  // a CSS pixel, in pixels of the preview
  if (path) around(stage, path, unit);
  if (painted) stage.drawImage(painted, 0, 0);
  for (const one of paths) around(stage, one, unit);
  if (state.glance) glimpse(stage, preview);
  for (const { kind, points, object, label } of state.marks) drawMark(stage, kind, points.map(onPreview), object, unit, label);
  if (state.pending) {
    const { kind, points, object } = state.pending;
    const label = state.objects ? (object ? state.object : 0) : undefined;
    drawMark(stage, kind, points.map(([x, y]) => [x + 0.5, y + 0.5]), object, unit, label);
  }
  if (state.cross && document.activeElement === canvas) cross(stage, unit);
}

function sheet(width, height, settings) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, Math.round(width)), Math.max(1, Math.round(height))];
  return [canvas, canvas.getContext("2d", settings)];
}

/** A picture with soft edges of about `width` pixels: made smaller, and large again. */
function softened(picture, width) {
  const [small, context] = sheet(picture.width / (1 + width), picture.height / (1 + width));
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, small.width, small.height);
  return small;
}

function around(stage, outlinePath, unit) {
  stage.lineJoin = "round";
  for (const [colour, width] of [["rgba(255, 255, 255, 0.22)", 7], [SHADOW, 3.5], [WHITE, 1.8]]) {
    stage.strokeStyle = colour;
    stage.lineWidth = width * unit;
    stage.stroke(outlinePath);
  }
}

function glimpse(stage, { width, height }) {  // what a tap would add, and what it would take away
  for (const [here, other, colour] of [[state.glance, state.mask, ADDS], [state.mask, state.glance, TAKES]]) {
    if (!here) continue;
    const [canvas, context] = sheet(state.glance.width, state.glance.height);
    context.drawImage(here, 0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = colour;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "destination-out";
    if (other) context.drawImage(other, 0, 0, canvas.width, canvas.height);
    stage.drawImage(canvas, 0, 0, width, height);
  }
}

// --- marks

function drawMark(stage, kind, points, object, unit, label) {
  const colour = label ? COLOURS[label - 1] : label === 0 ? BACKGROUND : object ? GREEN : RED;
  stage.lineCap = stage.lineJoin = "round";
  if (kind === "tap") return points.forEach(([x, y]) => badge(stage, x, y, object, unit, colour, label));
  if (kind === "extreme") return points.forEach(([x, y]) => dot(stage, x, y, 5 * unit, colour, unit));
  if (kind === "scribble") {
    lines(stage, points, [["rgba(255, 255, 255, 0.75)", 9], [colour, 6]], unit);
    return badge(stage, ...points[0], object, 0.8 * unit, colour, label);
  }
  const [[x0, y0], [x1, y1]] = [points[0], points.at(-1)];
  if (kind === "box") {
    lines(stage, [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], [[SHADOW, 4]], unit);
    stage.setLineDash([7 * unit, 5 * unit]);
    lines(stage, [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], [[WHITE, 2]], unit);
    return stage.setLineDash([]);
  }
  lines(stage, [[x0, y0], [x1, y1]], [[SHADOW, 5], [WHITE, 3], [GREEN, 2]], unit);
  dot(stage, x1, y1, 4 * unit, GREEN, unit);
  badge(stage, x0, y0, true, unit);
}

function lines(stage, points, strokes, unit) {
  for (const [colour, width] of strokes) {
    stage.beginPath();
    points.forEach(([x, y], k) => (k ? stage.lineTo(x, y) : stage.moveTo(x, y)));
    if (points.length === 1) stage.lineTo(...points[0]);
    stage.strokeStyle = colour;
    stage.lineWidth = width * unit;
    stage.stroke();
  }
}

function dot(stage, x, y, radius, colour, unit) {
  stage.beginPath();
  stage.arc(x, y, radius, 0, 2 * Math.PI);
  stage.fillStyle = colour;
  stage.fill();
  stage.lineWidth = 1.8 * unit;
  stage.strokeStyle = WHITE;
  stage.stroke();
}

function badge(stage, x, y, plus, unit, colour = GREEN, label = 0) {  // with the number of one of several objects
  const radius = 8 * unit, arm = radius / 2;
  dot(stage, x, y, radius, colour, unit);
  if (label) {
    Object.assign(stage, { fillStyle: WHITE, font: `bold ${11 * unit}px system-ui, sans-serif`, textAlign: "center", textBaseline: "middle" });
    return stage.fillText(String(label), x, y + 0.5 * unit);
  }
  lines(stage, [[x - arm, y], [x + arm, y]], [[WHITE, 1.8]], unit);
  if (plus) lines(stage, [[x, y - arm], [x, y + arm]], [[WHITE, 1.8]], unit);
}

function cross(stage, unit) {
  const [x, y] = [state.cross[0] + 0.5, state.cross[1] + 0.5], arm = 16 * unit;
  const strokes = [["#000", 4], [WHITE, 2]];
  lines(stage, [[x - arm, y], [x + arm, y]], strokes, unit);
  lines(stage, [[x, y - arm], [x, y + arm]], strokes, unit);
}

// --- small pictures

/** Draws the cutout as it will be saved, and the mask. */
export function tiles() {
  const { photo, mask } = state, cutout = byId("cutout"), plain = byId("mask");
  if (!photo) return;
  const { width, height } = photo.preview;
  [plain.width, plain.height] = [width, height];
  [cutout.width, cutout.height] = [width, height];
  cutout.setAttribute("aria-label", state.objects ? "The objects" : "The cutout");
  if (painted) return cutout.getContext("2d").drawImage(painted, 0, 0);
  if (!mask) return;
  const black = plain.getContext("2d");
  black.fillRect(0, 0, width, height);
  const [white, context] = sheet(width, height);
  context.drawImage(mask, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = WHITE;
  context.fillRect(0, 0, width, height);
  black.drawImage(white, 0, 0);
  const [object, colours] = sheet(width, height), feather = state.options.feather / 1000 * Math.max(width, height);
  colours.imageSmoothingQuality = "high";
  colours.drawImage(feather ? softened(mask, feather) : mask, 0, 0, width, height);
  colours.globalCompositeOperation = "source-in";
  colours.drawImage(photo.preview, 0, 0);
  const part = state.options.crop ? extent(feather) : [0, 0, width, height];
  [cutout.width, cutout.height] = part.slice(2);
  cutout.getContext("2d").drawImage(object, -part[0], -part[1]);
}

function extent(feather) {  // left, top, width, height around the mask, in the preview
  const { width, height } = state.photo.preview, all = rings.flat();
  if (!all.length) return [0, 0, width, height];
  const reach = (values, side) => {
    const low = values.reduce((one, other) => Math.min(one, other)) - feather;
    const high = values.reduce((one, other) => Math.max(one, other)) + feather;
    return [Math.max(0, Math.floor(low)), Math.min(side, Math.ceil(high))];
  };
  const [left, right] = reach(all.filter((_, k) => k % 2 === 0), width);
  const [top, bottom] = reach(all.filter((_, k) => k % 2), height);
  return [left, top, Math.max(1, right - left), Math.max(1, bottom - top)];
}

/** Shows several answers to choose from; `take` is told the number of the one that is taken. */
export function showAlternatives(take) {
  const { alternatives, taken } = state, list = byId("choices");
  byId("alternatives").hidden = alternatives.length < 2;
  const focused = [...list.children].indexOf(document.activeElement);
  list.replaceChildren(...alternatives.map(({ mask, score }, k) => {
    const button = document.createElement("button"), [canvas, context] = sheet(mask.width, mask.height);
    button.type = "button";
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", String(k === taken));
    button.setAttribute("aria-label", `Answer ${k + 1} of ${alternatives.length}`);
    button.title = `The model expects ${Math.round(100 * score)} % overlap`;
    context.drawImage(mask, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.drawImage(state.photo.preview, 0, 0, mask.width, mask.height);
    context.globalCompositeOperation = "destination-over";
    context.globalAlpha = 0.25;
    context.drawImage(state.photo.preview, 0, 0, mask.width, mask.height);
    button.append(canvas);
    button.addEventListener("click", () => take(k));
    return button;
  }));
  list.children[focused]?.focus();
}

export function forget() {
  byId("int8-ms").textContent = byId("float-ms").textContent = "";
  byId("notes").textContent = "";
  byId("float-row").hidden = byId("oace-figure").hidden = true;
  delete byId("results").dataset.turn;
  tiles();
}

export function tell(words) { byId("status").textContent = words; }

export function say(words) {  // what went wrong, or nothing
  byId("message").textContent = words;
  byId("message").hidden = !words;
}

export function busy(words) {
  byId("busy-text").textContent = words;
  byId("busy").hidden = !words;
}
