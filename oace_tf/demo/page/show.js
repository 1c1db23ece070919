// What the page shows of its state: photograph, mask and taps, the small pictures, words.
import { state } from "./state.js";

const GREEN = "#00a845", RED = "#d92626", OUTLINE = "#ffc800", DIM = "rgba(0, 0, 0, 0.62)";

export const byId = (id) => document.getElementById(id);

export function draw() {
  const ready = state.taps.length > 0;
  byId("undo").disabled = byId("clear").disabled = !ready;
  byId("download").disabled = byId("share").disabled = !(ready && state.mask);
  if (!state.photo) return;
  const stage = byId("photo").getContext("2d");
  const { width, height } = stage.canvas;
  stage.globalCompositeOperation = "source-over";
  stage.drawImage(state.photo.preview, 0, 0, width, height);
  const perPixel = width / (stage.canvas.clientWidth || width);  // canvas pixels per CSS pixel
  if (state.mask) {
    stage.fillStyle = DIM;
    stage.fillRect(0, 0, width, height);
    const edge = Math.max(1, 2 * perPixel), outline = tinted(state.mask, OUTLINE);
    for (let k = 0; k < 8; k++) {
      stage.drawImage(outline, edge * Math.cos(k * Math.PI / 4), edge * Math.sin(k * Math.PI / 4));
    }
    stage.drawImage(object(), 0, 0);
  }
  tiles();
  for (const [x, y, positive] of state.taps) {
    marker(stage, ...onPreview(x, y), positive, perPixel);
  }
  if (state.cross && document.activeElement === byId("photo")) cross(stage, perPixel);
}

function onPreview(x, y) {
  const { width, height, preview } = state.photo;
  return [(x + 0.5) * preview.width / width, (y + 0.5) * preview.height / height];  // canvas coordinates: edges are whole
}

function sheet() {
  const canvas = document.createElement("canvas");
  canvas.width = state.photo.preview.width;
  canvas.height = state.photo.preview.height;
  return [canvas, canvas.getContext("2d")];
}

function tinted(mask, colour) {
  const [canvas, context] = sheet();
  context.drawImage(mask, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = colour;
  context.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}

function object() {  // the photograph where the mask is
  const [canvas, context] = sheet();
  context.drawImage(state.mask, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.drawImage(state.photo.preview, 0, 0);
  return canvas;
}

function tiles() {
  const mask = byId("mask").getContext("2d"), cutout = byId("cutout").getContext("2d");
  for (const tile of [mask, cutout]) tile.clearRect(0, 0, tile.canvas.width, tile.canvas.height);
  if (!state.mask) return;
  mask.fillStyle = "#000";
  mask.fillRect(0, 0, mask.canvas.width, mask.canvas.height);
  mask.drawImage(tinted(state.mask, "#fff"), 0, 0);
  cutout.drawImage(object(), 0, 0);
}

function marker(stage, x, y, positive, perPixel) {
  const radius = 9 * perPixel;
  stage.beginPath();
  stage.arc(x, y, radius, 0, 2 * Math.PI);
  stage.fillStyle = positive ? GREEN : RED;
  stage.fill();
  stage.lineWidth = 2 * perPixel;
  stage.strokeStyle = "#fff";
  stage.stroke();
  stage.beginPath();
  stage.moveTo(x - radius / 2, y);
  stage.lineTo(x + radius / 2, y);
  if (positive) {
    stage.moveTo(x, y - radius / 2);
    stage.lineTo(x, y + radius / 2);
  }
  stage.stroke();
}

function cross(stage, perPixel) {
  const [x, y] = [state.cross[0] + 0.5, state.cross[1] + 0.5], arm = 16 * perPixel;
  for (const [colour, wide] of [["#000", 4], ["#fff", 2]]) {
    stage.beginPath();
    stage.moveTo(x - arm, y);
    stage.lineTo(x + arm, y);
    stage.moveTo(x, y - arm);
    stage.lineTo(x, y + arm);
    stage.lineWidth = wide * perPixel;
    stage.strokeStyle = colour;
    stage.stroke();
  }
}

export function forget() {
  byId("int8-ms").textContent = byId("float-ms").textContent = "-";
  byId("notes").textContent = "";
  delete byId("results").dataset.turn;
  for (const id of ["mask", "cutout", "oace"]) {
    const tile = byId(id).getContext("2d");
    tile.clearRect(0, 0, tile.canvas.width, tile.canvas.height);
  }
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
