// What the page knows: the open photograph, the taps on it, and the engine that answers them.

export const state = {
  engine: null,     // see engine.js
  photo: null,      // what the engine says of the open photograph
  mask: null,       // an ImageBitmap of the preview's size, opaque on the object
  taps: [],         // [x, y, positive] in pixels of the photograph
  positive: true,   // what a left click or a touch adds
  cross: null,      // [x, y] in pixels of the preview, moved by keys
  turn: 0,          // number of the latest question; answers to earlier ones are dropped
};
