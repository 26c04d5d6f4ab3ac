import { describe, expect, it } from 'vitest';
import { brightness, functionFor, lutNodes, rangeOf, windowNodes, windowOf } from './voi';

const window = (center: number, width: number, name: 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID') => (value: number) =>
  brightness(windowNodes(rangeOf({ center, width }, name), name), value);

describe('windows', () => {
  it('count as PS3.3 C.11.2.1.2 says', () => {
    const linear = window(40, 400, 'LINEAR');
    for (const value of [-200, -160, -159, 0, 40, 239, 240])
      expect(linear(value)).toBeCloseTo(Math.min(1, Math.max(0, (value - 39.5) / 399 + 0.5)), 9);
    const exact = window(0.1, 0.2, 'LINEAR_EXACT');
    for (const value of [-1, 0, 0.05, 0.2, 1])
      expect(exact(value)).toBeCloseTo(Math.min(1, Math.max(0, (value - 0.1) / 0.2 + 0.5)), 9);
    const sigmoid = window(100, 50, 'SIGMOID');
    for (const value of [-500, 60, 100, 130, 900])
      expect(Math.abs(sigmoid(value) - 1 / (1 + Math.exp((-4 * (value - 100)) / 50)))).toBeLessThan(0.002);
  });

  it('of width 1 are a step between two whole numbers', () => {
    const step = window(100, 1, 'LINEAR');
    expect([step(98), step(99), step(100), step(101)]).toEqual([0, 0, 1, 1]);
  });

  it('come back from their range', () => {
    for (const name of ['LINEAR', 'LINEAR_EXACT', 'SIGMOID'] as const)
      expect(windowOf(rangeOf({ center: 7, width: 20 }, name), name)).toEqual({ center: 7, width: 20 });
  });

  it('that somebody sets keep the function of the header, as the server draws them', () => {
    const own = [{ center: 1, width: 2, name: '', function: 'SIGMOID' }] as const;
    expect(functionFor(400, own, false)).toBe('SIGMOID');
    expect(functionFor(400, [], false)).toBe('LINEAR');
    expect([functionFor(0.5, [], false), functionFor(400, [], true)]).toEqual(['LINEAR_EXACT', 'LINEAR_EXACT']);
  });
});

describe('look-up tables', () => {
  it('hold their ends outside and every entry inside', () => {
    const nodes = lutNodes({ first: -2, bits: 8, entries: Uint16Array.of(255, 0, 51), name: '' });
    expect([-9, -2, -1, 0, 9].map((value) => brightness(nodes, value))).toEqual([1, 1, 0, 0.2, 0.2]);
    expect([-1.4, -0.6, 0.4].map((value) => brightness(nodes, value))).toEqual([0, 0, 0.2]);
  });

  it('of 65536 entries are thinned, their last entry kept', () => {
    const nodes = lutNodes({
      first: 0,
      bits: 16,
      entries: Uint16Array.from({ length: 65536 }, (_, at) => at),
      name: '',
    });
    expect(nodes.length).toBeLessThanOrEqual(4097);
    expect(brightness(nodes, 32768)).toBeCloseTo(32768 / 65535, 6);
    expect(brightness(nodes, 65535)).toBe(1);
  });

  it('of one entry are one brightness everywhere', () => {
    const nodes = lutNodes({ first: 5, bits: 8, entries: Uint16Array.of(51), name: '' });
    expect([0, 5, 9].map((value) => brightness(nodes, value))).toEqual([0.2, 0.2, 0.2]);
  });
});
