// Photographs as people have them -> upright pixels, and a picture for the screen.
// The pixels are those that oace_tf reads: colour profiles are ignored, transparent parts stand on
// white for the network and stay transparent in the cutout.

const PREVIEW_SIDE = 1600;  // px, the longer side of what the page shows
const MOST_PIXELS = [100e6, 16.7e6, 4e6];  // the second: what canvases of iOS take

/** The photograph { width, height, rgba }, its preview (an ImageBitmap), and a note or nothing. */
export async function openPhotograph(blob, name) {
  let picture;
  try {
    picture = await createImageBitmap(blob, { imageOrientation: "from-image",
                                              colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Error(`${name} is not a picture that this browser can read; save it as JPEG or PNG.`);
  }
  const notes = [];
  const drawn = draw(picture, name);
  const { canvas, context, pixels } = drawn;
  if (drawn.smaller) notes.push(`Made smaller, from ${picture.width} × ${picture.height}.`);
  picture.close();
  if (standOnWhite(pixels.data)) {
    notes.push("Transparent parts stand on white, and stay transparent in the cutout.");
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  const { width, height } = canvas, scale = Math.min(1, PREVIEW_SIDE / Math.max(width, height));
  const preview = await createImageBitmap(canvas, scale === 1 ? {} : {
    resizeWidth: Math.max(1, Math.round(width * scale)),
    resizeHeight: Math.max(1, Math.round(height * scale)), resizeQuality: "high" });
  return { photograph: { width, height, rgba: pixels.data }, preview, note: notes.join(" ") };
}

/** Pixels as the bytes of a PNG file. */
export async function pngOf(rgba, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

function draw(picture, name) {  // as large as this browser's canvas takes it
  for (const most of MOST_PIXELS) {
    const scale = Math.min(1, Math.sqrt(most / (picture.width * picture.height)));
    const [width, height] = [picture.width, picture.height].map(
      (side) => Math.max(1, Math.floor(side * scale)));
    try {
      const canvas = new OffscreenCanvas(width, height);
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(picture, 0, 0, width, height);
      const pixels = context.getImageData(0, 0, width, height);
      if (width * height <= MOST_PIXELS.at(-1) || pixels.data.some((value) => value > 0)) {
        return { canvas, context, pixels, smaller: scale < 1 };
      }
    } catch { /* too large for this device: try a smaller one */ }
  }
  throw new Error(`${name} is too large for this device; make it smaller.`);
}

function standOnWhite(rgba) {  // changes the colours; returns whether any part was transparent
  let clear = false;
  for (let at = 0; at < rgba.length; at += 4) {
    const alpha = rgba[at + 3];
    if (alpha === 255) continue;
    clear = true;
    for (let c = at; c < at + 3; c++) {
      rgba[c] = Math.floor((rgba[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
  }
  return clear;
}
