/** The window of an image whose tags have none: the same rule as the server's pictures (app/imaging/window.py). */
import type { GreyPixels, PixelSpec } from './pixels';

const LOW = 0.005;
const HIGH = 0.995;
/** About as many values are looked at. */
const SAMPLE = 65_536;

export function computedWindow(grey: GreyPixels, spec: PixelSpec): { readonly center: number; readonly width: number } {
  const { values, min, max } = grey;
  const stored = 2 ** spec.bitsStored;
  // 8 bits that use a good part of their range are shown whole.
  if (spec.bitsStored <= 8 && (max - min) * 4 >= (stored - 1) * Math.abs(spec.slope)) {
    const first = spec.signed ? -stored / 2 : 0;
    const ends = [first * spec.slope + spec.intercept, (first + stored - 1) * spec.slope + spec.intercept].sort((a, b) => a - b);
    return between(ends[0] as number, ends[1] as number);
  }
  const step = Math.max(1, Math.floor(values.length / SAMPLE));
  const sample = values.filter((_, at) => at % step === 0).sort();
  const low = sample[Math.floor((sample.length - 1) * LOW)] ?? min;
  const high = sample[Math.ceil((sample.length - 1) * HIGH)] ?? max;
  return low < high ? between(low, high) : between(min, max);
}

function between(low: number, high: number): { readonly center: number; readonly width: number } {
  return { center: (low + high + 1) / 2, width: Math.max(1, high - low + 1) };
}
