// Command: time from page open to first mask, and per tap, beside the native interpreter; in turns,
// so that whatever else the machine does falls on both. PYTHON names an interpreter that has oace_tf's
// packages.
//   PYTHON=.venv/bin/python npm run measure -- 5
import { execFileSync } from "node:child_process";
import { cpus, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch, openSample, ready, visit } from "./browser.js";
import { serve } from "./server.js";

const HERE = dirname(fileURLToPath(import.meta.url)), TAPS = 10, rounds = Number(process.argv[2] ?? 5);
const python = process.env.PYTHON ?? "python3";
const sorted = (values) => [...values].sort((a, b) => a - b);
const quantile = (values, share) => sorted(values)[Math.min(values.length - 1, Math.floor(share * values.length))];
const shown = (values) => `${quantile(values, 0.5).toFixed(0)} (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`;

const found = {};
const add = (name, ...values) => { (found[name] ??= []).push(...values); };

async function tapAndWait(page, turn) {  // the whole way: from the click until the mask is drawn
  await page.evaluate((number) => {
    const results = document.getElementById("results");
    window.drawn = new Promise((resolve) => {
      let start = 0;
      document.getElementById("photo").addEventListener("pointerup", () => { start = performance.now(); },
                                                        { once: true, capture: true });
      new MutationObserver((_, observer) => {
        if (results.dataset.turn !== String(number)) return;
        observer.disconnect();
        resolve([performance.now() - start, parseFloat(document.getElementById("int8-ms").textContent)]);
      }).observe(results, { attributes: true });
    });
  }, turn);
  const box = await page.locator("#photo").boundingBox();
  await page.mouse.click(box.x + (0.4 + turn / 200) * box.width, box.y + 0.3 * box.height);
  return page.evaluate(() => window.drawn);
}

async function browserRound(host) {
  const browser = await launch();
  try {
    for (const kind of ["first visit", "later visit"]) {
      let start = Date.now();
      const { page, context } = kind === "first visit" ? await visit(browser, host.url) : found.visit;
      if (kind === "later visit") {
        start = Date.now();
        await page.reload();
      }
      found.visit = { page, context };
      await ready(page);
      add(`${kind}: open to ready`, Date.now() - start);
      await openSample(page, "Coffee");
      await tapAndWait(page, 1);
      add(`${kind}: open to first mask`, Date.now() - start);
      if (kind === "first visit") continue;
      for (let turn = 2; turn <= TAPS; turn++) {
        const [whole, answer] = await tapAndWait(page, turn);
        add("tap until the mask is drawn, WASM", whole);
        add("of it the model", answer);
      }
    }
  } finally {
    delete found.visit;
    await browser.close();
  }
}

function nativeRound(threads) {
  const { load_ms, first_ms, runs_ms } = JSON.parse(execFileSync(python, [join(HERE, "native_times.py"), threads, TAPS],
                                                                 { stdio: ["ignore", "pipe", "ignore"] }));
  add(`native, ${threads} threads: load and first answer`, load_ms + first_ms);
  add(`native, ${threads} threads: an answer with resizing`, ...runs_ms);
}

const host = await serve(join(HERE, "../dist"), { below: "/site/" });
for (let round = 0; round < rounds; round++) {
  await browserRound(host);
  for (const threads of [1, 2]) nativeRound(threads);
}
await host.close();
console.log(`${cpus().length} x ${cpus()[0].model.trim()}, load ${loadavg()[0].toFixed(1)}; median (range) of ${rounds} rounds, ms`);
for (const [name, values] of Object.entries(found)) console.log(`${name}: ${shown(values)}`);
