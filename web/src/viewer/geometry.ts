/** Orientation letters and scales: pure arithmetic on direction cosines (PS3.3 C.7.6.2.1.1, patient axes L, P, H). */
import type { Vector } from './manifest';

const AXES = [
  ['L', 'R'],
  ['P', 'A'],
  ['H', 'F'],
] as const;

/** Letters of the direction `v` points to, strongest first ("A", "AL", "PHR"); empty when there is none. */
export function letters(v: readonly number[]): string {
  const parts = AXES.map(([plus, minus], axis) => {
    const value = v[axis] ?? 0;
    return { letter: value > 0 ? plus : minus, size: Math.abs(value) };
  });
  return parts
    .filter(({ size }) => size > 0.1)
    .sort((one, other) => other.size - one.size)
    .map(({ letter }) => letter)
    .join('');
}

export interface EdgeLetters {
  readonly top: string;
  readonly bottom: string;
  readonly left: string;
  readonly right: string;
}

/** Letters at the edges of what is on the screen, from the vectors that point up and right there. */
export function edgeLetters(up: readonly number[], right: readonly number[]): EdgeLetters {
  const back = (v: readonly number[]): number[] => v.map((one) => -one);
  return { top: letters(up), bottom: letters(back(up)), left: letters(back(right)), right: letters(right) };
}

export function cross(a: readonly number[], b: readonly number[]): Vector {
  const [ax = 0, ay = 0, az = 0] = a;
  const [bx = 0, by = 0, bz = 0] = b;
  return [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx];
}

export function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, one, at) => sum + one * (b[at] ?? 0), 0);
}

/** The one of `positions` nearest to the plane through `point`, for scrolling several series together; -1 without any. */
export function nearestSlice(point: Vector, normal: Vector, positions: readonly (Vector | undefined)[]): number {
  let best = -1;
  let distance = Infinity;
  const here = dot(point, normal);
  positions.forEach((position, at) => {
    if (!position) return;
    const apart = Math.abs(dot(position, normal) - here);
    if (apart < distance) {
      distance = apart;
      best = at;
    }
  });
  return best;
}
