/** One opened study: brings page, series in memory, grid, strip and panel together. */
import { Enums, eventTarget } from '@cornerstonejs/core';
import { annotation } from '@cornerstonejs/tools';
import { actionsOf } from './actions';
import type { Cell } from './cell';
import type { ViewerControl } from './control';
import { engine, freeImages } from './engine';
import { Grid, type Layout } from './grid';
import { wireKeys } from './keys';
import type { SeriesLoad } from './loading/load';
import { frameOf, seriesOf } from './loading/metadata';
import { Loads } from './loads';
import type { Series, Study } from './manifest';
import { readManifest } from './manifest-read';
import { clearMarks, mark, markPreview, say, silence } from './marks';
import { hideObject, objectOf, showObject } from './objects';
import { Panel } from './panel';
import { prefetchAround } from './prefetch';
import { Strip } from './strip';
import { t } from './strings';
import { follow } from './sync';
import { writeCell } from './text';
import { Toolbar } from './toolbar';
import { Cine } from './tools/cine';
import { styleMarks } from './tools/measure';
import { forget } from './tools/remove';
import { askBeforeLeaving, restore } from './unsaved';

export class Viewer implements ViewerControl {
  readonly grid: Grid;
  readonly cine = new Cine();
  readonly strip: Strip;
  synced = false;
  private study: Study | undefined;
  private readonly loads = new Loads((load) => this.arrived(load));
  private readonly panel: Panel;
  private readonly toolbar: Toolbar;
  private readonly unwire: () => void;
  private readonly unguard = askBeforeLeaving();
  private readonly dirty = new Set<Cell>();
  private drawing = 0;
  private closed = false;
  private firstSoon = false;
  private painted = false;

  private readonly narrow = matchMedia('(max-width: 1100px)');
  /** On a narrow screen the panel would lie over the image. */
  private readonly closePanelIfNarrow = (): void => {
    if (!this.narrow.matches) return;
    this.root.classList.add('no-panel');
    this.toolbar?.update();
  };

  constructor(readonly root: HTMLElement) {
    this.closePanelIfNarrow();
    this.narrow.addEventListener('change', this.closePanelIfNarrow);
    say('loading');
    clearMarks();
    markPreview(root.querySelector<HTMLImageElement>('.cell-preview'));
    // The answer travels while Cornerstone starts, which blocks this thread.
    const manifest = fetchManifest(root.dataset['study'] ?? '');
    engine();
    styleMarks(root);
    const gridElement = root.querySelector<HTMLElement>('.viewer-grid') as HTMLElement;
    const hooks = {
      changed: (cell: Cell) => this.changed(cell),
      painted: (cell: Cell) => this.onPainted(cell),
      failed: () => undefined,
    };
    this.grid = new Grid(gridElement, root.querySelector('#viewer-cell') as HTMLTemplateElement, hooks, () =>
      this.chosen(),
    );
    this.strip = new Strip(root.querySelector('.viewer-strip') as HTMLElement, (uid) => this.showSeries(uid));
    Strip.acceptDrops(gridElement, (uid, at) =>
      this.showSeries(
        uid,
        this.grid.cells.find((cell) => cell.element === at),
      ),
    );
    this.panel = new Panel(
      root.querySelector('.viewer-panel') as HTMLElement,
      () => this.grid.current,
      (imageId) => this.goTo(imageId),
      (uid) => this.showSeries(uid),
    );
    const actions = actionsOf(this);
    this.toolbar = new Toolbar(root, actions.run, this);
    this.unwire = wireKeys(actions.keys);
    eventTarget.addEventListener(Enums.Events.IMAGE_LOAD_FAILED, this.onFailed);
    manifest.then(
      (study) => this.begin(study),
      (reason: unknown) => this.fail(this.grid.current, reason),
    );
  }

  /** Leaves the page: everything that holds memory goes, the engine and its WebGL context stay. */
  close(): void {
    this.closed = true;
    eventTarget.removeEventListener(Enums.Events.IMAGE_LOAD_FAILED, this.onFailed);
    this.cine.stop();
    cancelAnimationFrame(this.drawing);
    this.unwire();
    this.narrow.removeEventListener('change', this.closePanelIfNarrow);
    this.unguard();
    this.toolbar.destroy();
    this.panel.destroy();
    this.grid.destroy();
    this.loads.close();
    annotation.state.removeAllAnnotations();
    forget();
    freeImages();
    silence();
  }

  get studyUid(): string {
    return this.study?.uid ?? this.root.dataset['study'] ?? '';
  }

  setLayout(layout: Layout): void {
    const before = this.grid.cells.length;
    this.grid.setLayout(layout);
    const shown = new Set(this.grid.cells.map((cell) => cell.series?.uid));
    const waiting = (this.study?.series ?? []).filter((series) => !shown.has(series.uid) && series.frames.length > 0);
    for (const cell of this.grid.cells.slice(before)) {
      const series = waiting.shift();
      if (series) this.put(cell, series, 0);
    }
    this.toolbar.update();
  }

  showSeries(uid: string, cell: Cell = this.grid.current): void {
    const series = this.study?.series.find((one) => one.uid === uid);
    if (series) this.put(cell, series, 0);
  }

  goTo(imageId: string): void {
    const frame = frameOf(imageId);
    const series = seriesOf(imageId);
    const cell = this.grid.cells.find((one) => one.series?.uid === series?.uid) ?? this.grid.current;
    if (!frame || !series) return;
    if (cell.series === series) cell.scrollTo(frame.index);
    else this.put(cell, series, frame.index);
  }

  /** Shows what a verb has changed on the buttons. */
  refresh(): void {
    if (!this.closed) this.toolbar.update();
  }

  private begin(study: Study): void {
    if (this.closed) return;
    this.study = study;
    restore(study.uid);
    const { series: wantedSeries, instance, frame } = this.root.dataset;
    const series =
      study.series.find((one) => one.uid === wantedSeries) ??
      study.series.find((one) => one.frames.length > 0) ??
      study.series[0];
    if (!series) return this.fail(this.grid.current, t('This study has no objects.'));
    const at = series.frames.findIndex((one) => one.instance.uid === instance && one.frame === Number(frame ?? '1'));
    this.put(this.grid.current, series, Math.max(0, at));
  }

  private put(cell: Cell, series: Series, at: number): void {
    this.cine.release(cell);
    const object = objectOf(series);
    cell.element.dataset['instance'] = object?.uid ?? '';
    cell.element.removeAttribute('data-undrawable');
    cell.element.querySelector<HTMLElement>('.cell-notice')?.setAttribute('hidden', ''); // it was about the series before
    this.strip.show(series.uid);
    if (object && this.study) {
      cell.clear();
      cell.element.dataset['series'] = series.uid;
      showObject(cell, this.study, series, object);
      cell.element.querySelector('.cell-preview')?.remove();
      if (cell.index === 0) say('loaded');
      this.chosen();
      return;
    }
    hideObject(cell);
    const shown = new Set(this.grid.cells.flatMap((one) => one.series?.uid ?? []));
    const load = this.loads.open(series, at, shown);
    cell.show(load, at).then(
      () => this.chosen(),
      (reason: unknown) => this.fail(cell, reason),
    );
    this.toolbar.update();
  }

  /** A cell became the active one, or shows something else. */
  private chosen(): void {
    if (this.closed) return;
    this.strip.show(this.grid.current.series?.uid ?? this.grid.current.element.dataset['series']);
    this.panel.imageChanged();
    this.toolbar.update();
  }

  private changed(cell: Cell): void {
    this.dirty.add(cell);
    if (this.drawing === 0) this.drawing = requestAnimationFrame(() => this.write());
  }

  private write(): void {
    this.drawing = 0;
    const { study } = this;
    if (!study || this.closed) return;
    for (const cell of this.dirty) writeCell(cell, study);
    if (this.dirty.has(this.grid.current)) this.toolbar.update();
    this.dirty.clear();
  }

  private onPainted(cell: Cell): void {
    prefetchAround(cell);
    if (this.synced && cell === this.grid.current) follow(cell, this.grid.cells);
    if (cell === this.grid.current) this.panel.imageChanged();
    if (this.painted || this.firstSoon) return;
    this.firstSoon = true;
    // The canvas is drawn now and on the screen with the next frame.
    requestAnimationFrame(() => {
      if (this.closed) return;
      this.painted = true;
      mark('filmroom:first-image');
      cell.element.querySelector('.cell-preview')?.remove();
      say('image');
      if (cell.load) this.arrived(cell.load);
    });
  }

  /** With WebGL a viewport keeps silent about an image that did not come: it is shown here. */
  private readonly onFailed = (event: Event): void => {
    const { imageId } = (event as CustomEvent<{ readonly imageId: string }>).detail;
    for (const cell of this.grid.cells.filter((one) => one.frame?.imageId === imageId)) {
      cell.element.querySelector('.cell-preview')?.remove();
      this.changed(cell);
      if (cell.index === 0 && !this.painted) say('failed');
    }
  };

  private arrived(load: SeriesLoad): void {
    if (this.closed) return;
    this.strip.progress(load);
    if (load.series !== this.grid.cells[0]?.series) return;
    if (load.state === 'loaded' && this.painted) {
      mark('filmroom:all-loaded');
      say('loaded');
    } else if (load.state === 'failed') say('failed');
  }

  /** Says in the cell why there is no picture. */
  private fail(cell: Cell, reason: unknown): void {
    if (this.closed || (reason instanceof DOMException && reason.name === 'AbortError')) return;
    const notice = cell.element.querySelector<HTMLElement>('.cell-notice');
    const words = reason instanceof Error ? reason.message : String(reason);
    if (notice) {
      notice.hidden = false;
      notice.querySelector('button')?.setAttribute('hidden', '');
      (notice.querySelector('span') ?? notice).textContent = t('This image cannot be displayed: {reason}', {
        reason: words,
      });
    }
    say('failed');
  }
}

async function fetchManifest(studyUid: string): Promise<Study> {
  const response = await fetch(`/api/v1/studies/${encodeURIComponent(studyUid)}/manifest`, {
    credentials: 'same-origin',
  });
  if (!response.ok) throw new Error(t('the server returned status {status}', { status: response.status }));
  return readManifest(await response.json());
}
