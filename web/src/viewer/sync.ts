/** Synchronised scrolling: other viewports go to the slice that lies nearest in the patient. */
import type { Cell } from './cell';
import { cross, nearestSlice } from './geometry';

export function follow(leader: Cell, cells: readonly Cell[]): void {
  const { frame } = leader;
  const { position, row, column } = frame?.geometry ?? {};
  for (const cell of cells) {
    if (cell === leader || !cell.series || !frame) continue;
    // Some de-identified series give every slice a frame of reference of its own; within one series places compare anyway.
    const reference = frame.instance.frameOfReference;
    const comparable =
      cell.series === leader.series || (reference !== '' && cell.frame?.instance.frameOfReference === reference);
    if (!comparable || !position || !row || !column) continue;
    const target = nearestSlice(
      position,
      cross(row, column),
      cell.series.frames.map((one) => one.geometry.position),
    );
    if (target >= 0) cell.scrollTo(target);
  }
}
