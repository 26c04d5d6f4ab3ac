// Double-click on a cell: window, zoom and crop of its image in place. The picture comes from the same rendering as the
// paper; what is kept goes into the arrangement and the page is drawn by the server again.
import { all, element, one } from '../shell/dom';
import { json } from '../shell/http';
import { t } from '../shell/i18n';
import { failed } from '../shell/toasts';
import type { Pages } from './pages';
import type { Arrangement, Item } from './state';
import { showInBar } from './edit-bar';
import { listenTo, type EditTarget } from './edit-input';
import { EditPicture } from './edit-picture';
import { cropNow, pixelsNow, WHOLE, type Editing } from './editing';
import {
  base,
  flipped,
  held,
  lies,
  lookOf,
  seen,
  turned,
  zoomed,
  type Crop,
  type Facts,
  type Look,
  type Scaling,
} from './view';

export class InPlace implements EditTarget {
  private now: Editing | null = null;
  private asked = 0;
  private readonly picture = new EditPicture(
    () => this.now,
    () => this.draw(),
  );
  private readonly bar: HTMLElement;

  constructor(
    private readonly root: HTMLElement,
    private readonly form: HTMLFormElement,
    private readonly arrangement: Arrangement,
    private readonly pages: Pages,
  ) {
    const bar = one<HTMLElement>('[data-edit-bar]', root);
    if (!bar) throw new Error('the composer has no bar to edit with');
    this.bar = bar;
    pages.beforeDraw = () => this.close(true);
    pages.onFit = () => this.place();
    bar.addEventListener('click', (event) => {
      const button = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-edit-do]') : null;
      if (button) this.act(button.dataset.editDo ?? '');
    });
    bar.addEventListener('input', (event) => this.typed(event.target as HTMLInputElement));
    bar.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.end(event, false);
      else if (event.key === 'Enter' && event.target instanceof HTMLInputElement) this.end(event, true);
    });
    root.addEventListener(
      'pointerdown',
      (event) => {
        if (
          this.now &&
          event.target instanceof Node &&
          !this.now.view.contains(event.target) &&
          !bar.contains(event.target)
        )
          this.close(true);
      },
      { capture: true },
    );
  }

  get open(): boolean {
    return this.now !== null;
  }

  get editing(): Editing | null {
    return this.now;
  }

  get dragMoves(): boolean {
    return one<HTMLInputElement>('[name="edit-drag"]:checked', this.bar)?.value === 'move';
  }

  private showState(): void {
    if (this.now) showInBar(this.bar, this.now);
  }

  async edit(cell: number): Promise<void> {
    this.close(true);
    const item = this.arrangement.cells[cell];
    if (!item) return;
    const mine = ++this.asked;
    let facts: Facts;
    try {
      facts = await json<Facts>(
        'GET',
        `/api/v1/prints/preview/image?sop=${encodeURIComponent(item.sop_instance_uid)}&frame=${item.frame}`,
      );
    } catch (fault) {
      return failed(t('This image cannot be edited'), fault);
    }
    if (mine !== this.asked || this.arrangement.cells[cell] !== item) return;
    this.start(cell, item, facts);
  }

  private start(cell: number, item: Item, facts: Facts): void {
    const picture = element('img', { attrs: { alt: '', draggable: 'false' } });
    const view = element(
      'div',
      {
        class: 'composer-edit',
        attrs: {
          tabindex: '0',
          role: 'application',
          'aria-label': t(
            'Image in cell {n}: arrow keys pan, plus and minus zoom, Shift with arrow keys changes the window, Enter applies, Escape cancels',
            { n: (cell % this.arrangement.cellsPerPage) + 1 },
          ),
        },
      },
      picture,
    );
    one('[data-paper]', this.root)?.append(view);
    const window = item.window ?? facts.window ?? undefined;
    this.now = {
      cell,
      was: item,
      item: { ...item, ...(window ? { window } : {}) },
      facts,
      room: { width: 1, height: 1 },
      scale: 1,
      look: { zoom: 1, x: 0.5, y: 0.5 },
      moved: false,
      changed: false,
      view,
      picture,
    };
    for (const part of all<HTMLElement>('[data-edit-window]', this.bar)) part.hidden = !window;
    const drag = one<HTMLInputElement>(`[name="edit-drag"][value="${window ? 'window' : 'move'}"]`, this.bar);
    if (drag) drag.checked = true;
    this.bar.hidden = false;
    this.place();
    listenTo(view, this);
    this.showState();
    this.picture.load();
    view.focus({ preventScroll: true });
  }

  /** Puts the view over its cell; called again when the page is zoomed or the window changes its size. */
  private place(): void {
    const now = this.now;
    if (!now) return;
    const edge = one<SVGGraphicsElement>(
      `[data-paper] [data-cell="${now.cell % this.arrangement.cellsPerPage}"] .cell-edge`,
      this.root,
    );
    const paper = now.view.parentElement;
    if (!edge || !paper) return this.close(false);
    const [on, at] = [edge.getBoundingClientRect(), paper.getBoundingClientRect()];
    for (const [name, value] of Object.entries({
      left: on.left - at.left,
      top: on.top - at.top,
      width: on.width,
      height: on.height,
    }))
      now.view.style.setProperty(name, `${value}px`);
    const stage = paper.parentElement?.getBoundingClientRect() ?? at;
    this.bar.classList.toggle('above', on.top + on.height / 2 > stage.top + stage.height / 2); // never over what is edited
    const look = now.moved ? now.look : null;
    now.room = { width: on.width, height: on.height };
    this.measure(now, look);
    this.draw();
  }

  private measure(now: Editing, keep: Look | null): void {
    const image = seen(now.facts, now.item);
    const scaling = this.scaling();
    now.scale = base(image, now.room, scaling, this.pages.perMillimetre());
    now.look = keep ?? lookOf(now.item.crop ?? WHOLE, image, now.room, now.scale, scaling);
  }

  private scaling(): Scaling {
    return new FormData(this.form).get('scaling') as Scaling;
  }

  private draw(): void {
    const now = this.now;
    if (!now) return;
    const at = lies(now.look, seen(now.facts, now.item), now.room, now.scale);
    for (const [name, value] of Object.entries(at)) now.picture.style.setProperty(name, `${value}px`);
    // Before anything is moved only the crop as it was is shown, which may be narrower than the cell.
    const [x, y, width, height] = now.moved ? WHOLE : (now.item.crop ?? WHOLE);
    now.picture.style.setProperty(
      'clip-path',
      `inset(${y * 100}% ${(1 - x - width) * 100}% ${(1 - y - height) * 100}% ${x * 100}%)`,
    );
  }

  act(what: string): void {
    const now = this.now;
    if (!now) return;
    const middle = [now.room.width / 2, now.room.height / 2] as const;
    if (what === 'larger') this.zoom(1.25, ...middle);
    else if (what === 'smaller') this.zoom(1 / 1.25, ...middle);
    else if (what === 'invert') this.set({ ...now.item, invert: !now.item.invert });
    else if (what === 'rotate')
      this.turn((((now.item.rotation ?? 0) + (now.item.flip ? 270 : 90)) % 360) as Item['rotation'], turned);
    else if (what === 'flip') this.turn(now.item.rotation, flipped, !now.item.flip);
    else if (what === 'reset') this.reset();
    else if (what === 'done') this.close(true, true);
    else if (what === 'cancel') this.close(false, true);
  }

  /** The stored frame is turned first and flipped then: turned by a quarter as seen, a flipped one turns the other way. */
  private turn(rotation: Item['rotation'], part: (crop: Crop) => Crop, flip = this.now?.item.flip): void {
    const now = this.now;
    if (!now) return;
    const crop = part(cropNow(now));
    this.set({ ...now.item, rotation: rotation ?? 0, flip: flip ?? false, crop });
    now.moved = false;
    this.measure(now, null);
    this.draw();
  }

  private reset(): void {
    const now = this.now;
    if (!now) return;
    const { sop_instance_uid, frame } = now.item;
    this.set({ sop_instance_uid, frame, ...(now.facts.window ? { window: now.facts.window } : {}) });
    now.moved = false;
    this.measure(now, null);
    this.draw();
    this.showState();
  }

  private set(item: Item): void {
    if (!this.now) return;
    this.now.item = item;
    this.now.changed = true;
    this.showState();
    this.picture.load();
  }

  window(window: [number, number]): void {
    if (this.now) this.set({ ...this.now.item, window });
  }

  private typed(field: HTMLInputElement): void {
    const now = this.now;
    const value = field.valueAsNumber;
    if (!now?.item.window || !Number.isFinite(value)) return;
    if (field.dataset.edit === 'center') this.window([value, now.item.window[1]]);
    else if (field.dataset.edit === 'width' && value > 0) this.window([now.item.window[0], value]);
  }

  zoom(factor: number, x: number, y: number): void {
    const now = this.now;
    if (!now || this.scaling() === 'actual') return; // its size on paper is the point of it
    this.look(zoomed(now.look, factor, x, y, seen(now.facts, now.item), now.room, now.scale));
  }

  shift(from: Look, dx: number, dy: number): void {
    const now = this.now;
    if (!now) return;
    const image = seen(now.facts, now.item);
    const by = now.scale * from.zoom;
    this.look(
      held(
        { zoom: from.zoom, x: from.x - dx / (image.width * by), y: from.y - dy / (image.height * by) },
        image,
        now.room,
        now.scale,
      ),
    );
  }

  private look(look: Look): void {
    const now = this.now;
    if (!now) return;
    const sharp = pixelsNow(now);
    now.look = look;
    now.moved = now.changed = true;
    this.draw();
    this.showState();
    if (pixelsNow(now) !== sharp) this.picture.load();
  }

  end(event: KeyboardEvent, keep: boolean): void {
    event.preventDefault();
    event.stopPropagation();
    this.close(keep, true);
  }

  /** keep: what was changed goes into the arrangement, one step to undo. back: the cell has the focus again. */
  close(keep: boolean, back = false): void {
    const now = this.now;
    this.asked += 1;
    if (!now) return;
    const crop = cropNow(now);
    this.now = null; // first: what follows draws, and drawing closes
    now.view.remove();
    this.bar.hidden = true;
    if (keep && now.changed && this.arrangement.cells[now.cell] === now.was) {
      const kept: Item = { ...now.item, crop };
      if (crop.every((value, n) => value === WHOLE[n])) delete kept.crop;
      this.arrangement.edit(now.cell, kept);
    }
    if (back) this.pages.choose(now.cell);
  }
}
