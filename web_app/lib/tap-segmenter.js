// Photograph + gestures -> mask: the JavaScript twin of TapSegmenter.kt and of oace_tf.TapSegmenter.
// Not for the main thread: an answer takes tens of milliseconds.
import { marksObject } from "./gestures.js";
import { FrameMask, checkPhotograph, imageTensor, pointsTensor } from "./tensors.js";

export { LABEL, box, drag, extremes, scribble, tap } from "./gestures.js";
export { FrameMask, cutoutPixels, imageTensor, pointsTensor } from "./tensors.js";

export class TapSegmenter {
  /** @param model what litert-model.js opens, or anything with size, maxPoints, takesPrevious, run */
  constructor(model) {
    this.model = model;
    this.photograph = null;
  }

  /** Scales the photograph { width, height, rgba } once, for all answers about it. */
  setPhotograph({ width, height, rgba }) {
    checkPhotograph({ width, height, rgba });
    this.image = imageTensor({ width, height, rgba }, this.model.size);
    this.photograph = { width, height };
    this.answers = new Map();  // rows of the first gestures -> mask bytes, for `previous`
  }

  /** The mask of what the gestures mark, as a FrameMask at the photograph's size. */
  async segment(gestures) {
    if (!this.photograph) throw new Error("no photograph yet");
    const { width, height } = this.photograph;
    const bytes = await this.bytes(gestures);
    return new FrameMask(bytes, this.model.size, width, height);
  }

  /** The mask as the file gives it: size * size bytes, 256 times the probability, at most 255. */
  async bytes(gestures) {
    const { model, image } = this, { width, height } = this.photograph;
    if (!marksObject(gestures.flat())) throw new RangeError("at least one gesture must mark the object");
    const ask = (count, previous) => model.run(
      image, pointsTensor(gestures.slice(0, count).flat(), width, height, model.size, model.maxPoints),
      previous);
    if (!model.takesPrevious) return ask(gestures.length);
    // The file wants its mask of the gestures before: as a user would have seen it, one by one.
    pointsTensor(gestures.flat(), width, height, model.size, model.maxPoints);  // refuses first
    let mask = null;
    for (let count = 1; count <= gestures.length; count++) {
      const before = gestures.slice(0, count);
      if (!marksObject(before.flat())) continue;
      const key = JSON.stringify(before);
      if (!this.answers.has(key)) this.answers.set(key, await ask(count, mask));
      mask = this.answers.get(key);
    }
    return mask;
  }
}
