/** The viewer as its actions and buttons see it: it imports both, so they import only this interface. */
import type { Grid, Layout } from './grid';
import type { Strip } from './strip';
import type { Cine } from './tools/cine';

export interface ViewerControl {
  readonly root: HTMLElement;
  readonly grid: Grid;
  readonly cine: Cine;
  readonly strip: Strip;
  readonly studyUid: string;
  synced: boolean;
  setLayout(layout: Layout): void;
  showSeries(uid: string): void;
  /** Updates the buttons after an action. */
  refresh(): void;
}
