// The arrangement: frames in cells, page after page. Pure, so that it can be tested without a page.

/** A measurement as the viewer draws it; points are (column, row) in pixels of the stored frame. */
export interface Annotation {
  lines: { points: [number, number][]; dashed: boolean }[];
  texts: { at: [number, number]; lines: string[] }[];
}

/** crop: x, y, width, height of the image as seen, from 0 to 1. */
export interface Item {
  sop_instance_uid: string;
  frame: number;
  window?: [number, number];
  invert?: boolean;
  rotation?: 0 | 90 | 180 | 270;
  flip?: boolean;
  crop?: [number, number, number, number];
  annotations?: Annotation[];
}
export type Cells = (Item | null)[];

const REMEMBERED = 100; // steps that can be undone

export const key = (item: Item): string => `${item.sop_instance_uid}:${item.frame}`;

/** The preset of the modality, or the smallest layout that holds all images of a patient where these leave cells of the preset
 * empty. app/pages/printing.py has the same rule. cells: by layout, in the order in which layouts are listed. */
export function fittingLayout(preset: string, images: number, cells: Record<string, number>): string {
  const size = (name: string): number => cells[name] ?? 0;
  if (images <= 0 || images >= size(preset)) return preset;
  return Object.keys(cells)
    .filter((name) => size(name) >= images)
    .reduce((best, name) => (size(name) < size(best) ? name : best));
}

/** Pages that become one print. pages: their numbers, from 1; patients: whose images are on them. */
export interface Part {
  pages: number[];
  patients: number[];
  cells: Cells;
}

/** The cells of all pages, each step undoable. Trailing empty cells belong to pages that the user added.
 *
 * No page gets images of two patients by itself: each patient begins on a new page, and only an image that the user puts into a cell may be beside another patient's. patientOf: a number for each patient. */
export class Arrangement {
  private past: Cells[] = [];
  private current: Cells;
  private readonly listeners: (() => void)[] = [];

  constructor(
    items: Cells,
    private perPage: number,
    private readonly patientOf: (item: Item) => number = () => 0,
  ) {
    this.current = this.apart(items);
    this.fillUp();
  }

  get cells(): Cells {
    return this.current;
  }

  get pages(): number {
    return Math.max(1, Math.ceil(this.current.length / this.perPage));
  }

  get cellsPerPage(): number {
    return this.perPage;
  }

  get images(): number {
    return this.current.filter((item) => item !== null).length;
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Another layout: the images stay in their order, gaps between them close. */
  relayout(perPage: number): void {
    if (perPage === this.perPage) return;
    const images = this.current.filter((item) => item !== null);
    this.perPage = perPage;
    this.past = [];
    this.current = this.apart(images);
    this.fillUp();
    this.tell();
  }

  /** Puts the items into the cells from `at` on. The previous content is replaced; pages are added as needed. */
  place(items: Item[], at: number): void {
    this.change((cells) => {
      items.forEach((item, n) => {
        while (cells.length <= at + n) cells.push(null);
        cells[at + n] = item;
      });
    });
  }

  /** Puts the items into the empty cells from the page of `at` on. */
  add(items: Item[], at = 0): void {
    this.change((cells) => {
      let next = at;
      for (const item of items) {
        while ((cells[next] ?? null) !== null || this.foreign(cells, next, item)) next += 1;
        while (cells.length < next) cells.push(null);
        cells[next] = item;
        next += 1;
      }
    });
  }

  swap(a: number, b: number): void {
    if (a === b) return;
    this.change((cells) => {
      while (cells.length <= Math.max(a, b)) cells.push(null);
      [cells[a], cells[b]] = [cells[b] ?? null, cells[a] ?? null];
    });
  }

  /** Another view of the image in a cell: window, turn, crop. */
  edit(index: number, item: Item): void {
    if (this.current[index]) this.change((cells) => (cells[index] = item));
  }

  empty(index: number): void {
    if (this.current[index]) this.change((cells) => (cells[index] = null));
  }

  emptyPage(page: number): void {
    this.change((cells) => cells.fill(null, (page - 1) * this.perPage, page * this.perPage));
  }

  addPage(): void {
    this.change((cells) => cells.push(...new Array<null>(this.perPage).fill(null)));
  }

  replace(items: Item[]): void {
    this.change((cells) => cells.splice(0, cells.length, ...this.apart(items)));
  }

  undo(): void {
    const before = this.past.pop();
    if (!before) return;
    this.current = before;
    this.tell();
  }

  /** Patients with images on a page (from 1). */
  patients(page: number): number[] {
    return [...new Set(this.page(page).flatMap((item) => (item ? [this.patientOf(item)] : [])))];
  }

  /** The prints these pages make: one for each patient, so that what is handed to one holds nothing of another; pages that
   * mix patients go apart again. empty: pages with nothing on them stay, with the pages before them. */
  parts(empty = false): Part[] {
    const made = new Map<string, Part>();
    const pages = Array.from({ length: this.pages }, (_, n) => n + 1);
    let last: Part | undefined;
    const blank: number[] = []; // before the first image: they go with it
    for (const number of pages) {
      const patients = this.patients(number).sort((a, b) => a - b);
      if (!patients.length) {
        if (empty && last) this.into(last, number);
        else if (empty) blank.push(number);
        continue;
      }
      last = made.get(patients.join()) ?? { pages: [], patients, cells: [] };
      made.set(patients.join(), last);
      for (const earlier of blank.splice(0)) this.into(last, earlier);
      this.into(last, number);
    }
    if (!empty)
      for (const part of made.values()) while (part.cells.length && part.cells.at(-1) === null) part.cells.pop();
    return [...made.values()];
  }

  private into(part: Part, page: number): void {
    part.pages.push(page);
    part.cells.push(...this.page(page));
  }

  private page(number: number): Cells {
    return this.current.slice((number - 1) * this.perPage, number * this.perPage);
  }

  /** The cell's page shows another patient. */
  private foreign(cells: Cells, cell: number, item: Item): boolean {
    const first = cell - (cell % this.perPage);
    return cells
      .slice(first, first + this.perPage)
      .some((other) => other && this.patientOf(other) !== this.patientOf(item));
  }

  /** Empty cells before another patient's first image, so that it begins a page. */
  private apart(items: Cells): Cells {
    const made: Cells = [];
    let last: number | undefined;
    for (const item of items) {
      const whose = item ? this.patientOf(item) : last;
      if (last !== undefined && whose !== last) while (made.length % this.perPage) made.push(null);
      last = whose;
      made.push(item);
    }
    return made;
  }

  private change(step: (cells: Cells) => void): void {
    this.past.push([...this.current]);
    if (this.past.length > REMEMBERED) this.past.shift();
    step(this.current);
    this.fillUp();
    this.tell();
  }

  private fillUp(): void {
    const wanted = Math.max(1, Math.ceil(this.current.length / this.perPage)) * this.perPage;
    while (this.current.length < wanted) this.current.push(null);
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}
