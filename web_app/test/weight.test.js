// The weight of a first visit, compressed as a host sends it (gzip), and what README.md says of it.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const APP = resolve(dirname(fileURLToPath(import.meta.url)), ".."), DIST = join(APP, "dist");
const BUDGET_MB = { model: 9.2, runtime: 3.1, page: 0.2, samples: 0.7 };

const files = readdirSync(DIST, { recursive: true, encoding: "utf-8" })
  .map((name) => name.replaceAll("\\", "/")).filter((name) => statSync(join(DIST, name)).isFile());
const megabytes = (names) => names.reduce(
  (sum, name) => sum + gzipSync(readFileSync(join(DIST, name)), { level: 9 }).length, 0) / 1e6;

test("model, runtime, page and samples stay within their weights, which stand in the README", () => {
  const parts = {
    model: megabytes(files.filter((name) => name.startsWith("model/"))),
    runtime: megabytes(files.filter((name) => name.startsWith("runtime-") && name.includes("threaded"))),
    page: megabytes(files.filter((name) => !/^(model|runtime-|samples)/.test(name))),
    samples: megabytes(files.filter((name) => name.startsWith("samples/"))),
  };
  for (const [part, most] of Object.entries(BUDGET_MB)) {
    assert.ok(parts[part] > 0 && parts[part] <= most, `${part}: ${parts[part].toFixed(2)} MB, at most ${most}`);
  }
  const all = parts.model + parts.runtime + parts.page + parts.samples;
  const words = `${all.toFixed(1)} MB compressed (model ${parts.model.toFixed(1)}, runtime ${parts.runtime.toFixed(1)}, `
    + `page ${parts.page.toFixed(1)}, samples ${parts.samples.toFixed(1)})`;
  assert.ok(readFileSync(join(APP, "README.md"), "utf-8").includes(words), `web_app/README.md must say: ${words}`);
});

test("no file of the site names another host", () => {
  for (const name of files.filter((one) => /\.(html|css|json|webmanifest)$|^assets\/|^service-worker/.test(one))) {
    const text = readFileSync(join(DIST, name), "utf-8");
    const addresses = text.match(/https?:\/\/[^\s"'`)<]+/g) ?? [];
    assert.deepEqual(addresses.filter((one) => !/^http:\/\/www\.w3\.org\//.test(one)), [], name);
  }
});

test("the page's policy allows no inline script and no other host", () => {
  const page = readFileSync(join(DIST, "index.html"), "utf-8");
  const policy = page.match(/Content-Security-Policy" content="([^"]+)"/)[1].replaceAll("&#39;", "'");
  assert.match(policy, /^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/);
  assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval'.*unsafe-eval'|http|\*/);
  assert.doesNotMatch(page, /<script(?![^>]*\ssrc=)[^>]*>/);
  assert.doesNotMatch(page, /\son\w+="|\sstyle="/);
  assert.ok(readFileSync(join(DIST, "service-worker.js"), "utf-8").includes(policy));
});

test("the service worker keeps every file, and the manifest's files are there", () => {
  const worker = readFileSync(join(DIST, "service-worker.js"), "utf-8");
  const list = (name) => JSON.parse(worker.match(new RegExp(`const ${name} = (\\[.*?\\]);`))[1]);
  const kept = [...list("SMALL"), ...list("LARGE")].sort();
  assert.deepEqual(kept, files.filter((name) => name !== "service-worker.js").sort());
  assert.doesNotMatch(worker, /__[A-Z]+__/);
  const manifest = JSON.parse(readFileSync(join(DIST, "manifest.webmanifest"), "utf-8"));
  for (const { src, sizes } of manifest.icons) {
    const png = readFileSync(join(DIST, src));
    assert.equal(`${png.readUInt32BE(16)}x${png.readUInt32BE(20)}`, sizes);
  }
});
