/** An upright photograph: `rgba` has width * height * 4 bytes, row by row, as ImageData has them. */
export interface Photograph {
  width: number;
  height: number;
  rgba: Uint8Array | Uint8ClampedArray;
}

/** A row of the file's `points`: pixels of the photograph (centres are whole numbers), and a label. */
export interface Row {
  x: number;
  y: number;
  label: -1 | 0 | 1 | 2 | 3 | 4 | 5;
}

/** What one movement of the finger draws. */
export type Gesture = Row[];

/** What a file can be trained on. */
export type Kind = "tap" | "background" | "box" | "extreme" | "drag";

/** A file of the interface `points`; `openModel` of `oace-tap-segmenter/litert-model` opens one. */
export interface TapModel {
  /** Side of the network's square frame, pixels. */
  readonly size: number;
  /** Rows of `points`. */
  readonly maxPoints: number;
  /** Whether the file takes its mask of the gestures before. */
  readonly takesPrevious: boolean;
  /** What the file was trained on; none, or nothing said: taps alone. */
  readonly gestures?: readonly string[];
  /** 1: taps on the background are refused. */
  readonly clickChannels?: number;
  /** Whether `runAll` gives several answers. */
  readonly hasAlternatives?: boolean;
  /** size * size * 3 bytes RGB, maxPoints * 3 numbers, the mask before or null -> size * size bytes. */
  run(image: Uint8Array, points: Float32Array, previous?: Uint8Array | null):
    Promise<Uint8Array> | Uint8Array;
  runAll?(image: Uint8Array, points: Float32Array, previous?: Uint8Array | null):
    Promise<{ mask: Uint8Array; masks: Uint8Array[]; scores: number[] }>;
}

/** Photograph + gestures -> mask; see README.md. */
export class TapSegmenter {
  constructor(model: TapModel);
  /** Scales the photograph once, for all answers about it. */
  setPhotograph(photograph: Photograph): void;
  /** The mask at the photograph's size, in one piece and without small holes; a small object gets a second look. */
  segment(gestures: Gesture[]): Promise<BitMask>;
  /**
   * What the file says. Raises where nothing marks the object, and for gestures that the file does not know.
   * `previous`: the answer to the gestures before, for a file that takes it.
   */
  answer(gestures: Gesture[], previous?: Answer | null): Promise<Answer>;
  /** An answer of taps alone, or its mean with a second one about the part around a small object. */
  lookTwice(gestures: Gesture[], answer: Answer): Promise<Answer>;
  /**
   * Several objects of the photograph, at its own size or another one. Strokes by label, each a list of [x, y] in
   * pixels of the photograph; those of the label `background` are on no object. A Map keeps the order of any names.
   */
  regions(strokes: Record<string, Stroke[]> | Map<string, Stroke[]>, width?: number, height?: number): Promise<Regions>;
  /** Forgets the photograph. */
  delete(): void;
}

/** A stroke of a brush: [x, y] several times; a single one is a tap. */
export type Stroke = Array<[number, number]>;

/** A picture of labels: `labels` holds a byte a pixel, `legend` what each number means, the background first. */
export interface Regions {
  width: number;
  height: number;
  labels: Uint8Array;
  legend: string[];
}

/** Of the photograph: a smaller object gets a second look. */
export const SMALL_SHARE: number;

/** What a file said of gestures. */
export class Answer {
  /** The mask as the file gives it: size * size bytes, 256 times the probability, at most 255. */
  readonly bytes: Uint8Array;
  /** The part of the photograph that the file saw; ends excluded. */
  readonly window: { left: number; top: number; right: number; bottom: number };
  /** Several answers, where the file gives them: a part, the object, a larger whole. */
  readonly alternatives: Array<{ answer: Answer; score: number }>;
  /** The probability of every pixel, at the photograph's size or another one. */
  mask(width?: number, height?: number): ObjectMask;
  /** The mask in one piece and without small holes. */
  tidied(width?: number, height?: number): BitMask;
}

/** A mask that is read row by row. */
export interface ObjectMask {
  readonly width: number;
  readonly height: number;
  /** Writes row `y` to the first `width` places of `into`: 0 to 1, object from 0.5 on. */
  row(y: number, into: Float32Array): void;
}

/** The network's mask, read at another size. */
export class FrameMask implements ObjectMask {
  constructor(bytes: Uint8Array, size: number, width: number, height: number);
  readonly width: number;
  readonly height: number;
  row(y: number, into: Float32Array): void;
  /** The probability of every pixel, row by row. */
  probability(): Float32Array;
}

/** A mask of zeros and ones. */
export class BitMask implements ObjectMask {
  constructor(width: number, height: number, bits?: Uint8Array);
  /** Where a mask is at least one half. */
  static of(mask: ObjectMask): BitMask;
  readonly width: number;
  readonly height: number;
  readonly bits: Uint8Array;
  /** How much of the photograph the mask covers, 0 to 1. */
  readonly share: number;
  row(y: number, into: Float32Array): void;
}

/** The mask in one piece under its taps (rows in its own pixels), without small holes. */
export function tidied(mask: BitMask, taps: Row[]): BitMask;

export const LABEL: Readonly<{
  UNUSED: -1; BACKGROUND: 0; OBJECT: 1; CORNER: 2; OPPOSITE_CORNER: 3; EXTREME: 4; RELEASE: 5;
}>;

/** A tap on the object (the default), or on what does not belong to it. */
export function tap(x: number, y: number, onObject?: boolean): Gesture;
/** A box around the object: two opposite corners, in any order. */
export function box(x0: number, y0: number, x1: number, y1: number): Gesture;
/** Four points [x, y] on the object's outline: leftmost, rightmost, top, bottom, in any order. */
export function extremes(points: Array<[number, number]>): Gesture;
/** Pressed at the middle of the object, released at its nearest edge. */
export function drag(x: number, y: number, toX: number, toY: number): Gesture;
/** A stroke as taps along it, every 2 % of the diagonal, `most` at most. */
export function scribble(points: Array<[number, number]>, width: number, height: number,
                         onObject?: boolean, most?: number): Gesture;

/** The photograph as the tensor `image`, bytes RGB: bit for bit what oace_tf makes of it. */
export function imageTensor(photograph: Photograph, size: number): Uint8Array;
/** Rows as the tensor `points`. */
export function pointsTensor(rows: Row[], width: number, height: number, size: number,
                             maxPoints: number): Float32Array;
/** The photograph's colours where the mask is, transparent elsewhere: pixels for ImageData. */
export function cutoutPixels(photograph: Photograph, mask: ObjectMask): Uint8ClampedArray<ArrayBuffer>;
