// The benchmark of one way to run the model, in a worker of its own: times, and the masks against
// the golden ones that the Python interpreter gave.
import { loadRuntime, openModel } from "../lib/litert-model.js";
import { TapSegmenter, tap } from "../lib/tap-segmenter.js";
import { drawScene, goldenMask } from "./golden.js";
import { difference } from "./difference.js";

const WARM_UP = 5, RUNS = 30;

/** Times in ms: load is from the file's bytes to a model that can be run. */
export async function measure(place, way, sha256) {
  const golden = await (await fetch(place.golden)).json();
  const bytes = new Uint8Array(await (await fetch(place.model)).arrayBuffer());
  const [runs, runtime_ms] = await timed(() => loadRuntime(place.runtime, way));
  if (runs.threads !== way.threads) {
    return { status: "absent", reason: globalThis.crossOriginIsolated
      ? `this browser runs ${runs.threads} of ${way.threads} threads`
      : "the page is not cross-origin isolated, so there is one thread" };
  }
  const [model, load_ms] = await timed(() => openModel(bytes, runs));
  const segmenter = new TapSegmenter(model);
  const scenes = golden.cases.filter((one) => one.scene);
  const start = (one) => {
    segmenter.setPhotograph(drawScene(one.scene));
    return one.taps.map(([x, y, positive]) => tap(x, y, positive));
  };
  const ask = start(scenes[0]), times = [];
  for (let k = 0; k <= WARM_UP + RUNS; k++) {
    times.push((await timed(() => segmenter.answer(ask)))[1]);
  }
  const masks = [];
  for (const one of golden.model_sha256 === sha256 ? scenes : []) {
    const { bytes: mask } = await segmenter.answer(start(one));
    masks.push({ name: one.name, ...difference(mask, await goldenMask(one)) });
  }
  return { status: "ok", variant: runs.variant, fully_accelerated: model.compiled.isFullyAccelerated,
           runtime_ms, load_ms, first_ms: times[0], warm_up: WARM_UP,
           runs_ms: times.slice(1 + WARM_UP), masks };
}

async function timed(call) {
  const start = performance.now(), result = await call();
  return [result, performance.now() - start];
}
