// What the page knows: the open photograph, the marks on it, and the engine that answers them.

export const state = {
  engine: null,     // see engine.js
  photo: null,      // what the engine says of the open photograph
  mask: null,       // an ImageBitmap of the preview's size, opaque on the object
  alternatives: [], // several answers { mask, score }, small; none where the file gives one
  taken: null,      // which of them is the mask, or null
  glance: null,     // a small ImageBitmap of what a tap under the pointer would give
  marks: [],        // { kind, points: [[x, y], ...], object, choice, label } in pixels of the photograph
  past: [],         // earlier lists of marks, for undo
  future: [],       // undone ones, for redo
  pending: null,    // { kind, points, object } in pixels of the preview: half drawn
  tool: "tap",      // tap, scribble, box, drag, extreme
  positive: true,   // whether taps and scribbles are on the object
  cross: null,      // [x, y] in pixels of the preview, moved by keys
  objects: null,    // [{ name }] of several objects; null where one is cut out
  object: 1,        // which of them is drawn on, from 1; 0 is the background
  regions: null,    // { labels: an ImageBitmap of numbers, numbers: of the objects, shares }, or null
  options: { feather: 0, crop: false, refine: false },  // of the cutout; feather in 1/1000 of the longer side
  turn: 0,          // number of the latest question; answers to earlier ones are dropped
};

/** Forgets everything about one photograph and takes another. */
export function takePhoto(photo) {
  Object.assign(state, { photo, mask: null, alternatives: [], taken: null, glance: null, marks: [], past: [],
                         future: [], pending: null, cross: null, regions: null });
}
