// Saving, copying and sharing: the cutout as PNG, the outline as SVG and COCO JSON.
import { byId, draw, outline, say, tell } from "./show.js";
import { cocoValue, svgText } from "./outline.js";
import { state } from "./state.js";

const PNG = "image/png";

/** Options of the cutout as the engine takes them: feather in pixels of the photograph. */
function options() {
  const { feather, crop, refine } = state.options, { width, height } = state.photo;
  return { feather: feather / 1000 * Math.max(width, height), crop, refine };
}

/** The name of the photograph without its suffix. */
export const stem = () => state.photo.name.replace(/\.[^.]*$/, "") || "photograph";

async function cutout() {  // as a file, or null where it could not be made
  const { photo, marks } = state;
  tell("The cutout is being made; a large photograph takes a few seconds.");
  for (const id of ["download", "copy", "share"]) byId(id).disabled = true;
  try {
    const blob = await state.engine.cutout(photo, marks, options());
    return new File([blob], `${stem()}_cutout.png`, { type: PNG });
  } catch (error) {
    say(error.message);
    return null;
  } finally {
    draw();
  }
}

/** Hands a file to the browser's downloads. */
export function save(file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  tell(`${file.name} is saved.`);
}

export async function download() {
  if (byId("download").disabled) return;
  const file = await cutout();
  if (file) save(file);
}

export async function copy() {
  if (byId("copy").disabled || byId("copy").hidden) return;
  let file = null;
  try {  // a promise inside, so that the click still counts when the picture is ready
    await navigator.clipboard.write([new ClipboardItem({ [PNG]: cutout().then((made) => {
      if (!made) throw new Error("no cutout");
      return file = made;
    }) })]);
    tell("The cutout is copied; paste it where you like.");
  } catch {
    if (file) say("This browser did not copy it; save it instead.");
  }
}

export async function share() {
  const file = await cutout();
  if (!file) return;
  try {
    await navigator.share({ files: [file] });
    tell("");
  } catch (error) {
    if (error.name === "AbortError") tell("Not shared.");  // the sheet was closed
    else say("This browser did not share it; save it instead.");
  }
}

export function saveSvg() {
  const { width, height } = state.photo;
  save(new File([svgText(outline(), width, height)], `${stem()}_outline.svg`, { type: "image/svg+xml" }));
}

export function saveCoco() {
  const text = `${JSON.stringify(cocoValue(outline(), state.photo), null, 1)}\n`;
  save(new File([text], `${stem()}_coco.json`, { type: "application/json" }));
}

export const canShare = () => Boolean(navigator.canShare?.({ files: [new File([], "cutout.png", { type: PNG })] }));
export const canCopy = () => Boolean(navigator.clipboard?.write && globalThis.ClipboardItem);
