/** Synchronised scrolling: other viewports go to the slice that lies nearest in the patient. */
import type { Cell } from './cell';
import { cross, nearestSlice } from './geometry';

export function follow(leader: Cell, cells: readonly Cell[]): void {
  const { frame } = leader;
  const { position, row, column } = frame?.geometry ?? {};
  for (const cell of cells) {
    if (cell === leader || !cell.series || !frame) continue;
    const same = cell.frame?.instance.frameOfReference === frame.instance.frameOfReference && frame.instance.frameOfReference !== '';
    if (!same || !position || !row || !column) continue;
    const target = nearestSlice(
      position,
      cross(row, column),
      cell.series.frames.map((one) => one.geometry.position),
    );
    if (target >= 0) cell.scrollTo(target);
  }
}
