// Cutouts with a soft edge, and no larger than the object: the twin of oace_tf/demo/cutouts.py.

const PASSES = 3;  // of a box filter: as good as a Gaussian

/** The photograph's colours where the mask is, with an edge of about `width` pixels; bytes RGBA. */
export function softened(photograph, mask, width) {
  const { rgba } = photograph, alpha = blurred(mask, width / 2), pixels = new Uint8ClampedArray(rgba.length);
  for (let k = 0; k < alpha.length; k++) {
    const own = Math.min(Math.round(255 * alpha[k]), rgba[4 * k + 3]);
    if (!own) continue;
    pixels.set(rgba.subarray(4 * k, 4 * k + 3), 4 * k);
    pixels[4 * k + 3] = own;
  }
  return pixels;
}

/** A BitMask as numbers 0 to 1, blurred by about a standard deviation. */
export function blurred({ width, height, bits }, sigma) {
  let values = Float32Array.from(bits), other = new Float32Array(bits.length);
  // the box whose three passes spread as far
  const reach = Math.max(1, Math.round((Math.sqrt(12 * sigma * sigma / PASSES + 1) - 1) / 2));
  for (let pass = 0; pass < PASSES; pass++) {
    for (let y = 0; y < height; y++) boxed(values, other, y * width, 1, width, reach);
    for (let x = 0; x < width; x++) boxed(other, values, x, width, height, reach);
  }
  return values;
}

function boxed(from, into, start, step, count, reach) {  // the mean of 2 reach + 1 numbers; the rim goes on
  const at = (k) => from[start + step * Math.min(Math.max(k, 0), count - 1)];
  let sum = 0;
  for (let k = -reach; k <= reach; k++) sum += at(k);
  for (let k = 0; k < count; k++) {
    into[start + step * k] = sum / (2 * reach + 1);
    sum += at(k + reach + 1) - at(k - reach);
  }
}

/** The smallest part of a picture { width, height, rgba } that holds all that is not transparent. */
export function cropped(picture) {
  const { width, height, rgba } = picture;
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0, at = 3; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      if (!rgba[at]) continue;
      [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
      [top, bottom] = [Math.min(top, y), y + 1];
    }
  }
  if (right <= left) return picture;
  const part = new Uint8ClampedArray(4 * (right - left) * (bottom - top));
  for (let y = top; y < bottom; y++) {
    part.set(rgba.subarray(4 * (y * width + left), 4 * (y * width + right)), 4 * (y - top) * (right - left));
  }
  return { width: right - left, height: bottom - top, rgba: part };
}
