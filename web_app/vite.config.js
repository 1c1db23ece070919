// Builds dist/, a folder for any static host: the page of oace_tf/demo/page with the engine of
// site/ in place of the Python server's, the runtime, the model, the samples, the service worker.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { defineConfig } from "vite";

const APP = import.meta.dirname, ROOT = resolve(APP, "..");
const PAGE = join(ROOT, "oace_tf/demo/page"), SAMPLES = join(ROOT, "docs/samples");
const MODEL = resolve(process.env.OACE_MODEL ?? join(ROOT, "oace_tf/weights/oace_int8.tflite"));
const DECODER = process.env.OACE_DECODER ? resolve(process.env.OACE_DECODER) : null;  // OACE_MODEL is its encoder then
const LITERT = join(APP, "node_modules/@litertjs/core");
const ICONS = ["icon-192.png", "icon-512.png"];

// Nothing from elsewhere, no script in the page; WebAssembly is compiled from the runtime's files.
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
  + "style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; "
  + "form-action 'none'; base-uri 'none'";

for (const path of [MODEL, DECODER]) {
  if (path && !existsSync(path)) throw new Error(`there is no model at ${path}; build one, or set OACE_MODEL`);
}
const model = readFileSync(MODEL), decoder = DECODER && readFileSync(DECODER);
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const version = JSON.parse(readFileSync(join(LITERT, "package.json"))).version;
const runtime = `runtime-${version}/`, file = basename(MODEL);
const pathOf = (name, bytes) => `model/${basename(name, ".tflite")}-${sha256(bytes).slice(0, 8)}.tflite`;
const modelPath = pathOf(MODEL, model), decoderPath = decoder && pathOf(DECODER, decoder);
const samples = JSON.parse(readFileSync(join(SAMPLES, "samples.json")));

/** Everything that the page needs and that is not of its own source. */
function site() {
  const files = new Map([[modelPath, model], ...(decoder ? [[decoderPath, decoder]] : []), ["golden.json", readFileSync(join(APP, "golden/scenes.json"))],
    ["manifest.webmanifest", readFileSync(join(APP, "site/manifest.webmanifest"))],
    ...ICONS.map((name) => [name, readFileSync(join(APP, "site", name))]),
    ...samples.map((one) => [`samples/${one.file}`, readFileSync(join(SAMPLES, one.file))]),
    ...readdirSync(join(LITERT, "wasm")).map((name) => [runtime + name, readFileSync(join(LITERT, "wasm", name))])]);
  const facts = {
    MODEL: { file, path: modelPath, decoder: decoderPath, bytes: model.length + (decoder?.length ?? 0),
             sha256: sha256(model) }, RUNTIME: runtime,
    RUNTIME_VERSION: `@litertjs/core ${version}`, GOLDEN: "golden.json",
    SAMPLES: samples.map(({ source_sha256: _, ...one }) => ({ ...one, path: `samples/${one.file}` })) };
  return {
    name: "oace-site",
    enforce: "pre",
    resolveId(id, importer) {
      if (id === "virtual:site") return "\0site";
      if (id === "./engine.js" && importer?.startsWith(PAGE)) return join(APP, "site/engine.js");
    },
    load(id) {
      if (id !== "\0site") return null;
      return Object.entries(facts).map(
        ([name, value]) => `export const ${name} = ${JSON.stringify(value)};`).join("\n");
    },
    transformIndexHtml: () => [
      { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" },
      { tag: "link", attrs: { rel: "manifest", href: "./manifest.webmanifest" }, injectTo: "head" },
      { tag: "link", attrs: { rel: "apple-touch-icon", href: "./icon-192.png" }, injectTo: "head" },
      { tag: "meta", attrs: { name: "theme-color", content: "#17212b" }, injectTo: "head" }],
    generateBundle() {
      for (const [fileName, source] of files) this.emitFile({ type: "asset", fileName, source });
    },
  };
}

/** The service worker, last, when the names of all files are known. */
function serviceWorker() {
  return {
    name: "oace-service-worker",
    enforce: "post",
    generateBundle(_, bundle) {
      const names = Object.keys(bundle).sort(), isLarge = (name) => /^(model|runtime-[^/]*)\//.test(name);
      const small = names.filter((name) => !isLarge(name) && !name.endsWith(".map"));
      const hash = createHash("sha256");
      for (const name of small) hash.update(name).update(bundle[name].code ?? bundle[name].source);
      const source = readFileSync(join(APP, "site/service-worker.js"), "utf-8")
        .replace("__SMALL__", JSON.stringify(small)).replace("__LARGE__", JSON.stringify(names.filter(isLarge)))
        .replace("__POLICY__", POLICY);
      const version = hash.update(source).digest("hex").slice(0, 12);
      this.emitFile({ type: "asset", fileName: "service-worker.js",
                      source: source.replace("__VERSION__", version) });
    },
  };
}

export default defineConfig({
  root: PAGE,
  base: "./",
  publicDir: false,
  plugins: [site(), serviceWorker()],
  worker: { format: "iife", plugins: () => [site()] },
  resolve: { alias: { "@litertjs/core": LITERT } },
  build: { outDir: join(APP, "dist"), emptyOutDir: true, target: "es2022", modulePreload: false,
           assetsInlineLimit: 0 },
  preview: { headers: {} },
});
