// The outline of a mask: rings along the pixels' edges, simplified; as a path to draw, as SVG, as COCO.
// Coordinates are those of the picture's edges: the upper left pixel lies between 0 and 1.

const CRUMB = 0.0005;  // of the picture: rings around less are not drawn
const ROUND = 6;  // px: how far from a corner it begins to turn
const TOLERANCE = 0.8;  // px: more than the steps of pixels along a slope

/**
 * The rings of a mask: [x, y, x, y, ...] each, around pieces clockwise, around holes the other way.
 * Pieces hold together at corners.
 * @param alpha  bytes RGBA; a pixel belongs to the mask where its alpha is at least 128
 */
export function trace(alpha, width, height) {
  const across = width + 1, edges = new Uint8Array(across * (height + 1));  // bits: right, down, left, up
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && alpha[4 * (y * width + x) + 3] >= 128;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (alpha[4 * (y * width + x) + 3] < 128) continue;
      const at = y * across + x;
      if (!inside(x, y - 1)) edges[at] |= 1;
      if (!inside(x + 1, y)) edges[at + 1] |= 2;
      if (!inside(x, y + 1)) edges[at + across + 1] |= 4;
      if (!inside(x - 1, y)) edges[at + across] |= 8;
    }
  }
  const left = edges.slice(), rings = [], step = [1, across, -1, -across];
  for (let start = 0; start < edges.length; start++) {
    if (!(left[start] & 1)) continue;
    const ring = [];
    let at = start, turned = true, direction = 0;
    do {
      if (turned) ring.push(at % across, Math.floor(at / across));
      left[at] &= ~(1 << direction);
      at += step[direction];
      const before = direction;
      direction = [before + 3, before, before + 1].map((one) => one % 4)  // left first: corners hold
        .find((one) => edges[at] & 1 << one);
      turned = direction !== before;
    } while (left[at] & 1 << direction);
    rings.push(ring);
  }
  return rings;
}

/** The area of a ring, pixels; negative around a hole. */
export function area(ring) {
  let twice = 0;
  for (let k = 0, last = ring.length - 2; k < ring.length; last = k, k += 2) {
    twice += ring[last] * ring[k + 1] - ring[k] * ring[last + 1];
  }
  return twice / 2;
}

/** Rings with fewer corners, by Douglas and Peucker; those around crumbs are left out. */
export function simplified(rings, width, height, tolerance = TOLERANCE) {
  return rings.filter((ring) => Math.abs(area(ring)) >= CRUMB * width * height)
    .map((ring) => thinned(ring, tolerance)).filter((ring) => ring.length >= 6);
}

function thinned(ring, tolerance) {
  const count = ring.length / 2, keep = new Uint8Array(count + 1);
  const x = (k) => ring[2 * (k % count)], y = (k) => ring[2 * (k % count) + 1];
  let far = 0, most = -1;
  for (let k = 1; k < count; k++) {
    const distance = Math.hypot(x(k) - x(0), y(k) - y(0));
    if (distance > most) [far, most] = [k, distance];
  }
  keep[0] = keep[far] = keep[count] = 1;
  const parts = [[0, far], [far, count]];
  while (parts.length) {
    const [from, to] = parts.pop(), dx = x(to) - x(from), dy = y(to) - y(from), length = Math.hypot(dx, dy);
    let place = -1, worst = tolerance;
    for (let k = from + 1; k < to; k++) {
      const gap = length ? Math.abs(dx * (y(k) - y(from)) - dy * (x(k) - x(from))) / length
        : Math.hypot(x(k) - x(from), y(k) - y(from));
      if (gap > worst) [place, worst] = [k, gap];
    }
    if (place < 0) continue;
    keep[place] = 1;
    parts.push([from, place], [place, to]);
  }
  return ring.filter((_, k) => keep[k >> 1]);
}

/** Rings as a path for a canvas, with corners rounded over a few pixels. */
export function softPath(rings) {
  const path = new Path2D();
  for (const ring of rings) {
    const count = ring.length, towards = (from, to) => {  // a little way from a corner to its neighbour
      const [dx, dy] = [ring[to] - ring[from], ring[to + 1] - ring[from + 1]];
      const share = Math.min(0.5, ROUND / Math.hypot(dx, dy));
      return [ring[from] + share * dx, ring[from + 1] + share * dy];
    };
    for (let k = 0; k < count; k += 2) {
      path[k ? "lineTo" : "moveTo"](...towards(k, (k + count - 2) % count));
      path.quadraticCurveTo(ring[k], ring[k + 1], ...towards(k, (k + 2) % count));
    }
    path.closePath();
  }
  return path;
}

const rounded = (value) => Math.round(100 * value) / 100;

/** Rings in pixels of the photograph, from those of its preview. */
export function enlarged(rings, across, down) {
  return rings.map((ring) => ring.map((value, k) => rounded(value * (k % 2 ? down : across))));
}

/** The outline as an SVG file's text, as large as the photograph. */
export function svgText(rings, width, height) {
  const path = rings.map((ring) => `M${ring.map((value, k) => (k % 2 ? `${value}` : `${k ? "L" : ""}${value} `)).join("")}Z`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`
    + `<path fill="#000" fill-rule="evenodd" d="${path.join("")}"/></svg>\n`;
}

/** The outline as a COCO file's value: one photograph, one object. Holes are cut out by a seam. */
export function cocoValue(rings, { name, width, height }) {
  const polygons = seamed(rings), xs = polygons.flatMap((ring) => ring.filter((_, k) => k % 2 === 0));
  const ys = polygons.flatMap((ring) => ring.filter((_, k) => k % 2));
  const least = (values) => values.reduce((one, other) => Math.min(one, other));
  const most = (values) => values.reduce((one, other) => Math.max(one, other));
  const [left, top] = [least(xs), least(ys)];
  return {
    images: [{ id: 1, file_name: name, width, height }],
    categories: [{ id: 1, name: "object" }],
    annotations: [{ id: 1, image_id: 1, category_id: 1, iscrowd: 0, segmentation: polygons,
                    area: rounded(rings.reduce((sum, ring) => sum + area(ring), 0)),
                    bbox: [left, top, rounded(most(xs) - left), rounded(most(ys) - top)] }],
  };
}

function seamed(rings) {  // COCO's polygons know no holes: each is reached by a seam of no width
  const outer = rings.filter((ring) => area(ring) > 0).map((ring) => [...ring]);
  for (const hole of rings.filter((ring) => area(ring) < 0)) {
    const around = outer.findIndex((ring) => holds(ring, hole[0], hole[1]));
    if (around >= 0) outer[around] = joined(outer[around], hole);
  }
  return outer;
}

function holds(ring, x, y) {
  let odd = false;
  for (let k = 0, last = ring.length - 2; k < ring.length; last = k, k += 2) {
    const [ax, ay, bx, by] = [ring[k], ring[k + 1], ring[last], ring[last + 1]];
    if ((ay > y) !== (by > y) && x < ax + (y - ay) / (by - ay) * (bx - ax)) odd = !odd;
  }
  return odd;
}

function joined(ring, hole) {
  let [from, to, least] = [0, 0, Infinity];
  for (let k = 0; k < ring.length; k += 2) {
    for (let j = 0; j < hole.length; j += 2) {
      const gap = Math.hypot(ring[k] - hole[j], ring[k + 1] - hole[j + 1]);
      if (gap < least) [from, to, least] = [k, j, gap];
    }
  }
  return [...ring.slice(0, from + 2), ...hole.slice(to), ...hole.slice(0, to + 2), ...ring.slice(from)];
}
