// Local storage and arrivals: unfolding rows, the side panel, the selection bar and its actions.
import htmx from 'htmx.org';
import { all, delegate, element, one } from './dom';
import { html } from './http';
import { number, size, t, tn } from './i18n';
import { act, type Chosen } from './studies';
import { clear } from './table';

const SETTLE_MS = 120;

function uid(row: HTMLElement): string {
  return row.dataset.study ?? '';
}

// --- unfolding: a row below, with the series ---

function columns(row: Element): number {
  return [...row.children].filter((one) => getComputedStyle(one).display !== 'none').length;
}

/** Columns leave as the window narrows: a cell that spans more than are left would bring empty ones back. */
function respan(): void {
  for (const cell of all<HTMLTableCellElement>('tr.unfolded > td')) {
    const row = document.getElementById(cell.parentElement?.dataset.after ?? '');
    if (row) cell.colSpan = columns(row);
  }
}

async function unfold(row: HTMLElement, fold: HTMLElement): Promise<void> {
  const next = row.nextElementSibling;
  if (next?.matches('tr.unfolded')) {
    next.remove();
    fold.setAttribute('aria-expanded', 'false');
    return;
  }
  fold.setAttribute('aria-expanded', 'true');
  const line = document.createElement('tr');
  line.className = 'unfolded';
  line.dataset.after = row.id;
  const cell = document.createElement('td');
  cell.colSpan = columns(row);
  line.append(cell);
  row.after(line);
  const remote = row.dataset.unfold;
  if (remote) cell.textContent = t('Searching…'); // another archive: that takes its time
  try {
    cell.innerHTML = await html(remote ?? `/storage/studies/${encodeURIComponent(uid(row))}/series`);
  } catch (fault) {
    line.remove();
    fold.setAttribute('aria-expanded', 'false');
    throw fault;
  }
  htmx.process(cell);
}

// --- side panel ---

let timer: number | undefined;
let shown = '';
let whole = false; // what is shown was chosen

/** chosen: the user clicked or went to the row; false for the first one of a list, which is shown with the data of the list and is not recorded as an opened study. */
function showPanel(row: HTMLElement, chosen = true): void {
  const side = one<HTMLElement>('#side');
  if (!side) return;
  for (const other of all<HTMLElement>('tr.item[aria-current]')) other.removeAttribute('aria-current');
  row.setAttribute('aria-current', 'true');
  const study = uid(row);
  if (study === shown && (whole || !chosen) && side.childElementCount) return;
  window.clearTimeout(timer);
  timer = window.setTimeout(() => {
    shown = study;
    whole = chosen;
    void html(`/storage/studies/${encodeURIComponent(study)}/panel${chosen ? '' : '?first=1'}`)
      .then((text) => {
        if (shown !== study || whole !== chosen || !side.isConnected) return;
        side.innerHTML = text;
        htmx.process(side);
      })
      .catch(() => undefined);
  }, SETTLE_MS);
}

/** The list was filtered or came anew: a study that is no longer in it is not shown beside it either. */
function keepPanel(): void {
  const side = one<HTMLElement>('#side');
  if (!side || side.hidden || !shown) return;
  const rows = all<HTMLElement>('table.studies tr.item');
  const row = rows.find((each) => uid(each) === shown);
  if (row) return row.setAttribute('aria-current', 'true');
  if (rows[0]) return showPanel(rows[0], false);
  window.clearTimeout(timer);
  shown = '';
  const hint = element('p', { class: 'second', text: t('Select a study to see details.') });
  side.replaceChildren(element('section', {}, hint));
}

function toggleSide(button: HTMLElement): void {
  const side = one<HTMLElement>('#side');
  if (!side) return;
  const narrow = matchMedia('(max-width: 1100px)').matches;
  const open = narrow ? side.classList.toggle('open') : side.hidden;
  if (!narrow) side.hidden = !open;
  button.setAttribute('aria-pressed', String(open));
  if (!narrow) localStorage.setItem('filmroom.side', open ? 'open' : 'closed');
}

// --- selection bar ---

function chosen(rows: HTMLElement[]): Chosen {
  const sum = (key: string): number => rows.reduce((total, row) => total + Number(row.dataset[key] ?? 0), 0);
  return {
    studies: rows.map((row) => ({ uid: uid(row), name: row.dataset.name ?? '' })),
    patients: new Set(rows.map((row) => row.dataset.patient ?? '')).size,
    series: sum('series'),
    images: sum('images'),
    bytes: sum('bytes'),
  };
}

function selection(table: HTMLElement, rows: HTMLElement[]): void {
  const bar = one<HTMLElement>('#selection');
  if (!bar) return;
  bar.hidden = rows.length === 0;
  const all_ = chosen(rows);
  const what = one('b', bar);
  const more = one('.what span', bar);
  if (what) what.textContent = tn('1 study', '{n} studies', rows.length);
  if (more) more.textContent = `${tn('1 image', '{n} images', all_.images)}, ${size(all_.bytes)}`;
  const status = one('#selection-status');
  if (status)
    status.textContent = rows.length ? `${number(rows.length)} / ${number(all('tr.item', table).length)}` : '';
}

function current(): HTMLElement[] {
  return all<HTMLElement>('table[data-grid] tr.item[aria-selected="true"]');
}

export function installStorage(): void {
  window.addEventListener('resize', respan);
  document.addEventListener('htmx:after:swap', keepPanel);
  delegate('click', 'tr.item .fold', (event, fold) => {
    event.preventDefault();
    const row = fold.closest<HTMLElement>('tr.item');
    if (!row) return;
    showPanel(row);
    void unfold(row, fold).catch(() => undefined);
  });
  document.addEventListener('filmroom:current', (event) => showPanel(event.target as HTMLElement));
  document.addEventListener('filmroom:open', (event) =>
    one<HTMLAnchorElement>('a[data-row-link]', event.target as HTMLElement)?.click(),
  );
  document.addEventListener('filmroom:selection', (event) => {
    const { rows } = (event as CustomEvent<{ rows: HTMLElement[] }>).detail;
    selection(event.target as HTMLElement, rows);
  });
  delegate('click', '[data-toggle-side]', (_, button) => toggleSide(button));
  delegate('click', '[data-clear-selection]', () => all<HTMLElement>('table[data-grid]').forEach(clear));
  delegate('click', '[data-act]', (event, button) => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    event.preventDefault();
    const single = button.closest<HTMLElement>('[data-study]');
    const rows = single && !single.matches('tr') ? [single] : current();
    if (rows.length) act(button.dataset.act ?? '', chosen(rows));
  });
  document.addEventListener('filmroom:page', () => {
    shown = '';
    const side = one<HTMLElement>('#side');
    const narrow = matchMedia('(max-width: 1100px)').matches;
    if (side && narrow) one('[data-toggle-side]')?.setAttribute('aria-pressed', 'false');
    if (side && localStorage.getItem('filmroom.side') === 'closed') {
      side.hidden = true;
      one('[data-toggle-side]')?.setAttribute('aria-pressed', 'false');
    }
    const first = one<HTMLElement>('table.studies tr.item');
    if (first && side && !side.hidden && matchMedia('(min-width: 1101px)').matches) showPanel(first, false);
  });
}
