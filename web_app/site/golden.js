// The golden scenes: drawn in whole numbers, so that Python (golden/make.py) draws the same bytes.

/** A ball on a grained slope: { width, height, ball: [x, y, half width, half height], colour }. */
export function drawScene({ width, height, ball: [cx, cy, a, b], colour }) {
  const rgba = new Uint8ClampedArray(4 * width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const grain = (Math.imul(x, 73856093) ^ Math.imul(y, 19349663)) >>> 13 & 15;
      const dx = (x - cx) * b, dy = (y - cy) * a, inside = dx * dx + dy * dy <= a * a * b * b;
      const slope = [60 + Math.floor(90 * x / width), 90 + Math.floor(60 * y / height), 120];
      const light = Math.floor(60 * (cx + a - x) / (2 * a));
      for (let c = 0; c < 3; c++) rgba[at + c] = (inside ? colour[c] + light : slope[c]) + grain;
      rgba[at + 3] = 255;
    }
  }
  return { width, height, rgba };
}

/** The mask of a golden case, as the Python interpreter gave it. */
export async function goldenMask({ mask }) {
  const packed = Uint8Array.from(atob(mask), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
