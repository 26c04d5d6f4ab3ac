import { describe, expect, it } from 'vitest';
import { seenAs, type Point } from './seen';

const IMAGE = { rows: 100, columns: 200 };

/** The inverse of showing the image turned, flipped, enlarged `zoom` times with its middle in the middle of the canvas. */
function shown(
  rotation: number,
  flip: boolean,
  zoom: number,
  canvas: { width: number; height: number },
): (at: Point) => Point {
  return ([cx, cy]) => {
    let x = (cx - canvas.width / 2) / zoom;
    const y = (cy - canvas.height / 2) / zoom;
    if (flip) x = -x;
    const turn = (-rotation * Math.PI) / 180;
    return [
      IMAGE.columns / 2 + x * Math.cos(turn) - y * Math.sin(turn),
      IMAGE.rows / 2 + x * Math.sin(turn) + y * Math.cos(turn),
    ];
  };
}

describe('what is on the screen', () => {
  const canvas = { width: 400, height: 400 };
  for (const rotation of [0, 90, 180, 270] as const) {
    for (const flip of [false, true]) {
      it(`is turned by ${rotation}${flip ? ' and flipped' : ''}`, () => {
        expect(seenAs(shown(rotation, flip, 1, canvas), canvas, IMAGE)).toEqual({ rotation, flip, crop: undefined });
        // Four times enlarged the canvas shows 100 x 100 pixels around the middle.
        const { crop } = seenAs(shown(rotation, flip, 4, canvas), canvas, IMAGE);
        const wanted = rotation % 180 ? [0, 0.25, 1, 0.5] : [0.25, 0, 0.5, 1];
        for (const [at, value] of (crop ?? []).entries()) expect(value).toBeCloseTo(wanted[at] as number, 6);
        expect(crop).toHaveLength(4);
      });
    }
  }

  it('is cut where it was moved to the side, and nowhere else', () => {
    const moved = ([x, y]: Point): Point => [x / 2 + 50, y / 2 - 20];
    expect(seenAs(moved, { width: 200, height: 400 }, IMAGE).crop).toEqual([0.25, 0, 0.5, 1]);
  });
});
