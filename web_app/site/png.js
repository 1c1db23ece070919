// A picture of numbers as a PNG file: a byte a pixel, as Python writes label images. A canvas would write four.

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ n >>> 1 : n >>> 1;
  return n;
});

/** @param values  width * height bytes, row by row */
export async function greyPng(values, width, height) {
  const rows = new Uint8Array((width + 1) * height);  // each begins with its filter: 0, none
  for (let y = 0; y < height; y++) rows.set(values.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8);  // bits; the zeros that follow: grey, and the only ways to pack and filter
  return new Blob([Uint8Array.from(SIGNATURE), chunk("IHDR", new Uint8Array(header.buffer)),
                   chunk("IDAT", new Uint8Array(await new Response(packed).arrayBuffer())), chunk("IEND", new Uint8Array())],
                  { type: "image/png" });
}

function chunk(name, data) {
  const bytes = new Uint8Array(data.length + 12), view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(data, 8);
  let crc = 0xffffffff;
  for (let k = 4; k < data.length + 8; k++) crc = CRC[(crc ^ bytes[k]) & 255] ^ crc >>> 8;
  view.setUint32(data.length + 8, ~crc >>> 0);
  return bytes;
}
