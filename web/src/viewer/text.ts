/** The words on a cell: corner texts, orientation letters, slice bar, progress, notice. */
import type { Cell } from './cell';
import { edgeLetters } from './geometry';
import { axesOf } from './loading/metadata';
import { pageLocale } from './locale';
import { planeNote } from './tools/lengths';
import type { Frame, Study } from './manifest';
import { t } from './strings';

export function writeCell(cell: Cell, study: Study): void {
  const { element, series, frame } = cell;
  // Busy until the picture that was asked for, or the reason why there is none, is on the cell.
  element.ariaBusy = !series || cell.complete || cell.failure() !== undefined ? null : 'true';
  if (!series || !frame) return;
  const many = series.frames.length > 1;
  put(element, 'tl', [
    study.patientName,
    [study.patientId, study.patientSex, study.patientAge].filter(Boolean).join('  '),
    study.description,
    study.accession,
  ]);
  put(element, 'tr', [
    study.institution,
    [sideOf(frame), frame.instance.technique].filter(Boolean).join('  '),
    [series.number, series.description].filter(Boolean).join(': '),
    displayDate(study.date, study.time),
  ]);
  const window = cell.window();
  put(element, 'bl', [
    window
      ? t('W {width}  L {center}', { width: tidy(window.width), center: tidy(window.center) })
      : (cell.lutName() ?? ''),
    t('Zoom {percent} %', { percent: Math.round(cell.zoom() * 100) }),
    planeNote(frame),
  ]);
  put(element, 'br', [many ? placeOf(frame, { n: cell.at + 1, count: series.frames.length }) : '', where(cell)]);
  writeLetters(cell);
  writeSlices(cell);
  writeProgress(cell);
  writeNotice(cell);
}

/** Date and time of a study by the page's locale; DICOM or ISO form alike. */
export function displayDate(date: string, time: string): string {
  const [year, month, day] = [
    date.replaceAll('-', '').slice(0, 4),
    date.replaceAll('-', '').slice(4, 6),
    date.replaceAll('-', '').slice(6, 8),
  ];
  if (!day) return date;
  const when = new Date(Number(year), Number(month) - 1, Number(day));
  const words = when.toLocaleDateString(pageLocale(), { day: 'numeric', month: 'short', year: 'numeric' });
  const clock = time.replaceAll(':', '');
  return clock.length >= 4 ? `${words} ${clock.slice(0, 2)}:${clock.slice(2, 4)}` : words;
}

/** Frames of one object are frames, images of a stack are slices, others are images. */
function placeOf(frame: Frame, at: { n: number; count: number }): string {
  if (frame.instance.frames > 1) return t('Frame {n} of {count}', at);
  return frame.geometry.position ? t('Slice {n} of {count}', at) : t('Image {n} of {count}', at);
}

function put(element: HTMLElement, corner: string, lines: readonly string[]): void {
  const target = element.querySelector<HTMLElement>(`[data-text="${corner}"]`);
  const words = lines.filter(Boolean).join('\n');
  if (target && target.textContent !== words) target.textContent = words;
}

/** Whole numbers for wide windows, more digits for narrow ones (PET, fractions), with a true minus sign. */
function tidy(value: number): string {
  const size = Math.abs(value);
  const words = size >= 1 || size === 0 ? value.toFixed(size >= 100 ? 0 : 1) : value.toPrecision(3);
  return String(Number(words)).replace('-', '−');
}

/** Laterality and view of a projection, as on the film: "R MLO". */
function sideOf({ appearance }: Frame): string {
  return [appearance.laterality, appearance.view].filter(Boolean).join(' ');
}

function where(cell: Cell): string {
  const { position, thickness, row, column } = cell.frame?.geometry ?? {};
  const depth = thickness ? `${tidy(thickness)} mm` : '';
  const { load } = cell;
  if (load && load.state === 'loading')
    return t('{loaded} of {total} loaded', { loaded: load.loaded, total: load.total });
  if (!position || !row || !column) return depth;
  // The axis the slices are stacked along, named as in the patient's coordinate system.
  const normal = [
    row[1] * column[2] - row[2] * column[1],
    row[2] * column[0] - row[0] * column[2],
    row[0] * column[1] - row[1] * column[0],
  ].map(Math.abs);
  const axis = normal.indexOf(Math.max(...normal));
  return `${'xyz'[axis]} ${(position[axis] as number).toFixed(1).replace('-', '−')} mm  ${depth}`.trim();
}

function writeLetters(cell: Cell): void {
  const { viewport, frame } = cell;
  const stored = cell.complete ? frame?.appearance.letters : undefined;
  const shown =
    frame && stored && edgeLetters(stored, axesOf(frame), towards(viewport, [10, 0]), towards(viewport, [0, 10]));
  for (const edge of ['top', 'bottom', 'left', 'right'] as const) {
    const target = cell.element.querySelector(`[data-letter="${edge}"]`);
    if (target) target.textContent = shown?.[edge].slice(0, 2) ?? '';
  }
}

/** Where in the world a point of the screen lies, seen from its upper left corner. */
function towards(viewport: Cell['viewport'], point: [number, number]): number[] {
  const origin = viewport.canvasToWorld([0, 0]);
  return viewport.canvasToWorld(point).map((one, at) => one - (origin[at] ?? 0));
}

function writeSlices(cell: Cell): void {
  const bar = cell.element.querySelector<HTMLElement>('.cell-slices');
  const count = cell.series?.frames.length ?? 0;
  if (!bar) return;
  bar.hidden = count < 2;
  bar.setAttribute('aria-valuemax', String(count));
  bar.setAttribute('aria-valuenow', String(cell.at + 1));
  bar.style.setProperty('--at', String(count > 1 ? cell.at / (count - 1) : 0));
}

function writeProgress(cell: Cell): void {
  const bar = cell.element.querySelector<HTMLElement>('.cell-progress');
  const { load } = cell;
  if (!bar || !load) return;
  bar.hidden = load.state !== 'loading';
  bar.style.setProperty('--done', String(load.total ? load.loaded / load.total : 0));
}

function writeNotice(cell: Cell): void {
  const target = cell.element.querySelector<HTMLElement>('.cell-notice');
  if (!target) return;
  // The canvas still holds the picture of another frame: it must not be seen under this one's labels.
  cell.element.toggleAttribute('data-undrawable', cell.failure() !== undefined);
  const reason = cell.fallback();
  const words = noticeOf(cell, reason);
  const closable = words !== '' && cell.failure() === undefined; // without the picture its reason has to stay
  target.hidden = words === '' || (closable && cell.closedNotice === words);
  const text = target.querySelector('span');
  if (text && text.textContent !== words) text.textContent = words;
  target.querySelector('button')?.toggleAttribute('hidden', !closable);
}

function noticeOf(cell: Cell, drawnBecause: string | undefined): string {
  const failure = cell.failure();
  if (failure) return t('This image cannot be displayed: {reason}', { reason: failure });
  if (drawnBecause) {
    return t(
      'Server-rendered preview: this browser cannot decode the image ({reason}). Pixel values are not available.',
      { reason: drawnBecause },
    );
  }
  if (cell.frame?.notice) return cell.frame.notice;
  if (cell.overlaysFailed) return t('The overlays of this image could not be loaded.');
  if (cell.load?.state !== 'failed') return '';
  return t('{loaded} of {total} images loaded; the others could not be loaded.', {
    loaded: cell.load.loaded,
    total: cell.load.total,
  });
}
