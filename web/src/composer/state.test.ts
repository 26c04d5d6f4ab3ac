import { describe, expect, it } from 'vitest';
import { Arrangement, fittingLayout, type Item, key } from './state';

const item = (n: number): Item => ({ sop_instance_uid: `1.${n}`, frame: 1 });
const names = (a: Arrangement): string => a.cells.map((cell) => (cell ? cell.sop_instance_uid.slice(2) : '-')).join('');

describe('layout of a modality', () => {
  const cells = { '1x1': 1, '1x2': 2, '2x2': 4, '2x3': 6, '4x4': 16 };
  it('leaves no more cells empty than it must', () => {
    expect([1, 2, 3, 5, 15, 16, 40].map((n) => fittingLayout('4x4', n, cells))).toEqual([
      '1x1',
      '1x2',
      '2x2',
      '2x3',
      '4x4',
      '4x4',
      '4x4',
    ]);
    expect([0, 9].map((n) => fittingLayout('1x1', n, cells))).toEqual(['1x1', '1x1']);
  });
});

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
    expect(a.parts()[0]?.cells.map((cell) => cell && key(cell))).toEqual(['1.1:1', null, null, '1.9:1']);
  });
  it('closes gaps for another layout', () => {
    const a = new Arrangement([item(1), null, item(3), null], 4);
    a.relayout(1);
    expect(names(a)).toBe('13');
  });
});

// Images 10 to 19 are one patient's, 20 to 29 another's.
const whose = (one: Item): number => Math.floor(Number(one.sop_instance_uid.slice(2)) / 10);
const rows = (a: Arrangement): string => a.cells.map((cell) => cell?.sop_instance_uid.slice(2) ?? '--').join(' ');

describe('several patients', () => {
  it('begin on pages of their own, in every layout', () => {
    const a = new Arrangement([10, 11, 12, 20].map(item), 2, whose);
    expect(rows(a)).toBe('10 11 12 -- 20 --');
    a.relayout(4);
    expect(rows(a)).toBe('10 11 12 -- 20 -- -- --');
    a.replace([20, 10].map(item));
    expect(rows(a)).toBe('20 -- -- -- 10 -- -- --');
  });
  it('never get an empty cell beside somebody else', () => {
    const a = new Arrangement([10, 20].map(item), 2, whose);
    a.add([21, 11, 22, 12].map(item));
    expect(rows(a)).toBe('10 -- 20 21 11 -- 22 -- 12 --');
  });
  it('become a print each; a page mixed by hand is one of its own', () => {
    const a = new Arrangement([10, 11, 20].map(item), 1, whose);
    expect(a.parts().map((part) => [part.pages, part.patients])).toEqual([
      [[1, 2], [1]],
      [[3], [2]],
    ]);
    const b = new Arrangement([10, 20].map(item), 2, whose);
    b.place([item(21)], 1);
    b.addPage();
    expect(b.parts().map((part) => [part.pages, part.patients])).toEqual([
      [[1], [1, 2]],
      [[2], [2]],
    ]);
    expect(
      b
        .parts(true)
        .flatMap((part) => part.pages)
        .sort(),
    ).toEqual([1, 2, 3]);
  });
});
