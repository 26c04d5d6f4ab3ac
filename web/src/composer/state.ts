// What is arranged: frames in cells, page after page. Pure, so that it can be tested without a page.

export interface Item {
  sop_instance_uid: string;
  frame: number;
  window?: [number, number];
  invert?: boolean;
  rotation?: 0 | 90 | 180 | 270;
  flip?: boolean;
  crop?: [number, number, number, number];
}
export type Cells = (Item | null)[];

const REMEMBERED = 100; // steps that can be undone

export const key = (item: Item): string => `${item.sop_instance_uid}:${item.frame}`;

/** The cells of all pages, each step undoable. Trailing empty cells belong to pages somebody added. */
export class Arrangement {
  private past: Cells[] = [];
  private current: Cells;
  private readonly listeners: (() => void)[] = [];

  constructor(
    items: Cells,
    private perPage: number,
  ) {
    this.current = [...items];
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
    this.current = images;
    this.fillUp();
    this.tell();
  }

  /** Puts the items into the cells from `at` on. What stood there gives way; pages are added as needed. */
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
        while (next < cells.length && cells[next] !== null) next += 1;
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
    this.change((cells) => cells.splice(0, cells.length, ...items));
  }

  undo(): void {
    const before = this.past.pop();
    if (!before) return;
    this.current = before;
    this.tell();
  }

  /** What is ordered: pages with nothing on them are left out. */
  ordered(): Cells {
    const kept: Cells = [];
    for (let page = 0; page < this.pages; page += 1) {
      const cells = this.current.slice(page * this.perPage, (page + 1) * this.perPage);
      if (cells.some((item) => item !== null)) kept.push(...cells);
    }
    while (kept.length && kept.at(-1) === null) kept.pop();
    return kept;
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
