// Photograph + gestures -> mask: the JavaScript twin of TapSegmenter.kt and of oace_tf.TapSegmenter.
// Not for the main thread: an answer takes tens of milliseconds.
import { Gestures, LABEL, TAPS, marksObject } from "./gestures.js";
import { BitMask, tidied } from "./pieces.js";
import { labelMap, tapsByLabel } from "./regions.js";
import { FrameMask, MeanMask, PastedMask, checkPhotograph, checkTaps, cropped, imageTensor, movedBytes, pointsTensor,
         sameWindow, windowAround, wholeWindow } from "./tensors.js";

export { LABEL, box, drag, extremes, scribble, tap } from "./gestures.js";
export { BitMask, tidied } from "./pieces.js";
export { FrameMask, cutoutPixels, imageTensor, pointsTensor } from "./tensors.js";

const MARGIN = 0.3;  // of the box's longer side, shown around it
// Of the photograph: a smaller object gets a second look, with this margin around it.
export const SMALL_SHARE = 0.02;
const SMALL_MARGIN = 0.25;
const LEAST_PART = 0.08;  // of the photograph's longer side: no part is smaller

export class TapSegmenter {
  /** @param model what litert-model.js opens, or anything with size, maxPoints, takesPrevious, run */
  constructor(model) {
    Object.assign(this, { model, photograph: null, looks: [] });
  }

  /** Scales the photograph { width, height, rgba } once, for all answers about it. */
  setPhotograph({ width, height, rgba }) {
    checkPhotograph({ width, height, rgba });
    this.delete();
    this.photograph = { width, height, rgba };
    this.look(wholeWindow(width, height));
  }

  /**
   * The mask of what the gestures mark, in one piece and without small holes: a BitMask. A small object
   * gets a second look.
   */
  async segment(gestures) { return (await this.lookTwice(gestures, await this.answer(gestures))).tidied(); }

  /**
   * An answer of taps alone, given without `previous`, or its mean with a second one, which sees the part
   * around a small object; for files of gestures.
   */
  async lookTwice(gestures, answer) {
    const { model, photograph: { width, height } } = this, known = new Gestures(gestures);
    if (!model.gestures?.length || known.bounds.length) return answer;
    const window = aroundSmall(answer.tidied(), known);
    return window ? answer.with(await this.ask(known, null, window)) : answer;
  }

  /**
   * What the file says of gestures, an Answer. With a box or points on the outline it sees the
   * photograph's part around them.
   * @param previous  for a file that takes its last answer: the Answer to the gestures before. Without
   *   it, a file of taps alone is asked one gesture after the other, others start from nothing.
   */
  async answer(gestures, previous = null) {
    if (!this.photograph) throw new Error("no photograph yet");
    const { model } = this, known = new Gestures(gestures);
    this.check(known);
    if (model.takesPrevious && !model.gestures?.length && !previous) {
      for (let count = 1; count < gestures.length; count++) {
        const before = gestures.slice(0, count);
        if (marksObject(before)) previous = await this.ask(new Gestures(before), previous);
      }
    }
    return this.ask(known, previous);
  }

  /**
   * Several objects: { width, height, labels, legend }, a byte a pixel and what its numbers mean. Each label is
   * asked about alone, and each pixel gets the most probable one, or the background, where none is at least one half.
   * @param strokes  label -> strokes, each a list of [x, y]; those of `background` are on no object
   */
  async regions(strokes, width = this.photograph?.width, height = this.photograph?.height) {
    if (!this.photograph) throw new Error("no photograph yet");
    const asked = tapsByLabel(strokes, this.photograph.width, this.photograph.height, this.model.maxPoints), answers = [];
    for (const [, gestures] of asked) answers.push(await this.answer(gestures));
    const labels = labelMap(answers.map((answer) => answer.mask(width, height)),
                            answers.map((answer) => answer.tapsAt(width, height)));
    return { width, height, labels, legend: ["background", ...asked.map(([name]) => name)] };
  }

  /** Raises for gestures that the file does not take; see `check`. */
  checkAll(gestures) { this.check(new Gestures(gestures)); }

  async ask(known, previous, window = null) {
    const { model, photograph } = this, { width, height } = photograph;
    window ??= windowOf(known, width, height);
    const look = this.look(window);
    const rows = known.rows.map(({ x, y, label }) => ({ x: x - window.left, y: y - window.top, label }));
    const points = pointsTensor(rows, window.right - window.left, window.bottom - window.top,
                                model.size, model.maxPoints);
    const before = previous && movedBytes(previous.bytes, model.size, previous.window, window, width, height);
    return new Answer(await look.run(points, model.takesPrevious ? before : undefined),
                      { size: model.size, width, height, window, taps: known.allTaps });
  }

  /** Raises for what the file was not trained on, too many rows, and taps beside the photograph. */
  check(known) {
    const { model, photograph: { width, height } } = this;
    const knows = model.gestures?.length ? model.gestures : TAPS;
    const others = [...known.kinds].filter((kind) => !knows.includes(kind)).sort();
    if (others.length) {
      throw new RangeError(`this file was not trained on ${others.join(", ")}; it knows ${[...knows].sort().join(", ")}`);
    }
    if (model.clickChannels === 1 && !model.gestures?.length && known.kinds.has("background")) {
      throw new RangeError("this file has one click channel and takes no background taps");
    }
    checkTaps(known.taps, width, height);
    pointsTensor(known.rows, width, height, model.size, model.maxPoints);
  }

  /** What the file sees of a window; the whole photograph and the newest part are kept. */
  look(window) {
    const { width, height } = this.photograph;
    const kept = this.looks.find((look) => sameWindow(look.window, window));
    if (kept) return kept;
    const whole = sameWindow(window, wholeWindow(width, height));
    for (const look of this.looks.splice(1)) look.forget();
    const part = whole ? this.photograph : cropped(this.photograph, window);
    const look = new Look(this.model, window, imageTensor(part, this.model.size));
    this.looks.push(look);
    return look;
  }

  /** Forgets the photograph; its features, where the file is an encoder and a decoder, are freed. */
  delete() {
    for (const look of this.looks.splice(0)) look.forget();
    this.photograph = null;
  }
}

/** The part of a photograph that the file sees: around box, outline and object taps, or all of it. */
function windowOf({ bounds, taps }, width, height) {
  if (!bounds.length) return wholeWindow(width, height);
  const inside = taps.filter(({ label }) => label === LABEL.OBJECT);
  return windowAround([...bounds, ...inside], width, height, MARGIN);
}

/** The part around a small object that taps gave, as `around_small` of oace_tf/looks.py; else null. */
function aroundSmall({ width, height, bits }, { taps, drag }) {
  let [left, top, right, bottom, count] = [width, height, -1, -1, 0];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (!bits[at]) continue;
      count++;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      bottom = y;
    }
  }
  if (!count || count >= SMALL_SHARE * width * height) return null;
  const places = [{ x: left, y: top }, { x: right, y: bottom }, ...drag,
                  ...taps.filter(({ label }) => label === LABEL.OBJECT)];
  const half = LEAST_PART * Math.max(width, height) / 2;
  const middle = (axis) => {
    const values = places.map((one) => one[axis]);
    return (Math.min(...values) + Math.max(...values)) / 2;
  };
  const [x, y] = [middle("x"), middle("y")];
  return windowAround([...places, { x: x - half, y: y - half }, { x: x + half, y: y + half }], width, height,
                      SMALL_MARGIN);
}

class Look {
  constructor(model, window, image) { Object.assign(this, { model, window, image, features: null }); }

  /** Bytes, or { mask, masks, scores } of a file with several answers. */
  async run(points, previous) {
    const { model, image } = this;
    if (model.encode) {  // once for all gestures
      this.features ??= model.encode(image);
      return model.decode(await this.features, points, previous);
    }
    return model.hasAlternatives ? model.runAll(image, points, previous) : model.run(image, points, previous);
  }

  forget() {
    this.features?.then((tensors) => { for (const tensor of Object.values(tensors)) tensor.delete(); }, () => {});
    this.features = null;
  }
}

/** What the file said of gestures; `mask` reads it at the photograph's size or another one. */
export class Answer {
  constructor(said, facts) {
    const { mask, masks = [], scores = [] } = said instanceof Uint8Array ? { mask: said } : said;
    Object.assign(this, facts, { bytes: mask });
    /** Several answers { answer, score }, in the file's order: a part, the object, a larger whole. */
    this.alternatives = masks.map((bytes, k) => ({ answer: new Answer(bytes, facts), score: scores[k] }));
  }

  /** The probability of each pixel. */
  mask(width = this.width, height = this.height) {
    const { bytes, size } = this, window = this.windowAt(width, height);
    const frame = new FrameMask(bytes, size, window.right - window.left, window.bottom - window.top);
    const own = sameWindow(window, wholeWindow(width, height)) ? frame : new PastedMask(frame, window, width, height);
    return this.second ? new MeanMask(own, this.second.mask(width, height)) : own;
  }

  /** This answer, whose probability is the mean of its own and of a second one's. */
  with(second) { return Object.assign(Object.create(Answer.prototype), this, { second }); }

  /** The mask as people expect it; see pieces.js. */
  tidied(width = this.width, height = this.height) {
    return tidied(BitMask.of(this.mask(width, height)), this.tapsAt(width, height));
  }

  /** Its taps, rows {x, y, label}, in pixels of a picture of the photograph. */
  tapsAt(width, height) {
    const across = width / this.width, down = height / this.height;
    return this.taps.map(({ x, y, label }) => ({ x: (x + 0.5) * across - 0.5, y: (y + 0.5) * down - 0.5, label }));
  }

  windowAt(width, height) {  // whole pixels of another size, one at least
    const { left, top, right, bottom } = this.window, across = width / this.width, down = height / this.height;
    if (width === this.width && height === this.height) return this.window;
    const [low, upper] = [Math.min(Math.round(left * across), width - 1), Math.min(Math.round(top * down), height - 1)];
    return { left: low, top: upper, right: Math.max(low + 1, Math.round(right * across)),
             bottom: Math.max(upper + 1, Math.round(bottom * down)) };
  }
}
