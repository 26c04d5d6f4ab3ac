/** Stored pixels to what the viewport shows: masks, sign, modality rescale, colour models. Arrays in, arrays out. */

import type { Lut } from '../appearance';

export interface PixelSpec {
  readonly rows: number;
  readonly columns: number;
  readonly samples: number;
  readonly photometric: string;
  readonly planar: 0 | 1;
  readonly bitsAllocated: number;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
  readonly slope: number;
  readonly intercept: number;
}

export type ModalityArray =
  | Uint8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>;

export interface GreyPixels {
  readonly values: ModalityArray;
  readonly min: number;
  readonly max: number;
}

/** The layout of values that the server has decoded: cut to Bits Stored already, in the width of their number. */
export function integerSpec(spec: PixelSpec, bytes: Uint8Array<ArrayBuffer>): PixelSpec {
  const bitsAllocated = (bytes.byteLength / (spec.rows * spec.columns)) * 8;
  if (bitsAllocated !== 8 && bitsAllocated !== 16 && bitsAllocated !== 32)
    throw new RangeError(`frame holds ${bytes.byteLength} bytes`);
  const bitsStored = Math.min(spec.bitsStored, bitsAllocated);
  return { ...spec, bitsAllocated, bitsStored, highBit: bitsStored - 1 };
}

/** The bytes of one 8-bit RGB frame by pixel. */
export function whole(bytes: Uint8Array<ArrayBuffer>, spec: PixelSpec): Uint8Array<ArrayBuffer> {
  const need = spec.rows * spec.columns * 3;
  if (bytes.byteLength < need) throw new RangeError(`frame holds ${bytes.byteLength} bytes, needs ${need}`);
  return bytes.subarray(0, need);
}

/**
 * Modality values (PS3.3 C.7.6.3.1, C.11.1) of one native little endian frame.
 * Works in place where the result has the width of the stored values: a series of 2 GB must not need 4.
 */
export function modalityPixels(bytes: Uint8Array<ArrayBuffer>, spec: PixelSpec): GreyPixels {
  const count = spec.rows * spec.columns;
  const stored = storedValues(bytes, spec, count);
  return rescale(stored, spec);
}

/** Modality values of one frame of floats (Float and Double Float Pixel Data, PS3.3 C.7.6.24). */
export function floatPixels(bytes: Uint8Array<ArrayBuffer>, spec: PixelSpec): GreyPixels {
  const count = spec.rows * spec.columns;
  if (bytes.byteLength < count * 4) throw new RangeError(`frame holds ${bytes.byteLength} bytes, needs ${count * 4}`);
  return rescale(new Float32Array(bytes.buffer, bytes.byteOffset, count), spec);
}

type StoredArray =
  | Float32Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>;

function storedValues(bytes: Uint8Array<ArrayBuffer>, spec: PixelSpec, count: number): StoredArray {
  const width = spec.bitsAllocated / 8;
  if (bytes.byteLength < count * width)
    throw new RangeError(`frame holds ${bytes.byteLength} bytes, needs ${count * width}`);
  // A typed array must start at a multiple of its element size; frames of the stream do, others are copied.
  const whole = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset } = whole;
  const { signed } = spec;
  const values: StoredArray =
    width === 1
      ? signed
        ? new Int8Array(buffer, byteOffset, count)
        : new Uint8Array(buffer, byteOffset, count)
      : width === 2
        ? signed
          ? new Int16Array(buffer, byteOffset, count)
          : new Uint16Array(buffer, byteOffset, count)
        : signed
          ? new Int32Array(buffer, byteOffset, count)
          : new Uint32Array(buffer, byteOffset, count);
  cutToStoredBits(values, spec);
  return values;
}

/** Bits beside the stored ones may hold an old-style overlay or rubbish (PS3.5 8.1.1): shift them out, keep the sign. */
function cutToStoredBits(values: StoredArray, spec: PixelSpec): void {
  const { bitsAllocated, bitsStored, highBit, signed } = spec;
  if (bitsStored >= bitsAllocated || bitsStored < 1) return;
  const left = 32 - 1 - highBit;
  const right = 32 - bitsStored;
  if (signed) for (let i = 0; i < values.length; i++) values[i] = ((values[i] as number) << left) >> right;
  else for (let i = 0; i < values.length; i++) values[i] = ((values[i] as number) << left) >>> right;
}

function rescale(stored: StoredArray, spec: PixelSpec): GreyPixels {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < stored.length; i++) {
    const value = stored[i] as number;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const { slope, intercept } = spec;
  const ends = [low * slope + intercept, high * slope + intercept] as const;
  const min = Math.min(...ends);
  const max = Math.max(...ends);
  const identity = slope === 1 && intercept === 0;
  if (identity && !(stored instanceof Int8Array || stored instanceof Uint32Array || stored instanceof Int32Array)) {
    return { values: stored, min, max };
  }
  const values = room(stored, min, max, Number.isInteger(slope) && Number.isInteger(intercept));
  if (identity) for (let i = 0; i < stored.length; i++) values[i] = stored[i] as number;
  else for (let i = 0; i < stored.length; i++) values[i] = (stored[i] as number) * slope + intercept;
  return { values, min, max };
}

/** Values through a Modality LUT (PS3.3 C.11.1): those outside take its first or last entry. */
export function lookedUp({ values }: GreyPixels, { first, entries }: Lut): GreyPixels {
  const out = new Uint16Array(values.length);
  const last = entries.length - 1;
  let [min, max] = [Infinity, -Infinity];
  for (let at = 0; at < out.length; at++) {
    const found = entries[Math.min(Math.max(Math.round(values[at] as number) - first, 0), last)] as number;
    out[at] = found;
    if (found < min) min = found;
    if (found > max) max = found;
  }
  return { values: out, min, max };
}

/** Where the rescaled values go: over the stored ones when both take two bytes, else into a new array. */
function room(stored: StoredArray, min: number, max: number, integers: boolean): ModalityArray {
  const fits16 = integers && !(stored instanceof Float32Array) && min >= -32768 && max <= 32767;
  if (!fits16) return new Float32Array(stored.length);
  return stored.BYTES_PER_ELEMENT === 2
    ? new Int16Array(stored.buffer, stored.byteOffset, stored.length)
    : new Int16Array(stored.length);
}

/** Interleaved 8-bit RGB of one native colour frame (PS3.3 C.7.6.3.1.2). */
export function rgbPixels(bytes: Uint8Array<ArrayBuffer>, spec: PixelSpec): Uint8Array<ArrayBuffer> {
  const count = spec.rows * spec.columns;
  const samples = whole(bytes, spec);
  const pixels = spec.planar === 1 ? interleave(samples, count) : samples;
  return spec.photometric === 'YBR_FULL' ? fromYbr(pixels, count) : pixels;
}

function interleave(planes: Uint8Array<ArrayBuffer>, count: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(count * 3);
  for (let i = 0; i < count; i++) {
    out[i * 3] = planes[i] as number;
    out[i * 3 + 1] = planes[i + count] as number;
    out[i * 3 + 2] = planes[i + 2 * count] as number;
  }
  return out;
}

function fromYbr(ybr: Uint8Array<ArrayBuffer>, count: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8ClampedArray(count * 3);
  for (let i = 0; i < count * 3; i += 3) toRgb(out, i, ybr[i] as number, ybr[i + 1] as number, ybr[i + 2] as number);
  return new Uint8Array(out.buffer);
}

function toRgb(out: Uint8ClampedArray, at: number, y: number, cb: number, cr: number): void {
  out[at] = y + 1.402 * (cr - 128);
  out[at + 1] = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128);
  out[at + 2] = y + 1.772 * (cb - 128);
}
