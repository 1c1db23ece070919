// Several objects of one photograph in one picture of labels: the JavaScript twin of oace_tf/regions.py.
import { tap } from "./gestures.js";
import { BitMask, tidied } from "./pieces.js";

const STEP = 0.02;  // of the photograph's diagonal, between two taps
const WIDER = 1.02;  // what makes too many taps fewer
const MOST_LABELS = 255;
const BACKGROUND = "background";  // number 0; strokes of that name are on no object

/**
 * What the file is asked of each label but the background: [name, gestures]. Its own strokes are on the object,
 * those of all others on its background. Its own get half of the rows, the others what is left; where that is too
 * few for all, those nearest to its own.
 * @param strokes  label -> strokes, each a list of [x, y] in pixels of the photograph; an object or, where names may
 *   be numbers, whose order an object does not keep, a Map
 * @param most  rows that the file takes
 */
export function tapsByLabel(strokes, width, height, most) {
  const lines = strokes instanceof Map ? [...strokes] : Object.entries(strokes), names = lines.map(([name]) => name).filter((name) => name !== BACKGROUND);
  for (const [name, parts] of lines) {
    if (!parts.length || parts.some((stroke) => !stroke.length)) {
      throw new RangeError(`the label ${name} has no stroke; draw one or leave the label out`);
    }
    if (!parts.flat(2).every(Number.isFinite)) throw new RangeError("a stroke holds a number that is not finite");
  }
  if (!names.length) throw new RangeError("no label beside the background; draw a stroke on an object");
  if (names.length > MOST_LABELS) throw new RangeError(`${names.length} labels; at most ${MOST_LABELS} are taken`);
  return lines.filter(([name]) => name !== BACKGROUND).map(([name, parts]) => {
    const others = lines.filter(([other]) => other !== name).flatMap(([, theirs]) => theirs);
    const own = tapsAlong(parts, width, height, others.length ? Math.floor(most / 2) : most);
    return [name, [...own, ...around(own, others, width, height, most - own.length)].map(([x, y, on]) => tap(x, y, on))];
  });
}

/** Taps [x, y, onObject] along strokes, evenly, both ends included; a short stroke gives its middle. */
function tapsAlong(strokes, width, height, most, onObject = true) {
  if (strokes.length > most) {
    throw new RangeError(`${strokes.length} strokes, and the file has room for ${most} taps; draw fewer`);
  }
  const along = strokes.map(lengths);
  let step = STEP * Math.hypot(width, height), counts;
  while ((counts = along.map((places) => 1 + Math.floor(places.at(-1) / step))).reduce((a, b) => a + b, 0) > most) {
    step *= WIDER;
  }
  return strokes.flatMap((stroke, k) => Array.from({ length: counts[k] }, (_, j) => {
    const length = along[k].at(-1), last = counts[k] - 1;
    const wanted = last ? (j === last ? length : j * (length / last)) : length / 2;
    return [...placeAt(stroke, along[k], wanted), onObject];
  }));
}

/** How far along a stroke each of its points lies. */
function lengths(stroke) {
  const along = [0];
  for (let k = 1; k < stroke.length; k++) {
    along.push(along[k - 1] + Math.hypot(stroke[k][0] - stroke[k - 1][0], stroke[k][1] - stroke[k - 1][1]));
  }
  return along;
}

function placeAt(stroke, along, wanted) {
  const next = along.findIndex((length) => length > wanted);
  if (next < 0) return stroke.at(-1);
  const share = (axis) => (stroke[next][axis] - stroke[next - 1][axis]) / (along[next] - along[next - 1])
    * (wanted - along[next - 1]) + stroke[next - 1][axis];
  return [share(0), share(1)];
}

function around(own, others, width, height, most) {
  if (others.length <= most) return tapsAlong(others, width, height, most, false);
  const distance = ([x, y]) => Math.min(...own.map(([ax, ay]) => (x - ax) ** 2 + (y - ay) ** 2));
  return tapsAlong(others, width, height, others.length, false)
    .map((one) => [distance(one), one]).sort(([a], [b]) => a - b).slice(0, most).map(([, one]) => one);
}

/**
 * The most probable label of each pixel, 1, 2, ... in order, 0 where none is at least one half: bytes, row by row.
 * Each label then loses its pieces without a tap and gains its small holes, where no other label is.
 * @param masks  of each label, all of one size; read row by row
 * @param taps  of each label, rows {x, y, label} in pixels of the masks
 */
export function labelMap(masks, taps) {
  const { width, height } = masks[0], labels = new Uint8Array(width * height);
  const row = new Float32Array(width), best = new Float32Array(width);
  for (let y = 0; y < height; y++) {
    best.fill(0.5);
    masks.forEach((mask, k) => {
      mask.row(y, row);
      for (let x = 0, at = y * width; x < width; x++, at++) {
        if (row[x] > best[x] || (row[x] >= best[x] && !labels[at])) [labels[at], best[x]] = [k + 1, row[x]];
      }
    });
  }
  const whole = labels.slice();
  taps.forEach((own, k) => {
    const number = k + 1, bits = whole.map((label) => Number(label === number));
    const tidy = tidied(new BitMask(width, height, bits), own).bits;
    for (let at = 0; at < tidy.length; at++) {
      if (bits[at] && !tidy[at]) labels[at] = 0;
      else if (tidy[at] && !bits[at] && !labels[at]) labels[at] = number;
    }
  });
  return labels;
}
