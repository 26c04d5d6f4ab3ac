/** Takes what is on the screen to the composer: image, frame and window as seen. */
import type { Cell } from './cell';

/** `/print?study=...&items=SOPUID:frame:center:width,...`; a colour image has no window, so the last two are left out. */
export function printAddress(studyUid: string, cells: readonly Cell[]): string {
  const items = cells.flatMap((cell) => {
    const { frame } = cell;
    if (!frame) return [];
    const window = cell.window();
    const seen = window && !cell.fallback() ? `:${round(window.center)}:${round(window.width)}` : '';
    return [`${frame.instance.uid}:${frame.frame}${seen}`];
  });
  const query = new URLSearchParams({ study: studyUid });
  if (items.length > 0) query.set('items', items.join(','));
  return `/print?${query.toString()}`;
}

function round(value: number): string {
  return String(Number(value.toFixed(2)));
}
