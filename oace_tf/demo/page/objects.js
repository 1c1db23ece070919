// Several objects in one photograph: a brush for each, their names, and what comes of it as a picture of numbers.
import { answer, chooseSign, chooseTool, hint } from "./answer.js";
import { byId, draw, forget, say, setMask, setRegions, showAlternatives, tell, tiles } from "./show.js";
import { BACKGROUND, COLOURS, knows, strokesByLabel } from "./marks.js";
import { save, stem } from "./save.js";
import { state } from "./state.js";

const PNG = "image/png";

/** Changes between one object and several. What was drawn stays, where it can. */
export function toggleSeveral() {
  if (!state.engine?.regions) return;
  const { marks } = state, several = !state.objects;
  const kept = several ? marks.filter(({ kind }) => kind === "tap" || kind === "scribble") : marks;
  const converted = kept.map(({ kind, points, object, label }) => (several
    ? { kind, points, object, label: object ? 1 : 0 } : { kind, points, object: label === (state.object || 1) }));
  Object.assign(state, {
    objects: several ? [{ name: "object 1" }, { name: "object 2" }] : null, object: 1, positive: true,
    marks: converted.some(({ object }) => object) ? converted : [], past: [], future: [], pending: null, glance: null,
    alternatives: [], taken: null });
  setMask(null);
  setRegions(null);
  showAlternatives(() => {});
  show();
  chooseSign(true);  // its buttons may still say that marks remove
  chooseTool(several ? "scribble" : "tap");
  answer();
}

/** Chooses what is drawn on: an object from 1, or 0, the background. */
export function chooseObject(number) {
  Object.assign(state, { object: number, positive: number > 0, pending: null });
  for (const button of byId("objects").querySelectorAll("[role=radio]")) {
    button.setAttribute("aria-checked", String(Number(button.dataset.object) === number));
  }
  if (state.photo && !state.marks.length) tell(hint());
  draw();
}

/** The next one to draw on, the background last. */
export function nextObject() { chooseObject((state.object + 1) % (state.objects.length + 1)); }

/** One object more. */
export function addObject() {
  if (!state.objects) return;
  if (state.objects.length === COLOURS.length) return say(`${COLOURS.length} objects are all that this page has colours for.`);
  const { objects } = state;
  let number = objects.length + 1;
  while (objects.some(({ name }) => name === `object ${number}`)) number++;
  objects.push({ name: `object ${number}` });
  show();
  chooseObject(objects.length);
}

/** Shows what belongs to several objects, or to one. */
export function show() {
  const several = state.objects !== null;
  byId("several").setAttribute("aria-pressed", String(several));
  byId("objects").hidden = byId("legend").hidden = byId("save-objects").hidden = !several;
  for (const id of ["sign", "save", "save-outline", "how", "feather-option", "crop-option"]) byId(id).hidden = several;
  byId("feather").hidden = several;
  for (const button of document.querySelectorAll("[data-tool]")) button.hidden = !knows(button.dataset.tool);
  if (!several) return byId("objects").replaceChildren();
  byId("objects").replaceChildren(...state.objects.map(({ name }, k) => chip(k + 1, name)), chip(0, "Background"), more());
  byId("legend-list").replaceChildren(...state.objects.map(row));
  shares();
}

function chip(number, name) {
  const button = document.createElement("button"), dot = document.createElement("i");
  dot.className = "dot";
  dot.style.background = number ? COLOURS[number - 1] : BACKGROUND;
  dot.textContent = number ? String(number) : "\u2212";
  button.type = "button";
  button.dataset.object = String(number);
  button.setAttribute("role", "radio");
  button.setAttribute("aria-checked", String(number === state.object));
  button.append(dot, name);
  button.addEventListener("click", () => chooseObject(number));
  return button;
}

function more() {
  const button = document.createElement("button");
  button.type = "button";
  button.id = "more";
  button.title = "One object more (N)";
  button.setAttribute("aria-label", "One object more");
  button.textContent = "+";
  button.addEventListener("click", addObject);
  return button;
}

function row(one, k) {
  const item = document.createElement("li"), dot = document.createElement("i");
  const name = document.createElement("input"), share = document.createElement("output");
  dot.className = "dot";
  dot.style.background = COLOURS[k];
  dot.textContent = String(k + 1);
  name.type = "text";
  name.maxLength = 60;
  name.value = one.name;
  name.setAttribute("aria-label", `Name of object ${k + 1}`);
  name.addEventListener("change", () => rename(k, name));
  item.append(dot, name, share);
  return item;
}

function rename(k, input) {
  const name = input.value.trim(), { objects } = state;
  const taken = name === "background" || objects.some((other, j) => j !== k && other.name === name);
  if (name && !taken) {
    objects[k].name = name;
    byId("objects").children[k].lastChild.textContent = name;
    say("");
    return tellShares();
  }
  input.value = objects[k].name;
  say(name ? `The name "${name}" is taken; choose another one.` : "An object needs a name.");
}

/** Writes behind each name how much of the photograph it covers. */
function shares() {
  const { regions } = state;
  [...byId("legend-list").children].forEach((item, k) => {
    const place = regions ? regions.numbers.indexOf(k + 1) : -1;
    item.lastChild.textContent = place < 0 ? "" : percent(regions.shares[place + 1]);
  });
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Asks about the marks on several objects; gives the milliseconds, or null where the answer comes too late. */
export async function askRegions(turn, signal) {
  const { engine, photo, marks, objects, options } = state;
  const { labels, shares: all, ms } = await engine.regions(photo, strokesByLabel(marks, objects), options, signal);
  if (turn !== state.turn) return null;
  setRegions({ labels, shares: all, numbers: numbersOf(marks) });
  draw();
  tiles();
  shares();
  tellShares();
  return ms;
}

function tellShares() {  // how much each object covers, and which were not found
  const { objects, regions } = state;
  if (!regions) return;
  const all = regions.numbers.map((number, k) => [objects[number - 1].name, regions.shares[k + 1]]);
  const there = all.filter(([, share]) => share).map(([name, share]) => `${name} ${percent(share)}`);
  const missing = all.filter(([, share]) => !share).map(([name]) => name);
  tell([there.length ? `${there.join(", ")} of the photograph.` : "",
        missing.length ? `Nothing found for ${missing.join(", ")}; try another place.` : ""].filter(Boolean).join(" "));
}

/** Forgets what was answered. */
export function forgetRegions() {
  setRegions(null);
  shares();
  forget();
}

/** The objects that are drawn on, in order: the first is number 1 of the picture. */
const numbersOf = (marks) => [...new Set(marks.map(({ label }) => label))].filter(Boolean).sort((a, b) => a - b);

/** Saves the picture of numbers, as large as the photograph. */
export async function saveLabels() {
  const { engine, photo, marks, objects, options } = state, button = byId("save-labels");
  if (button.disabled) return;
  tell("The picture is being made; a large photograph takes a few seconds.");
  button.disabled = true;
  try {
    const blob = await engine.labels(photo, strokesByLabel(marks, objects), options);
    save(new File([blob], `${stem()}_labels.png`, { type: PNG }));
    tell(`${stem()}_labels.png is saved. Its pixels are numbers, so it looks black; the legend says what they mean.`);
  } catch (error) {
    say(error.message);
  } finally {
    draw();
  }
}

/** Saves what the numbers of the picture mean. */
export function saveLegend() {
  const { marks, objects } = state;
  const names = numbersOf(marks).map((number, k) => [String(k + 1), objects[number - 1].name]);
  const text = `${JSON.stringify(Object.fromEntries([["0", "background"], ...names]), null, 1)}\n`;
  save(new File([text], `${stem()}_labels.json`, { type: "application/json" }));
}
