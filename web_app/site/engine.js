// The engine of the static site: what oace_tf/demo/page/engine.js describes, in this browser alone.
// The model runs in a worker, so that the page never waits for it.
import { MODEL, RUNTIME, RUNTIME_VERSION, GOLDEN, SAMPLES } from "virtual:site";
import { becomeOffline, takeShared } from "./offline.js";
import { Caller } from "./calls.js";

const MOST_THREADS = 4;  // more than a phone's fast cores only slow it down
const here = (path) => new URL(path, document.baseURI).href;
const newWorker = () => new Caller(new Worker(new URL("./worker.js", import.meta.url)));
const threads = Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1);
const place = { model: here(MODEL.path), decoder: MODEL.decoder && here(MODEL.decoder), runtime: here(RUNTIME),
                golden: here(GOLDEN) };

/** @param tell shows words while the page waits */
export async function openEngine(tell = () => {}) {
  const offline = await becomeOffline();
  tell(`Loading the model, ${(MODEL.bytes / 1e6).toFixed(1)} MB, and its runtime …`);
  const worker = newWorker();
  const loaded = await worker.call("load", [place, { accelerator: "wasm", threads }]);
  return {
    facts: {
      kinds: loaded.gestures.length ? loaded.gestures : loaded.clickChannels > 1 ? ["background", "tap"] : ["tap"],
      points: loaded.maxPoints, encoder: Boolean(MODEL.decoder), refines: false, maxBytes: 256 * 2 ** 20,
      model: `${MODEL.file}, ${(MODEL.bytes / 1e6).toFixed(2)} MB, in this browser, ${
        loaded.threads === 1 ? "one thread" : `${loaded.threads} threads`}.`,
      place: `Nothing leaves this device.${
        offline ? " Works without a network from now on." : ""}`,
      samples: SAMPLES.map((one) => ({ ...one, url: here(one.path) })),
    },
    open: (source) => open(worker, source),
    mask: ({ key }, marks, options, signal) => worker.call("mask", [key, marks], signal),
    glance: ({ key }, marks) => worker.call("glance", [key, marks]),
    regions: ({ key }, labels, options, signal) => worker.call("regions", [key, labels], signal),
    labels: ({ key }, labels) => worker.call("labels", [key, labels]),
    cutout: ({ key }, marks, options) => worker.call("cutout", [key, marks, options]),
    benchmark: MODEL.decoder ? undefined : benchmark,  // it measures one file
    shared: await takeShared(),
  };
}

async function open(worker, source) {
  if (typeof source !== "string") return worker.call("open", [source, source.name || "pasted"]);
  const sample = SAMPLES.find((one) => one.file === source);
  const answer = await fetch(here(sample.path));
  return worker.call("open", [await answer.blob(), source]);
}

// --- measuring

async function benchmark(tell) {
  const backends = [];
  const gpu = await adapter();
  const ways = [["wasm-1", { accelerator: "wasm", threads: 1 }, ""],
    [`wasm-${Math.max(2, threads)}`, { accelerator: "wasm", threads: Math.max(2, threads) },
     navigator.hardwareConcurrency > 1 ? "" : "this device has one core"],
    ["webgpu", { accelerator: "webgpu", threads: 1 }, gpu ? "" : "no WebGPU adapter in this browser"]];
  for (const [name, way, missing] of ways) {
    tell(`Measuring ${name} …`);
    backends.push({ name, ...way, ...(missing ? { status: "absent", reason: missing }
                                              : await measured(way)) });
  }
  return {
    format: "oace web benchmark", version: 1, measured: new Date().toISOString(),
    model: { file: MODEL.file, bytes: MODEL.bytes, sha256: MODEL.sha256 }, runtime: RUNTIME_VERSION,
    device: { user_agent: navigator.userAgent, cores: navigator.hardwareConcurrency || 1,
              memory_gb: navigator.deviceMemory ?? null,
              cross_origin_isolated: globalThis.crossOriginIsolated === true, gpu },
    backends,
  };
}

async function measured(way) {
  const worker = newWorker();
  try {
    return await worker.call("benchmark", [place, way, MODEL.sha256]);
  } catch (error) {
    return { status: "failed", reason: error.message };
  } finally {
    worker.end();
  }
}

async function adapter() {  // what the graphics processor says of itself, or null
  const found = await navigator.gpu?.requestAdapter().catch(() => null);
  if (!found) return null;
  const { vendor, architecture, device, description } = found.info ?? {};
  return [vendor, architecture, device, description].filter(Boolean).join(" ") || "unnamed";
}
