// How far two masks are from each other.

/** Bytes that differ, the largest difference, and pixels on the other side of one half. */
export function difference(mask, golden) {
  let differing_bytes = 0, largest = 0, pixels = 0;
  for (let k = 0; k < golden.length; k++) {
    const gap = Math.abs(mask[k] - golden[k]);
    if (gap) differing_bytes++;
    if (gap > largest) largest = gap;
    if (mask[k] >= 128 !== golden[k] >= 128) pixels++;
  }
  return { bytes: golden.length, differing_bytes, largest, pixels };
}
