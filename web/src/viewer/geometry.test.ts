import { describe, expect, it } from 'vitest';
import { cross, edgeLetters, letters, nearestSlice } from './geometry';

describe('orientation letters', () => {
  it('names the axes of the patient', () => {
    expect(letters([1, 0, 0])).toBe('L');
    expect(letters([0, -1, 0])).toBe('A');
    expect(letters([0, 0, 1])).toBe('H');
  });

  it('puts the strongest axis first in an oblique image', () => {
    expect(letters([0.2, 0.9, -0.39])).toBe('PFL');
    expect(letters([0.05, 1, 0])).toBe('P');
  });

  it('stands as seen for an axial and a sagittal image, and turns with the image', () => {
    expect(edgeLetters([0, -1, 0], [1, 0, 0])).toEqual({ top: 'A', bottom: 'P', left: 'R', right: 'L' });
    expect(edgeLetters([0, 0, 1], [0, 1, 0])).toEqual({ top: 'H', bottom: 'F', left: 'A', right: 'P' });
    expect(edgeLetters([-1, 0, 0], [0, -1, 0])).toEqual({ top: 'R', bottom: 'L', left: 'P', right: 'A' });
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
