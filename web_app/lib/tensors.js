// Photograph + gestures -> the file's tensors -> mask at the photograph's size: the arithmetic of
// oace_tf/geometry.py and of TapSegmenter.kt, number for number. No page, no model here.

const { fround } = Math;

/**
 * The photograph as the tensor `image`: size * size * 3 bytes RGB. Both axes are scaled on their
 * own, by area when both shrink, else linearly: OpenCV's INTER_AREA and INTER_LINEAR.
 */
export function imageTensor(photograph, size) {
  const { width, height } = photograph;
  checkPhotograph(photograph);
  if (width === size && height === size) return colours(photograph);
  if (size >= Math.min(width, height)) return linear(photograph, size);
  if (width % size === 0 && height % size === 0) return blocks(photograph, size);
  return area(photograph, size);
}

/**
 * Rows {x, y, label} of a photograph, or of a part of it, as the tensor `points`; unused rows are
 * 0, 0, -1. Corners, points on the outline and the end of a drag may lie outside.
 */
export function pointsTensor(rows, width, height, size, maxPoints) {
  if (rows.length > maxPoints) {
    throw new RangeError(`${rows.length} points, but the model takes ${maxPoints}`);
  }
  const points = new Float32Array(maxPoints * 3);
  for (let k = 2; k < points.length; k += 3) points[k] = -1;
  rows.forEach(({ x, y, label }, k) => {
    points[3 * k] = (x + 0.5) * size / width - 0.5;
    points[3 * k + 1] = (y + 0.5) * size / height - 0.5;
    points[3 * k + 2] = label;
  });
  return points;
}

/** Raises where a tap lies outside the photograph. */
export function checkTaps(rows, width, height) {
  for (const { x, y } of rows) {
    if (!(x >= -0.5 && x <= width - 0.5 && y >= -0.5 && y <= height - 0.5)) {
      throw new RangeError(`the point ${x}, ${y} is outside the photograph of ${width}x${height}`);
    }
  }
}

/** Numbers of a grid, `across` x `down`, divided by `divisor` and read linearly at another size. */
class LinearMask {
  constructor(values, across, down, divisor, width, height) {
    Object.assign(this, { values, across, divisor, width, height });
    this.columns = linearTable(across, width, true);
    this.rows = linearTable(down, height, false);
    this.lines = [new Float32Array(width), new Float32Array(width)];  // of two rows of the grid
    this.held = [-1, -1];
  }

  /** Writes row y to the first `width` places of `into`: 0 to 1, object from 0.5 on. */
  row(y, into) {
    const upper = this.stretched(this.rows.first[y], 0), lower = this.stretched(this.rows.second[y], 1);
    const below = this.rows.weight[y], above = fround(1 - below);
    for (let x = 0; x < this.width; x++) {
      into[x] = fround(upper[x] * above) + fround(lower[x] * below);
    }
  }

  /** The probability of every pixel, row by row. */
  probability() { return allRows(this); }

  stretched(row, place) {
    if (this.held[place] === row) return this.lines[place];
    if (this.held[1] === row) {  // what was the lower row is the upper one now
      this.lines.reverse();
      this.held.reverse();
      return this.lines[place];
    }
    const { values, divisor } = this, { first, second, weight } = this.columns, line = this.lines[place];
    const start = row * this.across;
    for (let x = 0; x < this.width; x++) {
      const left = values[start + first[x]] / divisor, right = values[start + second[x]] / divisor;
      line[x] = fround(left * fround(1 - weight[x])) + fround(right * weight[x]);
    }
    this.held[place] = row;
    return line;
  }
}

/** The network's mask, bytes 256 p of the square frame, read at another size. */
export class FrameMask extends LinearMask {
  constructor(bytes, size, width, height) { super(bytes, size, size, 256, width, height); }
}

/** The mask of a part of a photograph, nothing around it. */
export class PastedMask {
  constructor(part, window, width, height) { Object.assign(this, { part, window, width, height }); }

  /** As FrameMask. */
  row(y, into) {
    into.fill(0, 0, this.width);
    const { left, top, bottom } = this.window;
    if (y >= top && y < bottom) this.part.row(y - top, into.subarray(left));
  }

  /** As FrameMask. */
  probability() { return allRows(this); }
}

/** The mean of two masks of one size. */
export class MeanMask {
  constructor(one, other) {
    Object.assign(this, { one, other, width: one.width, height: one.height, line: new Float32Array(one.width) });
  }

  /** As FrameMask. */
  row(y, into) {
    this.one.row(y, into);
    this.other.row(y, this.line);
    for (let x = 0; x < this.width; x++) into[x] = fround(into[x] + this.line[x]) / 2;
  }

  /** As FrameMask. */
  probability() { return allRows(this); }
}

/** A mask in the frame of one window, bytes, in the frame of another: as Python's, bit for bit. */
export function movedBytes(bytes, size, before, now, width, height) {
  if (sameWindow(before, now)) return bytes;
  const old = new FrameMask(bytes, size, before.right - before.left, before.bottom - before.top);
  const whole = new PastedMask(old, before, width, height), line = new Float32Array(width);
  const across = now.right - now.left, down = now.bottom - now.top, part = new Float32Array(across * down);
  for (let y = 0; y < down; y++) {
    whole.row(now.top + y, line);
    part.set(line.subarray(now.left, now.right), y * across);
  }
  const seen = new LinearMask(part, across, down, 1, size, size).probability();
  return Uint8Array.from(seen, (value) => Math.min(roundHalfEven(value * 256), 255));
}

/** The window of all of a photograph. */
export const wholeWindow = (width, height) => ({ left: 0, top: 0, right: width, bottom: height });

/** Whether two windows are the same. */
export const sameWindow = (one, other) => ["left", "top", "right", "bottom"].every(
  (side) => one[side] === other[side]);

/**
 * The window of a photograph around rows: columns `left` to `right`, rows `top` to `bottom`, ends
 * excluded. `margin` is a share of the longer side of their bounding box.
 */
export function windowAround(rows, width, height, margin) {
  const xs = rows.map(({ x }) => x), ys = rows.map(({ y }) => y);
  const [lowX, lowY, highX, highY] = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  const room = margin * Math.max(highX - lowX, highY - lowY);
  const window = { left: Math.max(0, Math.floor(lowX - room)), top: Math.max(0, Math.floor(lowY - room)),
                   right: Math.min(width, Math.ceil(highX + room) + 1),
                   bottom: Math.min(height, Math.ceil(highY + room) + 1) };
  if (window.right - window.left < 1 || window.bottom - window.top < 1) {
    throw new RangeError(`the box lies outside the photograph of ${width}x${height}`);
  }
  return window;
}

/** The part of a photograph in a window. */
export function cropped({ width, rgba }, { left, top, right, bottom }) {
  const across = right - left, down = bottom - top, part = new Uint8ClampedArray(4 * across * down);
  for (let y = 0; y < down; y++) {
    const start = 4 * ((top + y) * width + left);
    part.set(rgba.subarray(start, start + 4 * across), 4 * y * across);
  }
  return { width: across, height: down, rgba: part };
}

function allRows(mask) {
  const all = new Float32Array(mask.width * mask.height);
  for (let y = 0; y < mask.height; y++) mask.row(y, all.subarray(y * mask.width));
  return all;
}

/**
 * The photograph's colours where the mask is, RGBA: transparent, and black beneath, elsewhere.
 * The photograph's own transparency stays.
 */
export function cutoutPixels(photograph, mask) {
  const { width, height, rgba } = photograph;
  const pixels = new Uint8ClampedArray(rgba.length), row = new Float32Array(width);
  for (let y = 0; y < height; y++) {
    mask.row(y, row);
    for (let x = 0; x < width; x++) {
      if (row[x] < 0.5) continue;
      const at = 4 * (y * width + x);
      pixels[at] = rgba[at];
      pixels[at + 1] = rgba[at + 1];
      pixels[at + 2] = rgba[at + 2];
      pixels[at + 3] = rgba[at + 3];
    }
  }
  return pixels;
}

/** Raises where the pixels are not those of a photograph of that size. */
export function checkPhotograph({ width, height, rgba }) {
  if (!(width > 0 && height > 0 && rgba?.length === 4 * width * height)) {
    throw new RangeError(`a photograph of ${width}x${height} needs ${4 * width * height} bytes RGBA, `
                         + `got ${rgba?.length}`);
  }
}

function roundHalfEven(value) {  // values are not negative
  const whole = Math.floor(value), part = value - whole;
  return part > 0.5 || (part === 0.5 && whole % 2 === 1) ? whole + 1 : whole;
}

const fixed = (weight) => roundHalfEven(fround(weight * 2048));

function colours({ rgba }) {
  const out = new Uint8Array(rgba.length / 4 * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    out[to] = rgba[from];
    out[to + 1] = rgba[from + 1];
    out[to + 2] = rgba[from + 2];
  }
  return out;
}

// OpenCV's fixed point: 11 bits a weight, columns first, each product shifted on its own.
function linear({ width, height, rgba }, size) {
  const columns = linearTable(width, size, true), rows = linearTable(height, size, false);
  const left = Int32Array.from(columns.weight, (weight) => fixed(fround(1 - weight)));
  const right = Int32Array.from(columns.weight, fixed);
  const out = new Uint8Array(size * size * 3);
  const stretch = (y) => {
    const line = new Int32Array(size * 3);
    for (let x = 0; x < size; x++) {
      const a = 4 * (y * width + columns.first[x]), b = 4 * (y * width + columns.second[x]);
      for (let c = 0; c < 3; c++) {
        line[3 * x + c] = rgba[a + c] * left[x] + rgba[b + c] * right[x];
      }
    }
    return line;
  };
  const lines = new Map();  // the two that are at work
  for (let y = 0; y < size; y++) {
    for (const row of lines.keys()) if (row !== rows.first[y] && row !== rows.second[y]) lines.delete(row);
    for (const row of [rows.first[y], rows.second[y]]) if (!lines.has(row)) lines.set(row, stretch(row));
    const above = lines.get(rows.first[y]), below = lines.get(rows.second[y]);
    const upper = fixed(fround(1 - rows.weight[y])), lower = fixed(rows.weight[y]);
    for (let i = 0, at = y * size * 3; i < size * 3; i++, at++) {
      const sum = (upper * (above[i] >> 4) >> 16) + (lower * (below[i] >> 4) >> 16);
      out[at] = sum + 2 >> 2;
    }
  }
  return out;
}

// Whole blocks of pixels: their mean.
function blocks({ width, height, rgba }, size) {
  const across = width / size, down = height / size, scale = fround(1 / (across * down));
  const out = new Uint8Array(size * size * 3);
  for (let y = 0, at = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      for (let c = 0; c < 3; c++, at++) {
        let sum = 0;
        for (let j = y * down; j < (y + 1) * down; j++) {
          for (let k = x * across; k < (x + 1) * across; k++) sum += rgba[4 * (j * width + k) + c];
        }
        out[at] = across === 2 && down === 2 ? sum + 2 >> 2 : roundHalfEven(fround(sum * scale));
      }
    }
  }
  return out;
}

// Every source pixel counts by the share of it that lies in the cell; float32 sums in this order.
function area({ width, height, rgba }, size) {
  const columns = areaTable(width, size), rows = areaTable(height, size);
  const sum = new Float32Array(size * 3), out = new Uint8Array(size * size * 3);
  const line = new Float32Array(size * 3);
  let held = -1;  // the row of the photograph that `line` was made of: cells share their borders
  for (let y = 0; y < size; y++) {
    sum.fill(0);
    for (let k = rows.start[y]; k < rows.start[y + 1]; k++) {
      if (rows.source[k] !== held) {
        held = rows.source[k];
        shrink(rgba, 4 * held * width, columns, line);
      }
      const share = rows.share[k];
      for (let i = 0; i < sum.length; i++) sum[i] += fround(share * line[i]);
    }
    for (let i = 0, at = y * size * 3; i < sum.length; i++, at++) {
      out[at] = Math.min(roundHalfEven(sum[i]), 255);
    }
  }
  return out;
}

function shrink(rgba, start, columns, line) {
  for (let x = 0, at = 0; x < columns.start.length - 1; x++, at += 3) {
    let r = 0, g = 0, b = 0;
    for (let j = columns.start[x]; j < columns.start[x + 1]; j++) {
      const from = start + 4 * columns.source[j], share = columns.share[j];
      r = fround(r + fround(rgba[from] * share));
      g = fround(g + fround(rgba[from + 1] * share));
      b = fround(b + fround(rgba[from + 2] * share));
    }
    line[at] = r;
    line[at + 1] = g;
    line[at + 2] = b;
  }
}

/** For each of `to` places, the two of `from` that it lies between, and the second one's weight. */
function linearTable(from, to, stopAtEdge) {
  const first = new Int32Array(to), second = new Int32Array(to), weight = new Float32Array(to);
  const scale = 1 / (to / from), clamp = (place) => Math.min(Math.max(place, 0), from - 1);
  for (let i = 0; i < to; i++) {
    const place = fround((i + 0.5) * scale - 0.5), before = Math.floor(place);
    first[i] = clamp(before);
    second[i] = clamp(before + 1);
    // beyond the first or last centre: OpenCV sets the weight to 0 along rows, not down columns
    weight[i] = stopAtEdge && (before < 0 || before >= from - 1) ? 0 : place - before;
  }
  return { first, second, weight };
}

/** For each of `to` cells, the places of `from` in it, start[i] until start[i + 1], and their shares. */
function areaTable(from, to) {
  const scale = 1 / (to / from), start = new Int32Array(to + 1), source = [], share = [];
  for (let i = 0; i < to; i++) {
    const begin = i * scale, end = begin + scale, width = Math.min(scale, from - begin);
    const last = Math.min(Math.floor(end), from - 1), first = Math.min(Math.ceil(begin), last);
    const add = (place, part) => { source.push(place); share.push(part); };
    if (first - begin > 1e-3) add(first - 1, (first - begin) / width);
    for (let place = first; place < last; place++) add(place, 1 / width);
    if (end - last > 1e-3) add(last, Math.min(Math.min(end - last, 1), width) / width);
    start[i + 1] = source.length;
  }
  return { start, source: Int32Array.from(source), share: Float32Array.from(share) };
}
