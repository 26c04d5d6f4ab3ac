/** Cine: runs through the frames of a cell at the speed of the tags, on the screen's own beat. */
import type { Cell } from '../cell';

const USUAL_FPS = 15;
const FASTEST = 60;

export class Cine {
  private handle = 0;
  private cell: Cell | undefined;
  fps = USUAL_FPS;

  get running(): boolean {
    return this.handle !== 0;
  }

  /** The speed the object asks for (Recommended Display Frame Rate, Cine Rate, Frame Time), else 15. */
  static speedOf(cell: Cell): number {
    return Math.min(FASTEST, Math.max(1, Math.round(cell.frame?.instance.fps ?? USUAL_FPS)));
  }

  start(cell: Cell): void {
    this.stop();
    if ((cell.series?.frames.length ?? 0) < 2) return;
    this.cell = cell;
    let due = performance.now();
    const step = (now: number): void => {
      this.handle = requestAnimationFrame(step);
      // A frame that has not arrived yet holds the film instead of being skipped.
      if (now < due || !cell.complete) return;
      due = Math.max(due + 1000 / this.fps, now - 1000 / this.fps);
      cell.scrollBy(1, true);
    };
    this.handle = requestAnimationFrame(step);
  }

  stop(): void {
    cancelAnimationFrame(this.handle);
    this.handle = 0;
    this.cell = undefined;
  }

  /** Stops when `cell` is the one that runs, for instance because it gets another series. */
  release(cell: Cell): void {
    if (this.cell === cell) this.stop();
  }
}
