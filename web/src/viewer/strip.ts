/** The strip of series at the left: choose, drag into a viewport, and see how much is loaded. */
import type { SeriesLoad } from './loading/load';

export class Strip {
  private readonly items: HTMLElement[];

  constructor(element: HTMLElement, choose: (seriesUid: string) => void) {
    this.items = [...element.querySelectorAll<HTMLElement>('[data-series]')];
    for (const item of this.items) {
      const uid = item.dataset['series'] as string;
      item.addEventListener('click', () => choose(uid));
      item.addEventListener('dragstart', (event) => event.dataTransfer?.setData('application/x-filmroom-series', uid));
    }
  }

  /** Marks the series that the active viewport shows. */
  show(seriesUid: string | undefined): void {
    for (const item of this.items) {
      const current = item.dataset['series'] === seriesUid;
      if (current) item.setAttribute('aria-current', 'true');
      else item.removeAttribute('aria-current');
    }
  }

  next(seriesUid: string | undefined, step: 1 | -1): string | undefined {
    const at = this.items.findIndex((item) => item.dataset['series'] === seriesUid);
    return this.items[at + step]?.dataset['series'];
  }

  progress(load: SeriesLoad): void {
    const item = this.items.find((one) => one.dataset['series'] === load.series.uid);
    const ring = item?.querySelector<SVGElement>('.ring');
    if (!ring) return;
    const share = load.total ? load.loaded / load.total : 1;
    ring.style.setProperty('--done', String(share));
    ring.classList.toggle('full', load.state === 'loaded');
    ring.classList.toggle('bad', load.state === 'failed');
  }

  /** Where a dragged series is let go. */
  static acceptDrops(target: HTMLElement, drop: (seriesUid: string, at: Element | null) => void): void {
    target.addEventListener('dragover', (event) => {
      if (event.dataTransfer?.types.includes('application/x-filmroom-series')) event.preventDefault();
    });
    target.addEventListener('drop', (event) => {
      const uid = event.dataTransfer?.getData('application/x-filmroom-series');
      if (!uid) return;
      event.preventDefault();
      drop(uid, event.target instanceof Element ? event.target.closest('.cell') : null);
    });
  }
}
