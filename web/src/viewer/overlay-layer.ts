/** The canvas over a viewport on which the overlay planes of its frame are drawn, wherever the image lies. */
import type { StackViewport } from '@cornerstonejs/core';
import { onCpu } from './engine';
import { axesOf, gridOf } from './loading/metadata';
import { overlayPicture } from './loading/overlays';
import type { Frame } from './manifest';

export class OverlayLayer {
  private shown = '';
  private picture: OffscreenCanvas | undefined;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly viewport: () => StackViewport,
    private readonly failed: () => void,
  ) {}

  /** Draws the overlays of `frame`; undefined clears the layer. */
  draw(frame: Frame | undefined): void {
    const imageId = frame?.instance.overlays ? frame.imageId : '';
    if (imageId !== this.shown) {
      this.shown = imageId;
      this.picture = undefined;
      if (frame && imageId) this.load(frame);
    }
    this.paint(frame);
  }

  private load(frame: Frame): void {
    overlayPicture(frame).then(
      (picture) => {
        if (this.shown !== frame.imageId) return;
        this.picture = picture;
        this.paint(frame);
      },
      () => {
        if (this.shown === frame.imageId) this.failed();
      },
    );
  }

  private paint(frame: Frame | undefined): void {
    const { canvas, picture } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext('2d');
    context?.clearRect(0, 0, width, height);
    canvas.dataset['overlays'] = picture ? 'drawn' : '';
    if (!context || !frame || !picture) return;
    context.save();
    context.setTransform(...this.placeOf(frame, ratio));
    context.imageSmoothingEnabled = false;
    context.drawImage(picture, 0, 0);
    context.restore();
  }

  /** From the frame's pixels to those of the canvas, as the viewport is zoomed, moved, rotated and flipped. */
  private placeOf(frame: Frame, ratio: number): [number, number, number, number, number, number] {
    const [row, column] = axesOf(frame);
    const [between, across] = gridOf(frame);
    const origin = frame.geometry.position ?? ([0, 0, 0] as const);
    // Without WebGL Cornerstone counts from the corner of the first pixel, with it from its middle.
    const half = onCpu() ? 0 : 0.5;
    const corner = (x: number, y: number): readonly [number, number] => {
      const along = (axis: 0 | 1 | 2): number =>
        origin[axis] + row[axis] * (x - half) * across + column[axis] * (y - half) * between;
      const [left, top] = this.viewport().worldToCanvas([along(0), along(1), along(2)]);
      return [left * ratio, top * ratio];
    };
    const [x0, y0] = corner(0, 0);
    const [xr, yr] = corner(1, 0);
    const [xc, yc] = corner(0, 1);
    return [xr - x0, yr - y0, xc - x0, yc - y0, x0, y0];
  }
}
