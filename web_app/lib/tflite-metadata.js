// What a .tflite file of this toolkit says about itself: the JSON under OACE_METADATA.
// Slot numbers are those of TensorFlow's schema.fbs, version 3; see oace_tf/runtime/tflite_reader.py.

const NAME = "OACE_METADATA", BUFFERS = 4, METADATA = 6;

/** The metadata of a file's bytes; {} where it has none. Raises for what is no .tflite file. */
export function readMetadata(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (start, count) => new TextDecoder().decode(bytes.subarray(start, start + count));
  if (bytes.length < 8 || text(4, 4) !== "TFL3") throw new Error("this is not a .tflite file");
  const u32 = (place) => view.getUint32(place, true);
  const field = (table, slot) => {
    const vtable = table - view.getInt32(table, true), place = 4 + 2 * slot;
    const offset = place < view.getUint16(vtable, true) ? view.getUint16(vtable + place, true) : 0;
    return offset && table + offset;
  };
  const target = (table, slot) => {
    const place = field(table, slot);
    return place && place + u32(place);
  };
  const tables = (vector) => (vector ? Array.from({ length: u32(vector) }, (_, k) => {
    const entry = vector + 4 + 4 * k;
    return entry + u32(entry);
  }) : []);
  try {
    const root = u32(0);
    for (const entry of tables(target(root, METADATA))) {
      const name = target(entry, 0), index = field(entry, 1);
      if (text(name + 4, u32(name)) !== NAME) continue;
      const buffer = tables(target(root, BUFFERS))[index ? u32(index) : 0];
      const [offset, size] = [field(buffer, 1), field(buffer, 2)].map(
        (place) => (place ? Number(view.getBigUint64(place, true)) : 0));
      const inside = target(buffer, 0);
      return JSON.parse(offset > 1 ? text(offset, size) : text(inside + 4, u32(inside)));
    }
  } catch (error) {
    throw new Error(`this .tflite file is truncated or damaged: ${error.message}`);
  }
  return {};
}
