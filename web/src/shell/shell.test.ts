import { describe, expect, it } from 'vitest';
import { matches } from './events';
import { batches } from './upload';

function file(name: string, size: number): { name: string; file: File } {
  const made = new File([], name);
  Object.defineProperty(made, 'size', { value: size });
  return { name, file: made };
}

describe('events', () => {
  it('match exactly, by family, or all', () => {
    expect(matches('study.arriving', 'study.arriving')).toBe(true);
    expect(matches('study.*', 'study.settled')).toBe(true);
    expect(matches('study.*', 'studyroom.x')).toBe(false);
    expect(matches('study.*', 'study')).toBe(false);
    expect(matches('*', 'anything')).toBe(true);
  });
});

describe('uploads', () => {
  it('go in batches of at most 40 files and 64 MB, a larger file alone, in order, none lost', () => {
    const items = [...Array(90).keys()].map((n) => file(`f${n}`, 1000));
    items.splice(50, 0, file('big', 900_000_000));
    const made = batches(items);
    expect(made.flat().map((one) => one.name)).toEqual(items.map((one) => one.name));
    expect(Math.max(...made.map((batch) => batch.length))).toBeLessThanOrEqual(40);
    const alone = made.find((batch) => batch.some((one) => one.name === 'big'));
    expect(alone).toHaveLength(1);
  });
  it('of nothing are none', () => expect(batches([])).toEqual([]));
});
