/** Letters at the edges of the screen, and planes: pure arithmetic on vectors in Cornerstone's world. */
import type { Letters } from './appearance';
import type { Vector } from './manifest';

/**
 * The letters of the stored frame at the edges where they are on the screen.
 * row, column: where the frame's rows and columns run; right, down: where the screen does.
 */
export function edgeLetters(
  stored: Letters,
  [row, column]: readonly [Vector, Vector],
  right: readonly number[],
  down: readonly number[],
): Letters {
  const ends = (v: readonly number[]): readonly [from: string, to: string] => {
    const [along, across] = [dot(v, row), dot(v, column)];
    const pair =
      Math.abs(along) >= Math.abs(across)
        ? ([stored.left, stored.right] as const)
        : ([stored.top, stored.bottom] as const);
    const forward = Math.abs(along) >= Math.abs(across) ? along > 0 : across > 0;
    return forward ? pair : [pair[1], pair[0]];
  };
  const [left, toRight] = ends(right);
  const [top, bottom] = ends(down);
  return { left, right: toRight, top, bottom };
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
