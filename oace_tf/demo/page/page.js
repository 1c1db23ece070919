// The page: a photograph, marks on it, and what the engine makes of them. Here it starts, opens
// photographs, and ties buttons to what they do.
import { answer, chooseSign, chooseTool, clear, explain, hint, redo, take, undo } from "./answer.js";
import { busy, byId, draw, forget, say, setMask, setRegions, showAlternatives, tell, tiles } from "./show.js";
import { canCopy, canShare, copy, download, saveCoco, saveSvg, share } from "./save.js";
import { knows } from "./marks.js";
import { saveLabels, saveLegend, show, toggleSeveral } from "./objects.js";
import { offerBenchmark } from "./benchmark.js";
import { openEngine } from "./engine.js";
import { state, takePhoto } from "./state.js";
import { zoom } from "./keys.js";
import { fit } from "./view.js";

// --- opening

let wanted = 0;  // the number of the newest photograph that was chosen

async function open(source, words) {
  const number = ++wanted;
  busy(words);
  say("");
  try {
    const photo = await state.engine.open(source);
    if (number !== wanted) return;
    state.turn++;  // answers about the one before come too late
    takePhoto(photo);
    setMask(null);
    setRegions(null);
    if (state.objects) show();
    fit();
    const { width, height } = photo.preview, canvas = byId("photo");
    canvas.style.aspectRatio = `${width} / ${height}`;
    canvas.style.setProperty("--aspect", width / height);
    canvas.hidden = byId("zoom").hidden = false;
    byId("stage").dataset.state = "open";
    forget();
    showAlternatives(take);
    tell(`${photo.name}, ${photo.width} × ${photo.height}. ${photo.note} ${hint()}`);
    canvas.focus({ preventScroll: true });
    // Samples lie below both; on a phone the tools go out of view again where both do not fit.
    for (const id of ["tools", "stage"]) byId(id).scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (number === wanted) say(error.message);
  } finally {
    if (number === wanted) busy("");
    draw();
  }
}

let early = null;  // a photograph that was chosen before there was an engine

function openFile(file) {
  if (!file) return;
  if (!state.engine) {
    early = file;
    return busy(`${file.name || "The photograph"} opens when the model is there …`);
  }
  const { maxBytes } = state.engine.facts;
  if (file.size > maxBytes) {
    return say(`${file.name} is larger than ${Math.floor(maxBytes / 2 ** 20)} MB; make it smaller.`);
  }
  open(file, `Reading ${file.name || "the photograph"} …`);
}

// --- buttons, dropping, pasting

for (const button of document.querySelectorAll("[data-tool]")) {
  button.addEventListener("click", () => chooseTool(button.dataset.tool));
}
const CLICKS = {
  add: () => chooseSign(true), remove: () => chooseSign(false), undo, redo, clear, download, copy, share,
  several: toggleSeveral, "save-labels": saveLabels, "save-legend": saveLegend,
  "save-svg": saveSvg, "save-coco": saveCoco, closer: () => zoom(1.5), farther: () => zoom(1 / 1.5), fit: () => zoom(0),
};
for (const [id, action] of Object.entries(CLICKS)) byId(id).addEventListener("click", action);
byId("share").hidden = !canShare();
byId("copy").hidden = !canCopy();
byId("feather").addEventListener("input", (event) => {
  state.options.feather = Number(event.target.value);
  tiles();
});
byId("crop").addEventListener("change", (event) => {
  state.options.crop = event.target.checked;
  tiles();
});
byId("refine").addEventListener("change", (event) => {
  state.options.refine = event.target.checked;
  if (state.marks.length) answer();
});
byId("how").addEventListener("toggle", () => byId("how").open && explain());
for (const id of ["file", "camera"]) {
  byId(id).addEventListener("change", (event) => {
    openFile(event.target.files[0]);
    event.target.value = "";  // the same file may be chosen again
  });
}
let depth = 0;  // dragenter and dragleave come for every element on the way
document.addEventListener("dragenter", () => byId("stage").classList.toggle("over", ++depth > 0));
document.addEventListener("dragleave", () => byId("stage").classList.toggle("over", --depth > 0));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  byId("stage").classList.remove("over");
  if (event.dataTransfer.files.length) openFile(event.dataTransfer.files[0]);
  else say("That was no file; save the picture first, then drop it here.");
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (file) openFile(file);
});
window.addEventListener("resize", draw);

// --- start

(async () => {
  try {
    const engine = state.engine = await openEngine((words) => { byId("subtitle").textContent = words; });
    const { facts } = engine;
    byId("remove").disabled = !facts.kinds.includes("background");
    for (const button of document.querySelectorAll("[data-tool]")) button.hidden = !knows(button.dataset.tool);
    byId("subtitle").textContent = facts.place;
    byId("model").textContent = facts.model;
    byId("refine-option").hidden = !facts.refines;
    byId("several").hidden = !engine.regions || !facts.kinds.includes("background");
    byId("samples").hidden = !facts.samples.length;
    for (const sample of facts.samples) byId("sample-list").append(card(sample));
    if (engine.benchmark) offerBenchmark(engine);
    byId("stage").dataset.ready = "yes";
    openFile(early ?? engine.shared);
  } catch (error) {
    busy("");
    byId("subtitle").textContent = "";
    say(error.message);
  }
})();

function card(sample) {
  const item = document.createElement("li"), button = document.createElement("button");
  const image = document.createElement("img"), title = document.createElement("b");
  const credit = document.createElement("small");
  button.type = "button";
  image.src = sample.url;
  image.alt = "";
  title.textContent = sample.title;
  credit.textContent = `${sample.photographer}, ${sample.licence}`;
  button.title = sample.source;
  button.append(image, title, credit);
  button.addEventListener("click", () => open(sample.file, "Reading …"));
  item.append(button);
  return item;
}
