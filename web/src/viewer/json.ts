/** Reading JSON of another program without trusting it: each reader answers a value of its type or undefined. */
export type Json = { readonly [key: string]: unknown };

export function record(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

export function number(value: unknown): number | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))) return Number(value);
  return undefined;
}

/** Exactly `count` finite numbers, else undefined. */
export function numbers(value: unknown, count: number): number[] | undefined {
  const found = list(value).map(number);
  return found.length === count && found.every((one) => one !== undefined) ? (found as number[]) : undefined;
}
