import { describe, expect, it } from 'vitest';
import { floatPixels, integerSpec, modalityPixels, rgbPixels, whole, type PixelSpec } from './pixels';

const SPEC: PixelSpec = {
  rows: 1,
  columns: 4,
  samples: 1,
  photometric: 'MONOCHROME2',
  planar: 0,
  bitsAllocated: 16,
  bitsStored: 16,
  highBit: 15,
  signed: false,
  slope: 1,
  intercept: 0,
};

function words(...values: number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Uint16Array.from(values).buffer);
}

describe('modality values', () => {
  it('leaves unsigned 16 bits as they are, in the same memory', () => {
    const bytes = words(0, 1, 40000, 65535);
    const { values, min, max } = modalityPixels(bytes, SPEC);
    expect([...values]).toEqual([0, 1, 40000, 65535]);
    expect(values.buffer).toBe(bytes.buffer);
    expect([min, max]).toEqual([0, 65535]);
  });

  it('makes Hounsfield units of unsigned CT in place', () => {
    const bytes = words(0, 1024, 2048, 4095);
    const { values, min, max } = modalityPixels(bytes, {
      ...SPEC,
      bitsStored: 12,
      highBit: 11,
      slope: 1,
      intercept: -1024,
    });
    expect(values).toBeInstanceOf(Int16Array);
    expect([...values]).toEqual([-1024, 0, 1024, 3071]);
    expect([min, max]).toEqual([-1024, 3071]);
    expect(values.buffer).toBe(bytes.buffer);
  });

  it('extends the sign of 12 stored bits and drops an overlay in the bits above', () => {
    const spec = { ...SPEC, bitsStored: 12, highBit: 11, signed: true };
    expect([...modalityPixels(words(0x0fff, 0x0800, 0xf7ff, 0x8001), spec).values]).toEqual([-1, -2048, 2047, 1]);
  });

  it('takes unsigned stored bits out of the middle of the word', () => {
    const spec = { ...SPEC, bitsStored: 8, highBit: 11 };
    expect([...modalityPixels(words(0xf12f, 0x0ff0, 0x0010, 0xf00f), spec).values]).toEqual([0x12, 0xff, 0x01, 0x00]);
  });

  it('keeps fractions as floats', () => {
    const { values } = modalityPixels(words(0, 1, 2, 3), { ...SPEC, slope: 0.5, intercept: -1 });
    expect(values).toBeInstanceOf(Float32Array);
    expect([...values]).toEqual([-1, -0.5, 0, 0.5]);
  });

  it('keeps what does not fit 16 bits as floats', () => {
    const { values, max } = modalityPixels(words(0, 1, 2, 65535), { ...SPEC, slope: 2 });
    expect([...values]).toEqual([0, 2, 4, 131070]);
    expect(max).toBe(131070);
  });

  it('tells the true extremes for a falling slope', () => {
    const { min, max } = modalityPixels(words(0, 10, 20, 100), { ...SPEC, slope: -1, intercept: 0 });
    expect([min, max]).toEqual([-100, 0]);
  });

  it('reads 8 and 32 bits', () => {
    expect([
      ...modalityPixels(Uint8Array.of(0, 127, 128, 255), { ...SPEC, bitsAllocated: 8, bitsStored: 8, highBit: 7 })
        .values,
    ]).toEqual([0, 127, 128, 255]);
    const dose = new Uint8Array(Uint32Array.of(0, 1, 1000, 100000).buffer);
    expect([
      ...modalityPixels(dose, { ...SPEC, bitsAllocated: 32, bitsStored: 32, highBit: 31, slope: 0.25 }).values,
    ]).toEqual([0, 0.25, 250, 25000]);
  });

  it('copies bytes that do not begin at an element', () => {
    const odd = new Uint8Array(9);
    odd.set(words(5, 6, 7, 8), 1);
    expect([...modalityPixels(odd.subarray(1), SPEC).values]).toEqual([5, 6, 7, 8]);
  });

  it('refuses a frame that is too short instead of showing rubbish', () => {
    expect(() => modalityPixels(words(1, 2, 3), SPEC)).toThrow(RangeError);
  });
});

describe('colour', () => {
  const spec: PixelSpec = {
    ...SPEC,
    rows: 1,
    columns: 2,
    samples: 3,
    photometric: 'RGB',
    bitsAllocated: 8,
    bitsStored: 8,
    highBit: 7,
  };

  it('weaves planes together', () => {
    expect([...rgbPixels(Uint8Array.of(1, 2, 3, 4, 5, 6), { ...spec, planar: 1 })]).toEqual([1, 3, 5, 2, 4, 6]);
  });

  it('drops the padding of an odd frame', () => {
    expect([...rgbPixels(Uint8Array.of(1, 2, 3, 4, 5, 6, 0), spec)]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('turns YBR_FULL into RGB: grey stays grey, full red is red', () => {
    const rgb = rgbPixels(Uint8Array.of(128, 128, 128, 76, 85, 255), { ...spec, photometric: 'YBR_FULL' });
    expect([...rgb.subarray(0, 3)]).toEqual([128, 128, 128]);
    expect(rgb[3]).toBeGreaterThan(250);
    expect(rgb[4]).toBeLessThan(4);
    expect(rgb[5]).toBeLessThan(4);
  });

  it('takes RGB of the server as it comes and refuses too little', () => {
    expect([...whole(Uint8Array.of(1, 2, 3, 4, 5, 6, 0), spec)]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(() => whole(Uint8Array.of(1, 2, 3), spec)).toThrow(RangeError);
  });
});

describe('frames decoded by the server', () => {
  it('have the width their length says: one byte for single bits, two for words', () => {
    const bit = { ...SPEC, bitsAllocated: 1, bitsStored: 1, highBit: 0 };
    expect(integerSpec(bit, new Uint8Array(4))).toMatchObject({ bitsAllocated: 8, bitsStored: 1, highBit: 0 });
    expect(integerSpec({ ...SPEC, bitsStored: 12, highBit: 15 }, words(1, 2, 3, 4))).toMatchObject({
      bitsAllocated: 16,
      bitsStored: 12,
      highBit: 11,
    });
    expect(() => integerSpec(SPEC, new Uint8Array(5))).toThrow(RangeError);
  });

  it('are floats where the pixels are, rescaled and never cut to integers', () => {
    const bytes = new Uint8Array(Float32Array.of(-0.5, 0, 0.25, 3).buffer);
    expect([...floatPixels(bytes, SPEC).values]).toEqual([-0.5, 0, 0.25, 3]);
    const { values, min, max } = floatPixels(bytes, { ...SPEC, slope: 2, intercept: 1 });
    expect([...values]).toEqual([0, 1, 1.5, 7]);
    expect([min, max]).toEqual([0, 7]);
    expect(() => floatPixels(words(1, 2), SPEC)).toThrow(RangeError);
  });
});
