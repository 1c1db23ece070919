// The file of the interface `points` on LiteRT.js: image + points (+ the mask before) -> mask.
// For a classic worker: LiteRT.js loads its runtime by importScripts.
import { Tensor, getWebGpuDevice, loadAndCompile, loadLiteRt, supportsFeature } from "@litertjs/core";
import { readMetadata } from "./tflite-metadata.js";

const UINT8 = 3, INT8 = 9;  // of LiteRT's element types
const PREVIOUS = ["previous"];  // name of the third input

/**
 * Loads the runtime; once a worker.
 * @param folder  URL of the runtime's files, with a slash at its end
 * @param way  { accelerator: "wasm" | "webgpu", threads: number } ; 0 threads: as many as there are cores
 * @returns what it runs with: { accelerator, threads, variant }
 */
export async function loadRuntime(folder, { accelerator = "wasm", threads = 0 } = {}) {
  const gpu = accelerator === "webgpu";
  const simd = await supportsFeature("relaxedSimd");
  const threaded = !gpu && await canThread();  // for one thread too: one variant to keep, not two
  const jspi = gpu && simd && await supportsFeature("jspi");
  const variant = !simd ? "compat" : threaded ? "threaded" : jspi ? "jspi" : "";
  const script = `${folder}litert_wasm_${variant ? `${variant}_` : ""}internal.js`;
  // in a worker the runtime would look for its parts beside the worker's own script
  self.Module = { locateFile: (name) => folder + name, mainScriptUrlOrBlob: script,
                  print: () => {}, printErr: complain };
  const liteRt = await (gpu ? loadLiteRt(folder, { jspi })
                            : withoutGpu(() => loadLiteRt(folder, { threads: threaded })));
  if (gpu && !getWebGpuDevice()) throw new Error("no WebGPU adapter in this browser");
  describeInt8(liteRt.liteRtWasm);
  const most = threaded ? liteRt.liteRtWasm.getThreadCount() : 1;
  return { accelerator, threads: Math.min(threads || most, most), variant };
}

// The runtime knows int8 tensors, its JavaScript does not: here they are called bytes, which is all that
// handing an encoder's features to a decoder takes.
function describeInt8({ LiteRtRankedTensorType: { prototype } }) {
  const { elementType } = prototype;
  prototype.elementType = function described() {
    const type = elementType.call(this);
    return type.value === INT8 ? { value: UINT8 } : type;
  };
}

function complain(words) {  // the runtime tells its whole day; only errors are shown
  if (!/^(INFO|WARNING|VERBOSE)\b/.test(words)) console.error(words);
}

// The runtime takes a graphics processor when it loads, wanted or not, and warns where there is none.
async function withoutGpu(load) {
  const { warn } = console;
  Object.defineProperty(navigator, "gpu", { value: undefined, configurable: true });
  console.warn = () => {};
  try {
    return await load();
  } finally {
    delete navigator.gpu;
    console.warn = warn;
  }
}

/** Whether several threads can be had: the page is cross-origin isolated, and SIMD is there. */
export async function canThread() {
  return Boolean(globalThis.crossOriginIsolated) && await supportsFeature("relaxedSimd")
    && await supportsFeature("threads") && navigator.hardwareConcurrency > 1;
}

/** Opens the file's bytes; sizes, N and the third input are read from the file. */
export async function openModel(bytes, { accelerator = "wasm", threads = 1 } = {}) {
  const metadata = readMetadata(bytes);
  const compiled = await loadAndCompile(bytes, { accelerator, cpuOptions: { numThreads: threads } });
  return new LiteRtModel(compiled, metadata);
}

/**
 * Opens the two files that `--interface encoder-decoder` makes: the photograph is encoded once, and
 * every gesture costs the decoder alone.
 */
export async function openSplit(encoderBytes, decoderBytes, { accelerator = "wasm", threads = 1 } = {}) {
  const metadata = [encoderBytes, decoderBytes].map(readMetadata);
  if (metadata[0].weights_sha256 !== metadata[1].weights_sha256) {
    throw new Error("encoder and decoder are of different weights");
  }
  const options = { accelerator, cpuOptions: { numThreads: threads } };
  const compiled = [];
  for (const bytes of [encoderBytes, decoderBytes]) compiled.push(await loadAndCompile(bytes, options));
  return new LiteRtSplit(...compiled, metadata[1]);
}

/** What both kinds of model say of themselves. */
class Described {
  /** What the file was trained on: tap, background, box, extreme, drag; none where it knows taps alone. */
  get gestures() { return this.metadata.gestures ?? []; }

  /** 2 where taps on the background count, 1 where the file ignores them or does not say. */
  get clickChannels() { return this.metadata.click_channels ?? 1; }
}

class LiteRtModel extends Described {
  constructor(compiled, metadata) {
    super();
    const inputs = byName(compiled.getInputDetails()), outputs = byName(compiled.getOutputDetails());
    const { image, points } = inputs, { mask, masks, scores } = outputs;
    this.previousName = PREVIOUS.find((name) => name in inputs) ?? null;
    const others = Object.keys(inputs).filter((name) => !["image", "points", this.previousName].includes(name));
    const size = image?.shape[1];
    const fits = image && points && mask && !others.length && image.dtype === "uint8"
      && mask.dtype === "uint8" && points.dtype === "float32"
      && same(image.shape, [1, size, size, 3]) && same(mask.shape, [1, size, size, 1])
      && same(points.shape, [1, points.shape[1], 3])
      && (!this.previousName || same(inputs[this.previousName].shape, mask.shape))
      && (!masks || (masks.dtype === "uint8" && same(masks.shape, [1, size, size, scores?.shape[1]])));
    if (!fits) {
      throw new Error(`this file is of another interface: ${words(inputs)} -> ${words(outputs)}; `
                      + "expected image uint8, points float32 -> mask uint8");
    }
    Object.assign(this, { compiled, metadata, size, maxPoints: points.shape[1], hasAlternatives: Boolean(masks) });
  }

  /** Whether the file wants its mask of the gestures before. */
  get takesPrevious() { return this.previousName !== null; }

  /** size * size * 3 bytes RGB, maxPoints * 3 floats, the mask before or null -> size * size bytes. */
  async run(image, points, previous = null) { return (await this.runAll(image, points, previous)).mask; }

  /** As `run`, with several answers where the file gives them: { mask, masks, scores }. */
  async runAll(image, points, previous = null) {
    const { size, maxPoints, previousName, compiled, hasAlternatives } = this;
    const feed = { image: new Tensor(image, [1, size, size, 3]),
                   points: new Tensor(points, [1, maxPoints, 3]) };
    if (previousName) {
      feed[previousName] = new Tensor(previous ?? new Uint8Array(size * size), [1, size, size, 1]);
    }
    let answer = {};
    try {
      answer = await compiled.run(feed);
      const mask = await answer.mask.data();
      if (!hasAlternatives) return { mask, masks: [], scores: [] };
      const scores = [...await answer.scores.data()];
      return { mask, masks: apart(await answer.masks.data(), scores.length), scores };
    } finally {
      for (const tensor of [...Object.values(feed), ...Object.values(answer)]) tensor.delete();
    }
  }

  /** Frees the runtime's memory. */
  delete() { this.compiled.delete(); }
}

class LiteRtSplit extends Described {
  constructor(encoder, decoder, metadata) {
    super();
    const { image } = byName(encoder.getInputDetails()), inputs = byName(decoder.getInputDetails());
    const features = encoder.getOutputDetails().map(({ name }) => name);
    if (!image || !inputs.points || !inputs.previous || !features.every((name) => name in inputs)) {
      throw new Error("these two files are no encoder and its decoder; make them with --interface encoder-decoder");
    }
    Object.assign(this, { encoder, decoder, metadata, size: image.shape[1], maxPoints: inputs.points.shape[1],
                          takesPrevious: true, hasAlternatives: false });
  }

  /** What the encoder makes of size * size * 3 bytes: tensors by name, to be deleted by the caller. */
  async encode(image) {
    const tensor = new Tensor(image, [1, this.size, this.size, 3]);
    try {
      return await this.encoder.run({ image: tensor });
    } finally {
      tensor.delete();
    }
  }

  /** The mask of a gesture, size * size bytes. */
  async decode(features, points, previous = null) {
    const { size, maxPoints } = this;
    const own = { points: new Tensor(points, [1, maxPoints, 3]),
                  previous: new Tensor(previous ?? new Uint8Array(size * size), [1, size, size, 1]) };
    let answer = {};
    try {
      answer = await this.decoder.run({ ...features, ...own });
      return await answer.mask.data();
    } finally {
      for (const tensor of [...Object.values(own), ...Object.values(answer)]) tensor.delete();
    }
  }

  /** Both at once, as the one file answers. */
  async run(image, points, previous = null) {
    const features = await this.encode(image);
    try {
      return await this.decode(features, points, previous);
    } finally {
      for (const tensor of Object.values(features)) tensor.delete();
    }
  }

  /** Frees the runtime's memory. */
  delete() {
    this.encoder.delete();
    this.decoder.delete();
  }
}

/** The planes of bytes that take turns, `count` of them. */
function apart(bytes, count) {
  return Array.from({ length: count }, (_, k) => {
    const plane = new Uint8Array(bytes.length / count);
    for (let at = 0, from = k; at < plane.length; at++, from += count) plane[at] = bytes[from];
    return plane;
  });
}

const byName = (details) => Object.fromEntries(details.map((one) => [one.name, one]));
const same = (one, other) => one.length === other.length && one.every((value, k) => value === other[k]);
const words = (tensors) => Object.values(tensors).map(
  ({ name, dtype, shape }) => `${name} ${dtype} [${[...shape]}]`).join(", ");
