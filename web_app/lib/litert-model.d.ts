import type { TapModel } from "./tap-segmenter.js";

/** How the model is run. */
export interface Way {
  accelerator?: "wasm" | "webgpu";
  /** 0: as many as there are cores; one where the page is not cross-origin isolated. */
  threads?: number;
}

/** A file of the interface `points`, opened on LiteRT.js. */
export interface LiteRtTapModel extends TapModel {
  /** What the file says about itself. */
  readonly metadata: Record<string, unknown>;
  /** What the file was trained on; empty: taps alone. */
  readonly gestures: readonly string[];
  /** 2 where taps on the background count, else 1. */
  readonly clickChannels: number;
  run(image: Uint8Array, points: Float32Array, previous?: Uint8Array | null): Promise<Uint8Array>;
  delete(): void;
}

/**
 * Loads LiteRT.js, once in a classic worker.
 * @param folder URL of the files of `@litertjs/core/wasm/`, with a slash at its end
 * @returns what it runs with, to be handed to `openModel`
 */
export function loadRuntime(folder: string, way?: Way):
  Promise<{ accelerator: "wasm" | "webgpu"; threads: number; variant: string }>;

/** Opens a .tflite file's bytes. Raises for files of another interface. */
export function openModel(bytes: Uint8Array, way?: Way): Promise<LiteRtTapModel>;

/** Opens an encoder and its decoder: a photograph is encoded once, every gesture costs the decoder alone. */
export function openSplit(encoder: Uint8Array, decoder: Uint8Array, way?: Way): Promise<LiteRtTapModel>;

/** Whether several threads can be had here. */
export function canThread(): Promise<boolean>;
