/** The grid of viewports: 1x1, 1x2, 2x2. Cells are made from the page's template, so their words and icons come from the server. */
import { Cell, type CellHooks } from './cell';
import { engine } from './engine';
import { toolGroup } from './tools/group';

export const LAYOUTS = ['1x1', '1x2', '2x2'] as const;
export type Layout = (typeof LAYOUTS)[number];

const COUNT: Readonly<Record<Layout, number>> = { '1x1': 1, '1x2': 2, '2x2': 4 };

export class Grid {
  readonly cells: Cell[] = [];
  layout: Layout = '1x1';
  private active = 0;
  private readonly watcher: ResizeObserver;
  private pending = 0;
  /** Another layout shows whole images again; a window that only changes its size keeps what was zoomed to. */
  private refit = false;

  constructor(
    private readonly element: HTMLElement,
    private readonly template: HTMLTemplateElement,
    private readonly hooks: CellHooks,
    private readonly chosen: (cell: Cell) => void,
  ) {
    this.watcher = new ResizeObserver(() => this.fitSoon());
    this.watcher.observe(element);
    this.fill();
  }

  get current(): Cell {
    return this.cells[this.active] as Cell;
  }

  choose(cell: Cell): void {
    const before = this.current;
    this.active = cell.index;
    for (const one of this.cells) one.element.classList.toggle('active', one === cell);
    if (before !== cell) this.chosen(cell);
  }

  setLayout(layout: Layout): void {
    this.layout = layout;
    this.element.dataset['layout'] = layout;
    this.fill();
    this.refit = true;
    this.fitSoon();
  }

  destroy(): void {
    this.watcher.disconnect();
    cancelAnimationFrame(this.pending);
    while (this.cells.length > 0) this.drop();
  }

  private fill(): void {
    const count = COUNT[this.layout];
    while (this.cells.length > count) this.drop();
    while (this.cells.length < count) this.add();
    if (this.active >= count) this.active = 0;
    this.choose(this.current);
  }

  private add(): void {
    const index = this.cells.length;
    // The first cell is in the page already, with the preview picture in it.
    let element = this.element.querySelector<HTMLElement>(`.cell[data-cell="${index}"]`);
    if (!element) {
      element = (this.template.content.firstElementChild as HTMLElement).cloneNode(true) as HTMLElement;
      element.dataset['cell'] = String(index);
      element.setAttribute('aria-label', `${element.getAttribute('aria-label') ?? ''} ${index + 1}`.trim());
      this.element.append(element);
    }
    const cell = new Cell(element, index, this.hooks);
    this.cells.push(cell);
    toolGroup().addViewport(cell.id, engine().id);
    element.addEventListener('pointerdown', () => this.choose(cell), { capture: true });
    element.addEventListener('focusin', () => this.choose(cell));
    wireSlices(cell);
  }

  private drop(): void {
    const cell = this.cells.pop();
    if (!cell) return;
    toolGroup().removeViewports(engine().id, cell.id);
    cell.destroy();
    cell.element.remove();
  }

  /** Many resize notices come in a row while a panel folds: one fit per painted frame is enough. */
  private fitSoon(): void {
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => {
      engine().resize(true, true);
      for (const cell of this.cells) {
        if (this.refit && cell.complete) cell.fit();
        else this.hooks.changed(cell);
      }
      this.refit = false;
    });
  }
}

/** The slice bar: drag, click, and arrow keys when it has the focus. */
function wireSlices(cell: Cell): void {
  const bar = cell.element.querySelector<HTMLElement>('.cell-slices');
  if (!bar) return;
  const go = (event: PointerEvent): void => {
    const box = bar.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientY - box.top) / box.height));
    cell.scrollTo(Math.round(share * ((cell.series?.frames.length ?? 1) - 1)));
  };
  bar.addEventListener('pointerdown', (event) => {
    bar.setPointerCapture(event.pointerId);
    go(event);
  });
  bar.addEventListener('pointermove', (event) => {
    if (bar.hasPointerCapture(event.pointerId)) go(event);
  });
}
