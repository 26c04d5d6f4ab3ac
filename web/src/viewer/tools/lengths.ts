/** Lengths and areas between pixels in the units that the frame has there: millimetres with their plane, units of an ultrasound region, else pixels. */
import type { Region } from '../appearance';
import type { Frame } from '../manifest';
import { t } from '../strings';

export type Pixel = readonly [column: number, row: number];

/** A size in each direction and the units they are in. */
interface Scale {
  readonly across: number;
  readonly down: number;
  readonly unitAcross: string;
  readonly unitDown: string;
  readonly note: string;
}

/** The length of a line: "10.0 mm at the detector", "0.5 s, 12 cm/s" in a spectrum, "100.0 px" without calibration. */
export function lengthText(frame: Frame, from: Pixel, to: Pixel): string {
  const scale = scaleFor(frame, [from, to]);
  const [dx, dy] = [Math.abs(to[0] - from[0]) * scale.across, Math.abs(to[1] - from[1]) * scale.down];
  if (scale.unitAcross === scale.unitDown)
    return withNote(`${digits(Math.hypot(dx, dy), scale.unitAcross)} ${scale.unitAcross}`, scale.note);
  return [amount(dx, scale.unitAcross), amount(dy, scale.unitDown)].filter(Boolean).join(', ');
}

/** The area of a figure of `share` of its bounding box (1 for a rectangle, pi / 4 for an ellipse). */
export function areaText(frame: Frame, corners: readonly Pixel[], share: number): string {
  const scale = scaleFor(frame, corners);
  if (scale.unitAcross !== scale.unitDown) return '';
  const [width, height] = [
    spread(corners.map(([x]) => x)) * scale.across,
    spread(corners.map(([, y]) => y)) * scale.down,
  ];
  const area = width * height * share;
  const cm = scale.unitAcross === 'mm' && area >= 100;
  return withNote(
    cm ? `${(area / 100).toFixed(2)} cm²` : `${digits(area, scale.unitAcross)} ${scale.unitAcross}²`,
    scale.note,
  );
}

/** Plane of a millimetre of this frame, where it is not the patient. */
export function planeNote({ appearance }: Frame): string {
  switch (appearance.spacing?.plane) {
    case 'detector':
      return t('mm at the detector');
    case 'film':
      return t('mm on the film');
    case 'unknown':
      return t('mm in an unknown plane');
    default:
      return '';
  }
}

const PIXELS: Scale = { across: 1, down: 1, unitAcross: 'px', unitDown: 'px', note: '' };

function scaleFor(frame: Frame, points: readonly Pixel[]): Scale {
  const { spacing, regions } = frame.appearance;
  if (regions.length > 0) return regionScale(regions, points);
  if (!spacing) return PIXELS;
  return { across: spacing.column, down: spacing.row, unitAcross: 'mm', unitDown: 'mm', note: planeWord(frame) };
}

/** The scale of the region that holds all points. A line that leaves it, or points where regions with another scale lie too, have none. */
function regionScale(regions: readonly Region[], points: readonly Pixel[]): Scale {
  const touched = regions.filter((region) => points.some((point) => covers(region, point)));
  const [first] = touched;
  if (!first || !touched.every((region) => sameScale(region, first) && points.every((point) => covers(region, point))))
    return PIXELS;
  const [across, unitAcross] = axisOf(first, 0);
  const [down, unitDown] = axisOf(first, 1);
  return unitAcross || unitDown ? { across, down, unitAcross, unitDown, note: '' } : PIXELS;
}

/** Half a pixel around the middles of the first and last ones belongs to a region. */
function covers({ bounds: [x0, y0, x1, y1] }: Region, [x, y]: Pixel): boolean {
  return x >= x0 - 0.5 && x <= x1 + 0.5 && y >= y0 - 0.5 && y <= y1 + 0.5;
}

function sameScale(one: Region, other: Region): boolean {
  return ([0, 1] as const).every(
    (axis) =>
      one.unit[axis] === other.unit[axis] && Math.abs(one.delta[axis] - other.delta[axis]) <= 1e-3 * other.delta[axis],
  );
}

/** Size of a pixel and its unit; centimetres are converted to millimetres. */
function axisOf({ delta, unit }: Region, axis: 0 | 1): readonly [number, string] {
  return unit[axis] === 'cm' ? [delta[axis] * 10, 'mm'] : [delta[axis], unit[axis]];
}

function planeWord({ appearance }: Frame): string {
  switch (appearance.spacing?.plane) {
    case 'detector':
      return t('at the detector');
    case 'film':
      return t('on the film');
    case 'unknown':
      return t('in an unknown plane');
    default:
      return '';
  }
}

function withNote(words: string, note: string): string {
  return note ? `${words} ${note}` : words;
}

function amount(value: number, unit: string): string {
  return unit ? `${digits(value, unit)} ${unit}` : '';
}

/** One decimal for millimetres and pixels, three figures for what is small. */
function digits(value: number, unit: string): string {
  if (unit === 'mm' || unit === 'px' || value >= 100) return value.toFixed(1);
  return String(Number(value.toPrecision(3)));
}

function spread(values: readonly number[]): number {
  return Math.max(...values) - Math.min(...values);
}
