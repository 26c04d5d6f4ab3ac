/** One viewport of the grid: shows one series and answers for its window, zoom, turn and slice. */
import { Enums, utilities, type StackViewport, type Types } from '@cornerstonejs/core';
import { engine, onCpu } from './engine';
import { failureReason, fallbackReason } from './loading/image';
import type { SeriesLoad } from './loading/load';
import type { Description, VoiFunction } from './appearance';
import { descriptionOf } from './loading/describe';
import type { Frame, Series } from './manifest';
import { OverlayLayer } from './overlay-layer';
import type { Point } from './seen';
import { shade } from './shading';
import { functionFor, lutNodes, openingRange, rangeOf, windowNodes, windowOf, type Range, type Window } from './voi';

export const MIN_ZOOM = 0.1;
export const MAX_ZOOM = 8;

export interface CellHooks {
  /** Something that is written on the cell has changed. */
  readonly changed: (cell: Cell) => void;
  /** A frame has been painted in full quality. */
  readonly painted: (cell: Cell) => void;
  readonly failed: (cell: Cell, reason: string) => void;
}

export class Cell {
  readonly id: string;
  readonly canvas: HTMLDivElement;
  series: Series | undefined;
  load: SeriesLoad | undefined;
  private shown = -1;
  private unlisten: (() => void) | undefined;
  /** The window that the user has set; undefined = each frame opens with the window of its header. */
  private chosen: Range | undefined;
  /** Values last passed to Cornerstone: its own events about them are not a choice of the user. */
  private applied: Range | undefined;
  private shadedImage = '';
  /** The notice that was closed by hand: it does not return while its text is the same. */
  closedNotice = '';
  private settling = false;
  private readonly overlays: OverlayLayer;
  /** Whether the overlays of the frame could not be read. */
  overlaysFailed = false;

  constructor(
    readonly element: HTMLElement,
    readonly index: number,
    private readonly hooks: CellHooks,
  ) {
    this.id = `cell-${index}`;
    this.canvas = element.querySelector<HTMLDivElement>('.cell-canvas') as HTMLDivElement;
    engine().enableElement({ viewportId: this.id, element: this.canvas, type: Enums.ViewportType.STACK });
    this.overlays = new OverlayLayer(
      element.querySelector('.cell-overlay') as HTMLCanvasElement,
      () => this.viewport,
      () => {
        this.overlaysFailed = true;
        hooks.changed(this);
      },
    );
    const notice = element.querySelector<HTMLElement>('.cell-notice');
    notice?.querySelector('button')?.addEventListener('click', () => {
      this.closedNotice = notice.querySelector('span')?.textContent ?? '';
      notice.hidden = true;
    });
    this.listen();
  }

  get viewport(): StackViewport {
    return engine().getViewport(this.id) as StackViewport;
  }

  get frame(): Frame | undefined {
    return this.series?.frames[this.at];
  }

  get at(): number {
    return this.series ? this.viewport.getTargetImageIdIndex() : 0;
  }

  /** Whether the frame that was asked for is really in the picture; IMAGE_RENDERED alone also comes for a black canvas. */
  get complete(): boolean {
    const { frame } = this;
    return frame !== undefined && this.viewport.getCornerstoneImage()?.imageId === frame.imageId;
  }

  /** Shows `load`'s series at frame `at`; resolves when its image is in the viewport. */
  async show(load: SeriesLoad, at: number): Promise<void> {
    this.unlisten?.();
    this.series = load.series;
    this.load = load;
    this.shown = -1;
    this.chosen = undefined;
    this.settling = true;
    this.unlisten = load.onChange(() => this.hooks.changed(this));
    this.element.dataset['series'] = load.series.uid;
    try {
      await this.viewport.setStack(
        load.series.frames.map((frame) => frame.imageId),
        Math.min(Math.max(at, 0), load.series.frames.length - 1),
      );
    } finally {
      this.settling = false;
    }
    this.viewport.resetCamera();
    this.shade();
    this.viewport.render();
    this.hooks.changed(this);
  }

  /** Empties the cell: nothing of the former series stays on the canvas. */
  clear(): void {
    this.unlisten?.();
    this.unlisten = undefined;
    this.series = undefined;
    this.load = undefined;
    delete this.element.dataset['series'];
    this.overlays.draw(undefined);
    engine().disableElement(this.id);
    engine().enableElement({ viewportId: this.id, element: this.canvas, type: Enums.ViewportType.STACK });
  }

  destroy(): void {
    this.unlisten?.();
    engine().disableElement(this.id);
  }

  scrollTo(index: number): void {
    if (!this.series) return;
    const target = Math.min(Math.max(index, 0), this.series.frames.length - 1);
    if (target !== this.at) void this.viewport.setImageIdIndex(target).catch(() => undefined);
    this.hooks.changed(this);
  }

  scrollBy(delta: number, around = false): void {
    const count = this.series?.frames.length ?? 0;
    if (count === 0) return;
    const target = this.at + delta;
    this.scrollTo(around ? (target + count) % count : target);
  }

  /** Colours have no window. */
  get colour(): boolean {
    return this.series !== undefined && this.viewport.getCornerstoneImage()?.color === true;
  }

  /** Whether no window has been set. */
  get opensAsStored(): boolean {
    return this.chosen === undefined;
  }

  /** Window as center and width; undefined for colours and while a VOI LUT of the header is used. */
  window(): Window | undefined {
    if (!this.series || this.colour) return undefined;
    if (this.chosen) return windowOf(this.chosen, this.functionOf(this.chosen));
    const shown = this.description();
    if (shown?.voiLut) return undefined;
    return shown?.window ?? (this.applied && windowOf(this.applied, 'LINEAR'));
  }

  /** The VOI LUT of the header that is used, by its explanation. */
  lutName(): string | undefined {
    const lut = this.chosen ? undefined : this.description()?.voiLut;
    return lut && (lut.name || 'VOI LUT');
  }

  setWindow(center: number, width: number): void {
    const { frame } = this;
    if (!frame || this.colour) return;
    this.choose(rangeOf({ center, width }, functionFor(width, frame.appearance.windows, frame.appearance.floats)));
  }

  /** Goes back to how each frame opens: the first window of its header, its VOI LUT, or a window computed from its pixels. */
  useDefaultWindow(): void {
    this.choose(undefined);
  }

  private choose(range: Range | undefined): void {
    this.chosen = range;
    this.shade();
    this.draw();
  }

  private description(): Description | undefined {
    return this.frame && descriptionOf(this.frame);
  }

  private functionOf(range: Range): VoiFunction {
    const { frame } = this;
    return frame
      ? functionFor(range.upper - range.lower + 1, frame.appearance.windows, frame.appearance.floats)
      : 'LINEAR';
  }

  /** Puts the window or VOI LUT in use, and the inversion, on what the viewport shows. */
  private shade(): void {
    const { frame, viewport } = this;
    const image = viewport.getCornerstoneImage();
    if (!frame || !image || image.imageId !== frame.imageId || image.color) return;
    const shown = this.description();
    const lut = this.chosen ? undefined : shown?.voiLut;
    const range = this.chosen ?? openingRange(shown, image.minPixelValue, image.maxPixelValue);
    const name = this.chosen ? this.functionOf(this.chosen) : (shown?.window?.function ?? 'LINEAR');
    this.applied = range;
    this.shadedImage = image.imageId;
    viewport.setProperties({ voiRange: range }, true);
    shade(
      viewport,
      lut ? lutNodes(lut) : windowNodes(range, name),
      frame.appearance.inverted !== Boolean(viewport.getProperties().invert),
    );
  }

  /** 1 = one image pixel on one CSS pixel. */
  zoom(): number {
    const image = this.viewport.getCornerstoneImage();
    if (!image) return 1;
    const { parallelScale } = this.viewport.getCamera();
    if (!parallelScale) return 1;
    return (this.canvas.clientHeight * image.rowPixelSpacing) / (2 * parallelScale);
  }

  setZoom(zoom: number): void {
    if (!this.series) return;
    const wanted = Math.min(Math.max(zoom, MIN_ZOOM), MAX_ZOOM);
    this.viewport.setZoom((this.viewport.getZoom() * wanted) / this.zoom());
    this.draw();
  }

  /** Shows the whole image in the middle; turns and flips stay, which Cornerstone would reset too. */
  fit(): void {
    if (!this.series) return;
    const { flipHorizontal, flipVertical } = this.viewport.getCamera();
    const rotation = this.viewport.getRotation();
    this.viewport.resetCamera({ resetPan: true, resetZoom: true });
    this.viewport.setCamera({ flipHorizontal: flipHorizontal ?? false, flipVertical: flipVertical ?? false });
    this.viewport.setViewPresentation({ rotation });
    this.draw();
  }

  invert(): void {
    if (!this.series) return;
    this.viewport.setProperties({ invert: !this.viewport.getProperties().invert });
    this.shade();
    this.draw();
  }

  rotate(degrees: number): void {
    if (!this.series) return;
    this.viewport.setViewPresentation({ rotation: (this.viewport.getRotation() + degrees + 360) % 360 });
    this.draw();
  }

  flip(axis: 'horizontal' | 'vertical'): void {
    if (!this.series) return;
    const camera = this.viewport.getCamera();
    // With WebGL a flip is one of the screen, without it one of the image under the turn.
    const turned = onCpu() && this.viewport.getRotation() % 180 !== 0;
    const across = (axis === 'horizontal') !== turned;
    this.viewport.setCamera(
      across ? { flipHorizontal: !camera.flipHorizontal } : { flipVertical: !camera.flipVertical },
    );
    this.draw();
  }

  /** Back to how the image opened: window of the tags, whole image, no turn, no inversion. */
  reset(): void {
    if (!this.series) return;
    this.viewport.setViewPresentation({ rotation: 0, flipHorizontal: false, flipVertical: false });
    this.chosen = undefined;
    this.settling = true;
    this.viewport.resetProperties();
    this.settling = false;
    this.viewport.resetCamera();
    this.shade();
    this.draw();
  }

  /** Whether the user has inverted the image, in addition to its own inversion. */
  inverted(): boolean {
    return Boolean(this.viewport.getProperties().invert);
  }

  /** Pixels of the screen that the picture has space in. */
  get size(): { readonly width: number; readonly height: number } {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  /** (column, row) of the stored image at a point of the canvas; the first pixel's centre is (0.5, 0.5). */
  readonly toImage = ([x, y]: Point): Point => {
    const world = this.viewport.canvasToWorld([x, y]);
    const [column = 0, row = 0] = utilities.worldToImageCoords(this.frame?.imageId ?? '', world) ?? [];
    return [column, row];
  };

  /** Why the server drew what is shown, if it did. */
  fallback(): string | undefined {
    return this.frame && fallbackReason(this.frame.imageId);
  }

  /** Why there is no picture of the frame that was asked for. */
  failure(): string | undefined {
    return this.frame && failureReason(this.frame.imageId);
  }

  draw(): void {
    this.viewport.render();
    this.hooks.changed(this);
  }

  private listen(): void {
    const { Events } = Enums;
    // Nothing can be measured on a frame that is not in the picture.
    const refuse = (event: Event): void => {
      if (this.failure() !== undefined) event.stopPropagation();
    };
    for (const kind of ['mousedown', 'touchstart']) this.canvas.addEventListener(kind, refuse, { capture: true });
    this.canvas.addEventListener(Events.IMAGE_RENDERED, () => this.rendered());
    this.canvas.addEventListener(Events.VOI_MODIFIED, (event) => {
      const { range } = (event as CustomEvent<Types.EventTypes.VoiModifiedEventDetail>).detail;
      // Cornerstone also reports the window with which it loads a new image; its initial window is decided here.
      const changedImage = this.viewport.getCornerstoneImage()?.imageId !== this.shadedImage;
      if (this.settling || changedImage || (range.lower === this.applied?.lower && range.upper === this.applied.upper))
        return;
      this.chosen = range;
      this.shade();
      this.hooks.changed(this);
    });
    this.canvas.addEventListener(Events.CAMERA_MODIFIED, () => this.limitZoom());
    this.canvas.addEventListener(Events.STACK_NEW_IMAGE, (event) => {
      const { imageId } = (event as CustomEvent<Types.EventTypes.StackNewImageEventDetail>).detail;
      this.shade();
      if (imageId === this.frame?.imageId) this.hooks.changed(this);
    });
  }

  private rendered(): void {
    if (!this.complete) return;
    // A picture of the server has its overlays in it.
    this.overlays.draw(this.fallback() ? undefined : this.frame);
    if (this.shown !== this.at) {
      this.shown = this.at;
      this.overlaysFailed = false;
      this.hooks.changed(this);
    }
    this.hooks.painted(this);
  }

  private limitZoom(): void {
    if (!this.series || !this.viewport.getCornerstoneImage()) return;
    const zoom = this.zoom();
    // A hair of tolerance, or the correction would answer its own event for ever.
    if (zoom < MIN_ZOOM * 0.999 || zoom > MAX_ZOOM * 1.001) this.setZoom(zoom);
    else this.hooks.changed(this);
  }
}
