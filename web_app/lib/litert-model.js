// The file of the interface `points` on LiteRT.js: image + points (+ the mask before) -> mask.
// For a classic worker: LiteRT.js loads its runtime by importScripts.
import { Tensor, getWebGpuDevice, loadAndCompile, loadLiteRt, supportsFeature } from "@litertjs/core";
import { readMetadata } from "./tflite-metadata.js";

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
  const most = threaded ? liteRt.liteRtWasm.getThreadCount() : 1;
  return { accelerator, threads: Math.min(threads || most, most), variant };
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

class LiteRtModel {
  constructor(compiled, metadata) {
    const inputs = byName(compiled.getInputDetails()), outputs = byName(compiled.getOutputDetails());
    const { image, points } = inputs, { mask } = outputs;
    this.previousName = PREVIOUS.find((name) => name in inputs) ?? null;
    const others = Object.keys(inputs).filter((name) => !["image", "points", this.previousName].includes(name));
    const size = image?.shape[1];
    const fits = image && points && mask && !others.length && image.dtype === "uint8"
      && mask.dtype === "uint8" && points.dtype === "float32"
      && same(image.shape, [1, size, size, 3]) && same(mask.shape, [1, size, size, 1])
      && same(points.shape, [1, points.shape[1], 3])
      && (!this.previousName || same(inputs[this.previousName].shape, mask.shape));
    if (!fits) {
      throw new Error(`this file is of another interface: ${words(inputs)} -> ${words(outputs)}; `
                      + "expected image uint8, points float32 -> mask uint8");
    }
    Object.assign(this, { compiled, metadata, size, maxPoints: points.shape[1] });
  }

  /** Whether the file wants its mask of the gestures before. */
  get takesPrevious() { return this.previousName !== null; }

  /** 2 where taps on the background count, 1 where the file ignores them or does not say. */
  get clickChannels() { return this.metadata.click_channels ?? 1; }

  /** size * size * 3 bytes RGB, maxPoints * 3 floats, the mask before or null -> size * size bytes. */
  async run(image, points, previous = null) {
    const { size, maxPoints, previousName, compiled } = this;
    const feed = { image: new Tensor(image, [1, size, size, 3]),
                   points: new Tensor(points, [1, maxPoints, 3]) };
    if (previousName) {
      feed[previousName] = new Tensor(previous ?? new Uint8Array(size * size), [1, size, size, 1]);
    }
    let answer = {};
    try {
      answer = await compiled.run(feed);
      return await answer.mask.data();
    } finally {
      for (const tensor of [...Object.values(feed), ...Object.values(answer)]) tensor.delete();
    }
  }

  /** Frees the runtime's memory. */
  delete() { this.compiled.delete(); }
}

const byName = (details) => Object.fromEntries(details.map((one) => [one.name, one]));
const same = (one, other) => one.length === other.length && one.every((value, k) => value === other[k]);
const words = (tensors) => Object.values(tensors).map(
  ({ name, dtype, shape }) => `${name} ${dtype} [${[...shape]}]`).join(", ");
