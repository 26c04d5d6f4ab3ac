/** How an image lies on the screen, in the words of a print: quarter turns, a flip, the part that is shown. Pure. */

export type Point = readonly [number, number];

/** From a point of the canvas to (column, row) of the stored frame, the first pixel's centre at (0.5, 0.5). */
export type ToImage = (canvas: Point) => Point;

export interface Seen {
  /** Degrees clockwise. */
  readonly rotation: 0 | 90 | 180 | 270;
  /** Left and right change places after the turn. */
  readonly flip: boolean;
  /** x, y, width, height of what the canvas shows, from 0 to 1 of the image as seen; undefined: all of it. */
  readonly crop: readonly [number, number, number, number] | undefined;
}

const QUARTERS = [0, 90, 180, 270] as const;

export function seenAs(
  toImage: ToImage,
  canvas: { readonly width: number; readonly height: number },
  image: { readonly rows: number; readonly columns: number },
): Seen {
  const { width, height } = canvas;
  const corner = toImage([0, 0]);
  const across = minus(toImage([width, 0]), corner);
  const down = minus(toImage([0, height]), corner);
  const flip = across[0] * down[1] - across[1] * down[0] < 0;
  // Unflipped, the way down the screen is the stored way down, turned by the same angle.
  const turn = QUARTERS[Math.abs(down[1]) >= Math.abs(down[0]) ? (down[1] > 0 ? 0 : 2) : down[0] > 0 ? 1 : 3];
  const rotation = turn ?? 0;
  const here = ([column, row]: Point): Point => asSeen([column / image.columns, row / image.rows], rotation, flip);
  const [x0, y0] = here(corner);
  const [x1, y1] = here(toImage([width, height]));
  const [left, right] = [inside(x0), inside(x1)];
  const [top, bottom] = [inside(y0), inside(y1)];
  const all = left === 0 && top === 0 && right === 1 && bottom === 1;
  return {
    rotation,
    flip,
    crop: all || right <= left || bottom <= top ? undefined : [left, top, right - left, bottom - top],
  };
}

/** A point of the stored image, each side from 0 to 1, in the image as seen. */
function asSeen([u, v]: Point, rotation: Seen['rotation'], flip: boolean): Point {
  const [x, y] =
    rotation === 90 ? [1 - v, u] : rotation === 180 ? [1 - u, 1 - v] : rotation === 270 ? [v, 1 - u] : [u, v];
  return [flip ? 1 - x : x, y];
}

/** Within a hundredth of a percent of the edge counts as the edge: the canvas has whole pixels, the zoom has not. */
function inside(value: number): number {
  if (value < 1e-4) return 0;
  return value > 1 - 1e-4 ? 1 : value;
}

function minus(a: Point, b: Point): Point {
  return [a[0] - b[0], a[1] - b[1]];
}
