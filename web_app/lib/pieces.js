// A mask without crumbs: the JavaScript twin of oace_tf/pieces.py. Pieces are 8-connected, holes
// 4-connected parts of what is not the mask that do not touch the border.
import { LABEL } from "./gestures.js";

const LEAST_HOLE = 0.05;  // of the mask's own area: smaller holes are filled
const LEAST_PIECE = 0.3;  // of the largest piece: without a tap inside any piece, smaller ones go
const FINGER = 5 / 512;  // of the longer side: a tap beside a piece still holds it

/** A mask of zeros and ones, `bits`, row by row. */
export class BitMask {
  constructor(width, height, bits = new Uint8Array(width * height)) {
    Object.assign(this, { width, height, bits });
  }

  /** Where a mask is at least one half. */
  static of(mask) {
    const { width, height } = mask, found = new BitMask(width, height), row = new Float32Array(width);
    for (let y = 0, at = 0; y < height; y++) {
      mask.row(y, row);
      for (let x = 0; x < width; x++, at++) if (row[x] >= 0.5) found.bits[at] = 1;
    }
    return found;
  }

  /** Writes row y to the first `width` places of `into`, 0 or 1. */
  row(y, into) { into.set(this.bits.subarray(y * this.width, (y + 1) * this.width)); }

  /** How much of the photograph the mask covers, 0 to 1. */
  get share() {
    let count = 0;
    for (const bit of this.bits) count += bit;
    return count / this.bits.length;
  }
}

/**
 * The mask in one piece under its taps, without small holes; a new BitMask.
 * @param taps  rows {x, y, label} in pixels of the mask
 */
export function tidied(mask, taps) {
  const parts = new Parts(mask, 1, true), whole = new BitMask(mask.width, mask.height);
  if (!parts.count) return whole;
  const on = (label) => taps.filter((one) => one.label === label);
  let kept = parts.held(on(LABEL.OBJECT), 0);
  if (!kept.size) kept = parts.held(on(LABEL.OBJECT), FINGER * Math.max(mask.width, mask.height));
  if (!kept.size) {
    const least = LEAST_PIECE * parts.areas.reduce((most, area) => Math.max(most, area));
    kept = new Set(parts.areas.flatMap((area, part) => (area >= least ? [part] : [])));
  }
  parts.write(whole, kept);
  const area = [...kept].reduce((sum, part) => sum + parts.areas[part], 0);
  const rest = new Parts(whole, 0, false), tapped = rest.held(on(LABEL.BACKGROUND), 0);
  const small = rest.areas.flatMap((size, part) => (
    size < LEAST_HOLE * area && !rest.touching[part] && !tapped.has(part) ? [part] : []));
  rest.write(whole, new Set(small));
  return whole;
}

/** The connected parts of a mask's ones or zeros, as runs along the rows. */
class Parts {
  constructor({ width, height, bits }, value, diagonal) {
    const runs = [], firsts = new Int32Array(height + 1), parents = [];  // a run: row, begin, end
    const root = (one) => {
      while (parents[one] !== one) one = parents[one] = parents[parents[one]];
      return one;
    };
    const reach = diagonal ? 1 : 0;
    for (let y = 0; y < height; y++) {
      const end = (y + 1) * width;
      let above = firsts[Math.max(y - 1, 0)];
      const lastAbove = y ? firsts[y] : 0;
      for (let at = y * width; at < end; at++) {
        if (bits[at] !== value) continue;
        const begin = at - y * width;
        while (at < end && bits[at] === value) at++;
        const stop = at - y * width, run = runs.length / 3;
        runs.push(y, begin, stop);
        parents.push(run);
        while (above < lastAbove && runs[3 * above + 2] + reach <= begin) above++;
        for (let other = above; other < lastAbove && runs[3 * other + 1] < stop + reach; other++) {
          parents[root(other)] = root(run);
        }
      }
      firsts[y + 1] = runs.length / 3;
    }
    Object.assign(this, { width, height, runs, firsts, of: new Int32Array(parents.length), areas: [], touching: [] });
    const numbers = new Map();
    for (let run = 0; run < parents.length; run++) {
      const top = root(run);
      if (!numbers.has(top)) numbers.set(top, numbers.size);
      const part = this.of[run] = numbers.get(top);
      const y = runs[3 * run], begin = runs[3 * run + 1], stop = runs[3 * run + 2];
      this.areas[part] = (this.areas[part] ?? 0) + stop - begin;
      this.touching[part] ||= y === 0 || y === height - 1 || begin === 0 || stop === width;
    }
  }

  get count() { return this.areas.length; }

  /** The parts within `radius` pixels of a tap; with 0, those under a tap. */
  held(taps, radius) {
    const found = new Set(), { width, height, runs, firsts } = this, reach = Math.floor(radius);
    for (const tap of taps) {
      const row = Math.min(Math.max(roundHalfEven(tap.y), 0), height - 1);
      const column = Math.min(Math.max(roundHalfEven(tap.x), 0), width - 1);
      for (let y = Math.max(0, row - reach); y <= Math.min(height - 1, row + reach); y++) {
        const room = radius ** 2 - (y - row) ** 2;
        if (room < 0) continue;
        const half = Math.floor(Math.sqrt(room));
        for (let run = firsts[y]; run < firsts[y + 1]; run++) {
          if (runs[3 * run + 1] <= column + half && runs[3 * run + 2] > column - half) found.add(this.of[run]);
        }
      }
    }
    return found;
  }

  /** Sets the pixels of some parts. */
  write({ width, bits }, parts) {
    for (let run = 0; run < this.of.length; run++) {
      if (!parts.has(this.of[run])) continue;
      const start = this.runs[3 * run] * width;
      bits.fill(1, start + this.runs[3 * run + 1], start + this.runs[3 * run + 2]);
    }
  }
}

function roundHalfEven(value) {
  const whole = Math.floor(value), part = value - whole;
  return part > 0.5 || (part === 0.5 && whole % 2 !== 0) ? whole + 1 : whole;
}
