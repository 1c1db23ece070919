// Which part of the photograph the stage shows: zoom and pan. Places are in pixels of the preview.
import { state } from "./state.js";

const MOST = 12;  // times the whole photograph
export const view = { scale: 1, x: 0, y: 0 };  // x, y: what is at the stage's upper left corner

const size = () => [state.photo.preview.width, state.photo.preview.height];

/** Shows the whole photograph. */
export function fit() { Object.assign(view, { scale: 1, x: 0, y: 0 }); }

/** Zooms by a factor; what is at (u, v), shares of the stage, stays there. */
export function zoomAt(u, v, factor) {
  const [width, height] = size(), before = view.scale;
  view.scale = Math.min(Math.max(before * factor, 1), MOST);
  if (view.scale < 1.02) view.scale = 1;
  moveTo(view.x + u * width * (1 / before - 1 / view.scale), view.y + v * height * (1 / before - 1 / view.scale));
  return view.scale !== before;
}

/** Moves what is shown by shares of the stage. */
export function pan(right, down) {
  const [width, height] = size();
  moveTo(view.x - right * width / view.scale, view.y - down * height / view.scale);
}

/** Moves what is shown so far that a place is in it. */
export function reveal([x, y]) {
  const [width, height] = size(), across = width / view.scale, down = height / view.scale;
  const rim = 0.08;
  moveTo(Math.min(Math.max(view.x, x + rim * across - across), x - rim * across),
         Math.min(Math.max(view.y, y + rim * down - down), y - rim * down));
}

/** The place, pixel centres are whole numbers, at shares of the stage. */
export function placeAt(u, v) {
  const [width, height] = size();
  return [view.x + u * width / view.scale - 0.5, view.y + v * height / view.scale - 0.5];
}

function moveTo(x, y) {
  const [width, height] = size();
  view.x = Math.min(Math.max(x, 0), width - width / view.scale);
  view.y = Math.min(Math.max(y, 0), height - height / view.scale);
}
