import { describe, expect, it } from 'vitest';
import { Arrangement, key, type Item } from './state';

const item = (n: number): Item => ({ sop_instance_uid: `1.${n}`, frame: 1 });
const names = (a: Arrangement): string => a.cells.map((cell) => (cell ? cell.sop_instance_uid.slice(2) : '-')).join('');

describe('arrangement', () => {
  it('fills whole pages', () => {
    const a = new Arrangement([1, 2, 3, 4, 5].map(item), 4);
    expect(names(a)).toBe('12345---');
    expect([a.pages, a.images]).toEqual([2, 5]);
  });
  it('puts images where they are dropped and adds pages', () => {
    const a = new Arrangement([item(1)], 2);
    a.place([item(7), item(8), item(9)], 1);
    expect(names(a)).toBe('1789');
  });
  it('swaps, empties and takes it back', () => {
    const a = new Arrangement([1, 2, 3].map(item), 4);
    a.swap(0, 3);
    expect(names(a)).toBe('-231');
    a.empty(1);
    expect(names(a)).toBe('--31');
    a.undo();
    a.undo();
    expect(names(a)).toBe('123-');
    expect(a.canUndo).toBe(false);
  });
  it('adds to empty cells only', () => {
    const a = new Arrangement([item(1), null, item(3), null], 4);
    a.add([item(5), item(6), item(7)]);
    expect(names(a)).toBe('15367---');
  });
  it('keeps gaps inside pages, leaves out empty pages', () => {
    const a = new Arrangement([item(1), null], 2);
    a.addPage();
    a.place([item(9)], 5);
    expect(a.ordered().map((cell) => cell && key(cell))).toEqual(['1.1:1', null, null, '1.9:1']);
  });
  it('closes gaps for another layout', () => {
    const a = new Arrangement([item(1), null, item(3), null], 4);
    a.relayout(1);
    expect(names(a)).toBe('13');
  });
});
