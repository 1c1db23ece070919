// The example of README.md, which library.test.js compares; compiled, so that the types hold.
import { loadRuntime, openModel } from "oace-tap-segmenter/litert-model";
import { TapSegmenter, box, cutoutPixels, tap } from "oace-tap-segmenter";

export async function cutout(photograph: ImageData, x: number, y: number): Promise<ImageData> {
  const runs = await loadRuntime(new URL("litert/", self.location.href).href, { threads: 2 });
  const file = await fetch("oace_int8.tflite");
  const segmenter = new TapSegmenter(await openModel(new Uint8Array(await file.arrayBuffer()), runs));

  const { width, height, data: rgba } = photograph;
  segmenter.setPhotograph({ width, height, rgba });
  const mask = await segmenter.segment([tap(x, y), tap(0, 0, false)]);
  return new ImageData(cutoutPixels({ width, height, rgba }, mask), width, height);
}

export const rows: number = box(1, 2, 3, 4).length;
