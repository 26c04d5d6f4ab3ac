import { describe, expect, it, vi } from 'vitest';
import { readAppearance } from '../appearance';
import type { Frame } from '../manifest';
import { areaText, lengthText, planeNote, type Pixel } from './lengths';

// The catalogue of translations is read from the page.
vi.stubGlobal('document', { getElementById: () => null });

const frame = (appearance: object): Frame => ({ appearance: readAppearance({ appearance }, {}) }) as unknown as Frame;
const region = (bounds: number[], delta: number[], unit: string[]): object => ({ bounds, delta, unit });
const LINE: readonly [Pixel, Pixel] = [
  [10, 20],
  [110, 20],
];

describe('lengths', () => {
  it('say what plane their millimetres are in', () => {
    const spaced = (plane: string): Frame => frame({ spacing: { row: 0.2, column: 0.1, plane } });
    expect(lengthText(spaced('patient'), ...LINE)).toBe('10.0 mm');
    expect(lengthText(spaced('detector'), ...LINE)).toBe('10.0 mm at the detector');
    expect(lengthText(spaced('film'), [0, 0], [0, 100])).toBe('20.0 mm on the film');
    expect(lengthText(spaced('unknown'), ...LINE)).toBe('10.0 mm in an unknown plane');
    expect([planeNote(spaced('patient')), planeNote(spaced('detector'))]).toEqual(['', 'mm at the detector']);
  });

  it('are pixels where nothing says more, whatever their shape', () => {
    expect(lengthText(frame({ aspect: 2 }), [0, 0], [30, 40])).toBe('50.0 px');
  });

  it('have the scale of the ultrasound region they lie in', () => {
    const two = frame({
      regions: [
        region([0, 0, 127, 255], [0.05, 0.05], ['cm', 'cm']),
        region([128, 0, 255, 255], [0.02, 0.02], ['cm', 'cm']),
      ],
    });
    expect(lengthText(two, ...LINE)).toBe('50.0 mm');
    expect(lengthText(two, [130, 5], [230, 5])).toBe('20.0 mm');
    expect(lengthText(two, [100, 5], [200, 5])).toBe('100.0 px');
    expect(lengthText(two, [300, 5], [400, 5])).toBe('100.0 px');
  });

  it('are times and velocities in a spectrum, each with its unit', () => {
    const spectrum = frame({ regions: [region([0, 0, 255, 255], [0.01, 0.5], ['s', 'cm/s'])] });
    expect(lengthText(spectrum, ...LINE)).toBe('1 s, 0 cm/s');
    expect(lengthText(spectrum, [10, 10], [60, 40])).toBe('0.5 s, 15 cm/s');
    expect(areaText(spectrum, LINE, 1)).toBe('');
  });

  it('are pixels where regions with different scales lie over each other, and the common length where they agree', () => {
    const inner = (delta: number): Frame =>
      frame({
        regions: [
          region([0, 0, 255, 255], [0.05, 0.05], ['cm', 'cm']),
          region([90, 0, 255, 255], [delta, delta], ['cm', 'cm']),
        ],
      });
    expect(lengthText(inner(0.02), ...LINE)).toBe('100.0 px');
    expect(lengthText(inner(0.02), [10, 20], [80, 20])).toBe('35.0 mm');
    expect(lengthText(inner(0.05), [100, 20], [200, 20])).toBe('50.0 mm');
  });
});

describe('areas', () => {
  const corners: readonly Pixel[] = [
    [0, 0],
    [20, 0],
    [0, 10],
    [20, 10],
  ];
  it('are square millimetres, square centimetres from 100 on, or square pixels', () => {
    expect(areaText(frame({ spacing: { row: 0.1, column: 0.1, plane: 'patient' } }), corners, 1)).toBe('2.0 mm²');
    expect(areaText(frame({ spacing: { row: 1, column: 1, plane: 'detector' } }), corners, 1)).toBe(
      '2.00 cm² at the detector',
    );
    expect(areaText(frame({}), corners, 1)).toBe('200.0 px²');
  });
});
