// Measurements on their way from the viewer to the composer: in the storage of this tab, until others take their place.
import type { Annotation, Item } from './state';

const KEY = 'filmroom:print-marks';

interface Kept {
  name: string;
  marks: Annotation[][];
}

/** Keeps what belongs to each image of the address, in their order; answers the name it is kept under. */
export function sendMarks(marks: Annotation[][]): string {
  const name = Date.now().toString(36);
  sessionStorage.setItem(KEY, JSON.stringify({ name, marks } satisfies Kept));
  return name;
}

/** The items with the measurements that were sent under this name. */
export function withMarks(items: Item[], name: string | null): Item[] {
  const text = name ? sessionStorage.getItem(KEY) : null;
  if (!text) return items;
  const kept = JSON.parse(text) as Kept;
  if (kept.name !== name || kept.marks.length !== items.length) return items;
  return items.map((item, n) => (kept.marks[n]?.length ? { ...item, annotations: kept.marks[n] } : item));
}
