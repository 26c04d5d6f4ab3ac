import { describe, expect, test } from 'vitest';
import {
  base,
  cropOf,
  flipped,
  held,
  lies,
  lookOf,
  seen,
  turned,
  windowed,
  zoomed,
  type Crop,
  type Facts,
} from './view';

const facts: Facts = { rows: 512, columns: 256, pixel: [1, 1], measured: true, window: [40, 400] };
const item = { sop_instance_uid: '1.2', frame: 1 };
const cell = { width: 300, height: 300 };

describe('an image in its cell', () => {
  const image = seen(facts, item);
  const scale = base(image, cell, 'fit', 4);

  test('fits as on paper: the longer side decides', () => {
    expect(scale).toBeCloseTo(300 / 512);
    expect(base(image, cell, 'fill', 4)).toBeCloseTo(300 / 256);
    expect(base(image, cell, 'actual', 4)).toBe(4);
    expect(lies({ zoom: 1, x: 0.5, y: 0.5 }, image, cell, scale)).toEqual({
      left: 75,
      top: 0,
      width: 150,
      height: 300,
    });
  });

  test('turned by a quarter it lies on its side', () => {
    expect(seen(facts, { ...item, rotation: 90 })).toEqual({ width: 512, height: 256 });
  });

  test('zoomed the crop is what the cell shows, and shows it again when opened', () => {
    const look = zoomed({ zoom: 1, x: 0.5, y: 0.5 }, 4, 150, 150, image, cell, scale);
    const crop = cropOf(look, image, cell, scale);
    expect(crop).toEqual([0.25, 0.375, 0.5, 0.25]);
    const again = lookOf(crop, image, cell, scale, 'fit');
    expect(again.zoom).toBeCloseTo(4);
    expect(again.x).toBeCloseTo(0.5);
  });

  test('the point under the pointer stays while zooming', () => {
    const before = { zoom: 2, x: 0.5, y: 0.4 };
    const at = (look: typeof before, py: number): number => look.y + (py - 150) / (512 * scale * look.zoom);
    const after = zoomed(before, 1.5, 150, 200, image, cell, scale);
    expect(at(after, 200)).toBeCloseTo(at(before, 200));
  });

  test('it is not moved past its edges, and never smaller than it fits', () => {
    expect(held({ zoom: 2, x: 3, y: -1 }, image, cell, scale)).toEqual({ zoom: 2, x: 0.5, y: 0.25 });
    expect(held({ zoom: 0.1, x: 0.5, y: 0.5 }, image, cell, scale).zoom).toBe(1);
  });

  test('a crop turns and flips with the image', () => {
    const crop: Crop = [0.1, 0.2, 0.3, 0.4];
    expect(turned(crop)).toEqual([0.4, 0.1, 0.4, 0.3]);
    expect(turned(turned(turned(turned(crop))))).toEqual(crop);
    expect(flipped(flipped(crop))).toEqual(crop);
  });

  test('a drag to the right widens the window, down raises its centre', () => {
    expect(windowed([40, 400], [40, 400], 100, 50)).toEqual([140, 600]);
    expect(windowed([40, 400], [40, 400], -1000, 0)[1]).toBe(1);
    expect(windowed([0.5, 1], [0.5, 1], -1000, 0)[1]).toBe(0.001);
  });
});
