// Debian's Chromium, driven by Playwright; every visit is watched for complaints and foreign requests.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const EXPECTED = ["Canvas2D: Multiple readback", "Service Worker registration blocked",  // by the tests
  "No available adapters."];  // Chromium's own word where there is no WebGPU
const PATIENCE_MS = 90_000;  // a busy machine

/** The path of Chromium: that of the environment variable CHROMIUM, or the first on the PATH. */
export function chromiumPath() {
  const folders = (process.env.PATH ?? "").split(":");
  const found = process.env.CHROMIUM
    ?? NAMES.flatMap((name) => folders.map((folder) => `${folder}/${name}`)).find(existsSync);
  if (!found) throw new Error("no Chromium here; Debian: apt-get install chromium");
  return found;
}

export const launch = () => chromium.launch({ executablePath: chromiumPath(), args: FLAGS });

/** Opens a page of its own profile; `end` closes it and says what it complained about. */
export async function visit(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage(), complaints = [];
  page.on("console", (message) => {
    const words = message.text();
    if (["error", "warning"].includes(message.type()) && !EXPECTED.some((one) => words.startsWith(one))) {
      complaints.push(words);
    }
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  context.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith("http") && origin !== new URL(url).origin) complaints.push(request.url());
  });
  await page.goto(url);
  return { page, context, complaints, end: async () => {
    await context.close();
    assert.deepEqual(complaints, []);
  } };
}

/** Waits for the model. */
export const ready = (page) => page.waitForSelector("#stage[data-ready]");

/** Opens a sample by its file's name. */
export async function openSample(page, title) {
  await page.click(`#sample-list button:has(b:text-is("${title}"))`);
  await page.waitForSelector("#stage[data-state=open]");
  await page.waitForFunction((name) => document.getElementById("status").textContent
    .toLowerCase().startsWith(name.toLowerCase()), title);
}

/** Taps at a place given as shares of width and height; waits for the answer. */
export async function tapAt(page, x, y, turn, button = "left") {
  const box = await page.locator("#photo").boundingBox();
  await page.mouse.click(box.x + x * box.width, box.y + y * box.height, { button });
  await page.waitForSelector(`#results[data-turn='${turn}']`);
}

/** Moves the pressed mouse along places given as shares of width and height; waits for the answer. */
export async function drawAlong(page, places, turn) {
  const box = await page.locator("#photo").boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(places[0]));
  await page.mouse.down();
  for (const place of places.slice(1)) await page.mouse.move(...at(place), { steps: 5 });
  await page.mouse.up();
  await page.waitForSelector(`#results[data-turn='${turn}']`);
}

/** How many pixels of the small picture of the mask are white. */
export const maskArea = (page) => page.evaluate(() => {
  const canvas = document.getElementById("mask");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, k) => k % 4 === 0 && value > 127).length;
});
