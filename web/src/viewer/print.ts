/** Takes what is on the screen to the composer: each image as it is seen, with its measurements. */
import type { Annotation } from '../composer/state';
import { sendMarks } from '../composer/marks';
import type { Cell } from './cell';
import { drawnOn } from './drawn';
import { seenAs } from './seen';

/**
 * `/print?study=...&items=SOPUID:frame:center:width:invert:rotation:flip:x:y:width:height,...`; a colour image has no window,
 * so these two are empty. Measurements do not fit an address: they wait in the tab's storage, under the name in `marks`.
 */
export function printAddress(studyUid: string, cells: readonly Cell[]): string {
  const shown = cells.filter((cell) => cell.frame && cell.viewport.getCornerstoneImage());
  const query = new URLSearchParams({ study: studyUid });
  if (shown.length > 0) query.set('items', shown.map(item).join(','));
  const marks = shown.map(marksOf);
  if (marks.some((one) => one.length > 0)) query.set('marks', sendMarks(marks));
  return `/print?${query.toString()}`;
}

function item(cell: Cell): string {
  const { frame } = cell;
  if (!frame) return '';
  const window = cell.fallback() ? undefined : cell.window();
  const { rotation, flip, crop } = seenAs(cell.toImage, cell.size, frame.instance.pixels);
  const fields: (string | number)[] = [
    frame.instance.uid,
    frame.frame,
    window ? short(window.center) : '',
    window ? short(window.width) : '',
  ];
  const inverted = cell.inverted();
  if (inverted || rotation || flip || crop) fields.push(inverted ? 1 : 0, rotation, flip ? 1 : 0);
  if (crop) fields.push(...crop.map((value) => Number(value.toFixed(6))));
  return fields.join(':').replace(/:+$/, '');
}

function marksOf(cell: Cell): Annotation[] {
  return drawnOn(cell.canvas, cell.toImage);
}

/** Seven digits: a window may be a thousandth wide. */
function short(value: number): string {
  return String(Number(value.toPrecision(7)));
}
