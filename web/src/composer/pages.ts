// The page in the middle and the small ones below it: SVG from the server, drawn from the same sheet as the paper.
import { element, one } from '../shell/dom';
import { json, ProblemError } from '../shell/http';
import { t } from '../shell/i18n';
import { orderOf } from './order';
import type { Arrangement, Part } from './state';

interface Answer {
  pages: number;
  images: number;
  width: number;
  height: number;
  svg: Record<string, string>;
  notices: string[];
}

const PX_PER_MM = 96 / 25.4;
const AROUND = 8; // small pages drawn at a time
const WAIT_MS = 120; // changes within this time cost one request
const BUSY_MS = 300; // a page that takes longer is shown as busy

function reasonOf(fault: unknown): string {
  return fault instanceof ProblemError
    ? [fault.problem.detail, fault.problem.hint].filter(Boolean).join(' ')
    : t('The server did not respond. Try again in a moment.');
}

export class Pages {
  page = 1;
  cell: number | null = null; // the chosen cell, counted over all pages
  beforeDraw: () => void = () => undefined;
  onFit: () => void = () => undefined;
  private zoom: number | null = null; // null: fit
  private size = { width: 210, height: 297 };
  private timer: number | undefined;
  private busy: number | undefined;
  private asked = 0;
  private closedNote = '';
  private readonly paper: HTMLElement;
  private readonly stage: HTMLElement;

  constructor(
    private readonly root: HTMLElement,
    private readonly form: HTMLFormElement,
    private readonly arrangement: Arrangement,
    private readonly unprinted: string[], // shown beside every page
    private readonly possible: boolean, // there are images to place
    private readonly patients: string[], // what each is called, by number
  ) {
    const paper = one<HTMLElement>('[data-paper]', root);
    const stage = one<HTMLElement>('[data-stage]', root);
    if (!paper || !stage) throw new Error('the composer has no page');
    this.paper = paper;
    this.stage = stage;
    arrangement.onChange(() => this.draw());
    new ResizeObserver(() => this.fit()).observe(stage);
    stage.addEventListener('scroll', () => this.rulers(), { passive: true });
    one('[data-pages]', root)?.addEventListener('click', (event) => {
      const button = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-page-button]') : null;
      if (button) this.go(Number(button.dataset.pageButton));
    });
    this.draw(0);
  }

  /** Asks for the pages again, soon. */
  draw(wait = WAIT_MS): void {
    this.beforeDraw();
    this.page = Math.min(this.page, this.arrangement.pages);
    this.buttons();
    this.root.dataset.drawn = 'no';
    this.busy ??= window.setTimeout(() => this.stage.setAttribute('aria-busy', 'true'), BUSY_MS);
    this.asked += 1; // what is on its way shows an older state
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.load(), wait);
  }

  go(page: number): void {
    this.page = Math.min(Math.max(1, page), this.arrangement.pages);
    this.cell = null;
    this.draw(0);
  }

  scale(factor: number | null): void {
    this.zoom = factor === null ? null : Math.min(4, Math.max(0.2, this.factor() * factor));
    this.fit();
  }

  choose(cell: number | null): void {
    this.cell = cell;
    this.mark();
    if (cell !== null)
      this.paper
        .querySelector<SVGElement>(`[data-cell="${cell % this.arrangement.cellsPerPage}"] .cell-edge`)
        ?.focus({ preventScroll: true });
  }

  /** The cell (counted over all pages) at a point of the screen. */
  cellAt(x: number, y: number): number | null {
    const found = document.elementFromPoint(x, y)?.closest<SVGElement>('[data-cell]');
    if (!found || !this.paper.contains(found)) return null;
    return (this.page - 1) * this.arrangement.cellsPerPage + Number(found.dataset.cell);
  }

  /** Pixels of the screen for a millimetre of paper. */
  perMillimetre(): number {
    return this.factor() * PX_PER_MM;
  }

  private async load(): Promise<void> {
    const mine = ++this.asked;
    const first = Math.max(1, Math.min(this.page - AROUND / 2, this.arrangement.pages - AROUND + 1));
    const parts = this.arrangement.parts(true);
    if (!parts.length) return this.blank();
    const drafts = await Promise.allSettled(parts.map((part) => this.draft(part, first, parts.length > 1)));
    if (mine !== this.asked || !this.paper.isConnected) return;
    const drawn = drafts.flatMap((one) => (one.status === 'fulfilled' && one.value ? [one.value] : []));
    const { width, height } = drawn[0] ?? this.size;
    const svg: Answer['svg'] = Object.assign({}, ...drawn.map((one) => one.svg));
    const notices = drawn.flatMap((one) => one.notices);
    drafts.forEach((one, n) => {
      const part = parts[n];
      if (one.status === 'fulfilled' || !part) return;
      // The server refuses these pages: they are shown in the chosen layout without their images, with the reason.
      for (const page of part.pages) svg[page] = this.outline(width, height, page);
      const whose = parts.length > 1 ? `${part.patients.map((p) => this.patients[p] ?? '').join('; ')}: ` : '';
      notices.unshift(whose + reasonOf(one.reason));
    });
    this.show({ pages: this.arrangement.pages, images: this.arrangement.images, width, height, svg, notices });
  }

  /** The pages from `first` on that belong to a part, drawn as that print will count them; undefined: none does. */
  private async draft(part: Part, first: number, several: boolean): Promise<Answer | undefined> {
    const within = part.pages.flatMap((page, n) => (page >= first && page < first + AROUND ? [n + 1] : []));
    const [from] = within;
    if (from === undefined) return undefined;
    const order = orderOf(this.form, part.cells);
    delete order.password;
    const answer = await json<Answer>(
      'POST',
      `/api/v1/prints/preview?page=${from}&pages=${several ? within.length : AROUND}`,
      order,
    );
    return {
      ...answer,
      svg: Object.fromEntries(Object.entries(answer.svg).map(([n, svg]) => [part.pages[Number(n) - 1], svg])),
    };
  }

  private show(answer: Answer): void {
    this.size = { width: answer.width, height: answer.height };
    const inside = this.paper.contains(document.activeElement); // the cell with the keyboard is about to go
    this.paper.innerHTML = answer.svg[this.page] ?? '';
    const svg = this.paper.firstElementChild;
    svg?.setAttribute('role', 'group');
    svg?.setAttribute('aria-label', t('Page {n} of {all}', { n: this.page, all: this.arrangement.pages }));
    this.name();
    for (const [page, text] of Object.entries(answer.svg)) {
      const small = this.root.querySelector<HTMLElement>(`[data-page-button="${page}"] .small-page`);
      if (!small) continue;
      small.innerHTML = text;
      small.firstElementChild?.setAttribute('aria-hidden', 'true');
    }
    this.note([...this.unprinted, ...answer.notices].join(' '));
    this.fit();
    this.mark();
    if (inside) this.choose(this.cell);
    this.drawn();
  }

  /** The page shows the present state: it can be printed. */
  private drawn(): void {
    window.clearTimeout(this.busy);
    this.busy = undefined;
    this.stage.removeAttribute('aria-busy');
    this.root.dataset.drawn = 'yes';
    const print = one<HTMLButtonElement>('.composer-print [type="submit"]', this.root);
    if (print && this.possible) print.disabled = false; // disabled until the first preview
  }

  /** Nothing is placed yet: an empty page of the right shape still takes what is dropped. */
  private blank(): void {
    this.note(
      [
        ...this.unprinted,
        this.possible
          ? t('Drag images from the left onto the page, or choose Auto-arrange.')
          : t('No images to print.'),
      ].join(' '),
    );
    this.paper.innerHTML = this.outline(this.size.width, this.size.height, this.page);
    this.name();
    this.fit();
    this.mark();
    this.drawn();
  }

  /** A page of the chosen layout without its images; cells that hold one are darker. Sizes in mm. */
  private outline(width: number, height: number, page: number): string {
    const drawing = this.form.querySelector('input[name="layout"]:checked + svg');
    const [across, down] = [(width - 20) / 30, (height - 40) / 40]; // the drawing of a layout is 30 wide and 40 high
    const of = (rect: Element, name: string): number => Number(rect.getAttribute(name));
    const cells = [...(drawing?.querySelectorAll('rect') ?? [])].map((rect, n) => {
      const full = this.arrangement.cells[(page - 1) * this.arrangement.cellsPerPage + n];
      const [x, y] = [10 + of(rect, 'x') * across + 1, 20 + of(rect, 'y') * down + 1];
      const [w, h] = [of(rect, 'width') * across - 2, of(rect, 'height') * down - 2];
      return `<g class="cell${full ? '' : ' empty'}" data-cell="${n}"><rect class="cell-edge" x="${x}" y="${y}" width="${w}" height="${h}" fill="${full ? '#c9c5ba' : '#e9e7e1'}"/></g>`;
    });
    return `<svg xmlns="http://www.w3.org/2000/svg" class="sheet-page" viewBox="0 0 ${width} ${height}"><rect width="${width}" height="${height}" fill="#fff"/>${cells.join('')}</svg>`;
  }

  private name(): void {
    for (const cell of this.paper.querySelectorAll<SVGElement>('[data-cell]')) {
      const n = Number(cell.dataset.cell) + 1;
      const edge = cell.querySelector('.cell-edge'); // has no text inside: its name is the whole truth
      edge?.setAttribute('tabindex', '0');
      edge?.setAttribute('role', 'button');
      const texts = [...cell.querySelectorAll('text')].map((text) => text.textContent ?? '').join(' ');
      edge?.setAttribute(
        'aria-label',
        cell.classList.contains('empty') ? t('Cell {n}, empty', { n }) : t('Cell {n}: {texts}', { n, texts }),
      );
    }
  }

  private mark(): void {
    const start = (this.page - 1) * this.arrangement.cellsPerPage;
    for (const cell of this.paper.querySelectorAll<SVGElement>('[data-cell]'))
      cell.classList.toggle('chosen', this.cell === start + Number(cell.dataset.cell));
  }

  private note(text: string): void {
    const node = one<HTMLElement>('[data-note]', this.root);
    if (!node) return;
    const words = one<HTMLElement>('span', node);
    if (words && words.textContent !== text) words.textContent = text;
    node.hidden = !text || text === this.closedNote;
    const close = one<HTMLElement>('button', node);
    if (close)
      close.onclick = () => {
        this.closedNote = text; // it does not return while its text is the same
        node.hidden = true;
      };
  }

  private buttons(): void {
    const list = one<HTMLElement>('[data-pages]', this.root);
    if (!list) return;
    while (list.children.length > this.arrangement.pages) list.lastElementChild?.remove();
    while (list.children.length < this.arrangement.pages) {
      const n = list.children.length + 1;
      const button = element(
        'button',
        { attrs: { type: 'button', 'data-page-button': String(n), 'aria-label': t('Page {n}', { n }) } },
        element('span', { class: 'small-page' }),
        element('span', { text: String(n), attrs: { 'aria-hidden': 'true' } }),
      );
      list.append(element('li', {}, button));
    }
    for (const [n, child] of [...list.children].entries())
      child.firstElementChild?.setAttribute('aria-current', n + 1 === this.page ? 'true' : 'false');
    const small = list.children[this.page - 1];
    if (small instanceof HTMLElement) list.scrollLeft = small.offsetLeft - list.offsetLeft - list.clientWidth / 2;
  }

  private factor(): number {
    if (this.zoom !== null) return this.zoom;
    const room = Math.min(
      (this.stage.clientWidth - 40) / this.size.width,
      (this.stage.clientHeight - 32) / this.size.height,
    );
    return Math.max(0.1, room / PX_PER_MM);
  }

  private fit(): void {
    const factor = this.factor();
    this.paper.style.setProperty('width', `${this.size.width * factor * PX_PER_MM}px`);
    this.paper.style.setProperty('height', `${this.size.height * factor * PX_PER_MM}px`);
    const said = one<HTMLElement>('[data-zoom]', this.root);
    if (said) said.textContent = `${this.zoom === null ? `${t('Fit')} ` : ''}${Math.round(factor * 100)} %`;
    this.rulers();
    this.onFit();
  }

  /** Millimetres along the edges, zero at the paper's corner. */
  private rulers(): void {
    const scale = this.factor() * PX_PER_MM;
    const paper = this.paper.getBoundingClientRect();
    const stage = this.stage.getBoundingClientRect();
    for (const [axis, start, length, end] of [
      ['x', paper.left - stage.left, stage.width, this.size.width],
      ['y', paper.top - stage.top, stage.height, this.size.height],
    ] as const) {
      const node = this.root.querySelector<HTMLElement>(`[data-ruler="${axis}"]`);
      if (!node) continue;
      const marks: string[] = [];
      for (let mm = 0; mm <= end; mm += scale < 1.2 ? 10 : 5) {
        const at = Math.round(start + mm * scale) + 0.5;
        if (at < 0 || at > length) continue;
        const long = mm % 50 === 0;
        const depth = long ? 10 : mm % 10 === 0 ? 6 : 3;
        marks.push(axis === 'x' ? `<path d="M${at} 18v-${depth}"/>` : `<path d="M18 ${at}h-${depth}"/>`);
        if (long)
          marks.push(
            axis === 'x'
              ? `<text x="${at + 2}" y="9">${mm}</text>`
              : `<text transform="translate(8 ${at - 2}) rotate(-90)">${mm}</text>`,
          );
      }
      node.innerHTML = `<svg width="${axis === 'x' ? length : 18}" height="${axis === 'x' ? 18 : length}">${marks.join('')}</svg>`;
    }
  }
}
