// The images of a series at the left: pick several (Shift, Ctrl), numbers show the order in which they will be placed.
import { all, element, one } from '../shell/dom';
import { t, tn } from '../shell/i18n';
import { key, type Arrangement, type Item } from './state';

export interface Series {
  uid: string;
  title: string;
  modality: string;
  frames: [string, number, string][]; // SOP Instance UID, frame, number shown
}

export class Strip {
  private picked: string[] = [];
  private frames: Item[] = [];
  private last = 0;
  private readonly list: HTMLElement;
  private readonly select: HTMLSelectElement;

  constructor(
    private readonly root: HTMLElement,
    private readonly series: Series[],
    private readonly arrangement: Arrangement,
    private readonly seen: Map<string, Item>, // the window a frame was sent with stays with it
  ) {
    const list = one<HTMLElement>('[data-thumbs]', root);
    const select = one<HTMLSelectElement>('#composer-series', root);
    if (!list || !select) throw new Error('the composer has no strip');
    this.list = list;
    this.select = select;
    select.addEventListener('change', () => this.show());
    list.addEventListener('click', (event) => this.click(event));
    list.addEventListener('keydown', (event) => this.press(event));
    list.addEventListener('dblclick', () => this.place());
    arrangement.onChange(() => this.mark());
    this.show();
  }

  get current(): Series | undefined {
    return this.series.find((one) => one.uid === this.select.value);
  }

  /** Every frame of the series that is shown. */
  everything(): Item[] {
    return this.frames;
  }

  chosen(): Item[] {
    return this.picked.flatMap((name) => this.frames.find((item) => key(item) === name) ?? []);
  }

  clear(): void {
    this.picked = [];
    this.mark();
  }

  /** Puts the picked images into empty cells, from the first on. */
  place(at = 0): void {
    const items = this.chosen();
    if (!items.length) return;
    this.arrangement.add(items, at);
    this.clear();
  }

  /** Items of a drag from this thumbnail: all that is picked when it is one of them. */
  carried(thumb: HTMLElement): Item[] {
    const name = thumb.dataset.key ?? '';
    if (this.picked.includes(name)) return this.chosen();
    return this.frames.filter((item) => key(item) === name);
  }

  private show(): void {
    const series = this.current;
    this.picked = [];
    this.last = 0;
    this.frames = (series?.frames ?? []).map(
      ([sop, frame]) => this.seen.get(`${sop}:${frame}`) ?? { sop_instance_uid: sop, frame },
    );
    this.list.replaceChildren(
      ...(series?.frames ?? []).map(([sop, frame, shown], index) => this.thumb(sop, frame, shown, index)),
    );
    this.mark();
  }

  private thumb(sop: string, frame: number, shown: string, index: number): HTMLElement {
    const picture = element('img', {
      attrs: {
        src: `/api/v1/prints/preview/picture?sop=${encodeURIComponent(sop)}&frame=${frame}&size=128`,
        alt: '',
        loading: 'lazy',
        decoding: 'async',
        draggable: 'false',
      },
    });
    picture.addEventListener(
      'error',
      () => picture.replaceWith(element('span', { class: 'composer-undrawable', text: t('Cannot be displayed') })),
      { once: true },
    );
    const label = t('Image {name}', { name: shown || String(index + 1) });
    return element(
      'li',
      {
        class: 'composer-thumb',
        attrs: {
          role: 'option',
          'aria-selected': 'false',
          'aria-label': label,
          title: label,
          tabindex: index ? '-1' : '0',
          'data-key': `${sop}:${frame}`,
          'data-index': String(index),
        },
      },
      picture,
      element('span', { class: 'pill end', text: shown, attrs: { 'aria-hidden': 'true' } }),
    );
  }

  private at(event: Event): HTMLElement | null {
    return event.target instanceof Element ? event.target.closest<HTMLElement>('.composer-thumb') : null;
  }

  private click(event: MouseEvent): void {
    const thumb = this.at(event);
    if (!thumb) return;
    this.pick(Number(thumb.dataset.index), event.shiftKey);
    this.focus(Number(thumb.dataset.index));
  }

  private pick(index: number, range: boolean): void {
    const name = (n: number): string => key(this.frames[n] as Item);
    if (range) {
      const step = index >= this.last ? 1 : -1;
      for (let n = this.last; n !== index + step; n += step)
        if (!this.picked.includes(name(n))) this.picked.push(name(n));
    } else if (this.picked.includes(name(index))) this.picked = this.picked.filter((one) => one !== name(index));
    else this.picked.push(name(index));
    this.last = index;
    this.mark();
  }

  private press(event: KeyboardEvent): void {
    const thumb = this.at(event);
    if (!thumb) return;
    const index = Number(thumb.dataset.index);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -2, ArrowDown: 2 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const next = Math.min(this.frames.length - 1, Math.max(0, index + step));
      if (event.shiftKey) this.pick(next, true);
      this.focus(next);
    } else if (event.key === ' ') {
      event.preventDefault();
      this.pick(index, event.shiftKey);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      if (!this.picked.length) this.pick(index, false);
      this.place();
    } else if (event.key === 'a' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.picked = this.frames.map(key);
      this.mark();
    } else if (event.key === 'Escape') this.clear();
  }

  private focus(index: number): void {
    for (const thumb of all<HTMLElement>('.composer-thumb', this.list))
      thumb.tabIndex = Number(thumb.dataset.index) === index ? 0 : -1;
    this.list.querySelector<HTMLElement>(`[data-index="${index}"]`)?.focus();
  }

  private mark(): void {
    const placed = new Set(this.arrangement.cells.flatMap((item) => (item ? [key(item)] : [])));
    for (const thumb of all<HTMLElement>('.composer-thumb', this.list)) {
      const name = thumb.dataset.key ?? '';
      const order = this.picked.indexOf(name);
      thumb.setAttribute('aria-selected', order >= 0 ? 'true' : 'false');
      thumb.classList.toggle('placed', placed.has(name));
      thumb.querySelector('.order')?.remove();
      if (order >= 0) thumb.append(element('span', { class: 'pill order', text: String(order + 1) }));
    }
    const said = one<HTMLElement>('[data-picked]', this.root);
    if (said) said.textContent = t('{n} of {all} selected', { n: this.picked.length, all: this.frames.length });
    const button = one<HTMLElement>('[data-do="place"]', this.root);
    if (button) {
      button.hidden = this.picked.length === 0;
      const label = button.querySelector('span');
      if (label) label.textContent = tn('Add {n} image', 'Add {n} images', this.picked.length);
    }
  }
}
