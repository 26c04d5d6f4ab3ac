/** Windows and VOI LUTs as functions of modality values, the same arithmetic as the server's pictures (app/imaging/lut.py). */
import type { Description, Lut, VoiFunction, WindowPreset } from './appearance';

/** Lowest and highest modality value of a window: black and white in a linear one. */
export interface Range {
  readonly lower: number;
  readonly upper: number;
}

export interface Window {
  readonly center: number;
  readonly width: number;
}

/** One point of a piecewise linear function: a modality value and its brightness, 0 to 1. */
export type Node = readonly [value: number, brightness: number];

/** As many points as the graphics card is given; longer tables are thinned. */
const MOST_NODES = 4096;
const SIGMOID_NODES = 1024;
/** Tables up to here are drawn as steps: with fractional values (rescale slopes) it can be seen that they are. */
const MOST_STEPS = 1024;

/** PS3.3 C.11.2.1.2.1 for LINEAR, C.11.2.1.3.2 for LINEAR_EXACT; SIGMOID has no ends and counts like LINEAR_EXACT. */
export function rangeOf({ center, width }: Window, name: VoiFunction): Range {
  if (name !== 'LINEAR') return { lower: center - width / 2, upper: center + width / 2 };
  // A width of 1 is a step; it needs some breadth to be drawn.
  const half = Math.max((width - 1) / 2, Math.max(1, Math.abs(center)) * 5e-5);
  return { lower: center - 0.5 - half, upper: center - 0.5 + half };
}

/** The window whose range this is. */
export function windowOf({ lower, upper }: Range, name: VoiFunction): Window {
  if (name !== 'LINEAR') return { center: (lower + upper) / 2, width: upper - lower };
  return { center: (lower + upper + 1) / 2, width: upper - lower + 1 };
}

/** The function of a window set by the user: the header's, LINEAR_EXACT where LINEAR has no meaning (app/imaging/render.py). */
export function functionFor(width: number, own: readonly WindowPreset[], floats: boolean): VoiFunction {
  const known = own[0]?.function ?? (floats || width < FEW ? 'LINEAR_EXACT' : 'LINEAR');
  return known === 'LINEAR' && width < 1 ? 'LINEAR_EXACT' : known;
}

/** Windows narrower than this have no unit of 1 where the header names no function. */
const FEW = 16;

/** A window as a function. */
export function windowNodes(range: Range, name: VoiFunction): Node[] {
  if (name !== 'SIGMOID') {
    return [
      [range.lower, 0],
      [range.upper, 1],
    ];
  }
  const { center, width } = windowOf(range, name);
  return Array.from({ length: SIGMOID_NODES }, (_, at) => {
    const value = center + width * 2 * ((2 * at) / (SIGMOID_NODES - 1) - 1);
    return [value, 1 / (1 + Math.exp((-4 * (value - center)) / width))] as const;
  });
}

/** A VOI LUT as a function; inputs outside take its first or last entry, fractions that of the nearest whole number. */
export function lutNodes({ first, bits, entries }: Lut): Node[] {
  if (entries.length <= MOST_STEPS) return stepNodes({ first, bits, entries });
  const step = Math.max(1, Math.ceil(entries.length / MOST_NODES));
  const top = 2 ** bits - 1;
  const nodes: Node[] = [];
  for (let at = 0; at < entries.length; at += step) nodes.push([first + at, (entries[at] as number) / top]);
  const last = entries.length - 1;
  if (last % step !== 0) nodes.push([first + last, (entries[last] as number) / top]);
  return nodes;
}

/** Each entry holds for half a unit at both sides; halves belong to the even one, as the server rounds. */
function stepNodes({ first, bits, entries }: Omit<Lut, 'name'>): Node[] {
  return Array.from(entries).flatMap((entry, at) => {
    const level = entry / (2 ** bits - 1);
    const reach = (first + at) % 2 === 0 ? 0.51 : 0.48;
    return [
      [first + at - reach, level],
      [first + at + reach, level],
    ] as const;
  });
}

/** Initial display of a frame; from its lowest to its highest value where nothing is known of it. */
export function openingRange(shown: Description | undefined, lowest: number, highest: number): Range {
  if (shown?.voiLut)
    return { lower: shown.voiLut.first, upper: shown.voiLut.first + Math.max(1, shown.voiLut.entries.length - 1) };
  if (shown?.window) return rangeOf(shown.window, shown.window.function);
  if (highest > lowest) return { lower: lowest, upper: highest };
  // One value everywhere: the middle grey, nothing at all is black (app/imaging/window.py).
  return lowest === 0 ? { lower: 0, upper: 1 } : { lower: lowest - 0.5, upper: lowest + 0.5 };
}

/** Brightness at `value`, 0 to 1. */
export function brightness(nodes: readonly Node[], value: number): number {
  let low = 0;
  let high = nodes.length - 1;
  const [first, last] = [nodes[low] as Node, nodes[high] as Node];
  if (value <= first[0]) return first[1];
  if (value >= last[0]) return last[1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((nodes[middle] as Node)[0] <= value) low = middle;
    else high = middle;
  }
  const [a, b] = [nodes[low] as Node, nodes[high] as Node];
  return a[1] + ((b[1] - a[1]) * (value - a[0])) / (b[0] - a[0]);
}
