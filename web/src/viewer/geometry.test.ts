import { describe, expect, it } from 'vitest';
import { cross, edgeLetters, nearestSlice } from './geometry';

const AXIAL = { left: 'R', right: 'L', top: 'A', bottom: 'P' };
const FLAT = [
  [1, 0, 0],
  [0, 1, 0],
] as const;

describe('orientation letters', () => {
  it('stand as stored, and turn and flip with the image', () => {
    expect(edgeLetters(AXIAL, FLAT, [1, 0, 0], [0, 1, 0])).toEqual(AXIAL);
    expect(edgeLetters(AXIAL, FLAT, [-1, 0, 0], [0, 1, 0])).toEqual({ left: 'L', right: 'R', top: 'A', bottom: 'P' });
    expect(edgeLetters(AXIAL, FLAT, [1, 0, 0], [0, -1, 0])).toEqual({ left: 'R', right: 'L', top: 'P', bottom: 'A' });
    // A quarter clockwise: what was at the left is on top.
    expect(edgeLetters(AXIAL, FLAT, [0, -1, 0], [1, 0, 0])).toEqual({ left: 'P', right: 'A', top: 'R', bottom: 'L' });
  });

  it('follow rows and columns that lie anywhere in the patient', () => {
    const sagittal = [
      [0, 1, 0],
      [0, 0, -1],
    ] as const;
    const stored = { left: 'A', right: 'P', top: 'H', bottom: 'F' };
    expect(edgeLetters(stored, sagittal, [0, 5, 0], [0, 0, -5])).toEqual(stored);
  });
});

describe('slices of another series', () => {
  const positions = [undefined, [0, 0, 0], [0, 0, 5], [9, 9, 10]] as const;

  it('finds the nearest plane, whatever lies beside', () => {
    expect(nearestSlice([50, 50, 6], cross([1, 0, 0], [0, 1, 0]), positions)).toBe(2);
    expect(nearestSlice([0, 0, 100], [0, 0, 1], positions)).toBe(3);
  });

  it('finds none without positions', () => {
    expect(nearestSlice([0, 0, 0], [0, 0, 1], [undefined])).toBe(-1);
  });
});
