// Query/Retrieve: the label of Ask, periods and modalities of the filter row, what is chosen, and Retrieve.
import htmx from 'htmx.org';
import { all, delegate, element, icon, one } from './dom';
import { json } from './http';
import { number, t, tn } from './i18n';
import { refreshPart } from './live';
import { clear } from './table';
import { failed } from './toasts';

interface Order {
  node: string;
  study_instance_uid: string;
  series_instance_uid?: string;
  sop_instance_uids?: string[];
  destination?: string;
}

/** The nodes of a row, as it names them. */
function where(row: HTMLElement): string[] {
  return JSON.parse(row.dataset.where ?? '[]') as string[];
}

function chosen(): HTMLElement[] {
  return all<HTMLElement>('table.remote tr.item[aria-selected="true"]');
}

/** Objects to retrieve for the chosen rows: a chosen study covers its series, a chosen series its images. */
function orders(rows: HTMLElement[]): Order[] {
  const studies = new Set(rows.filter((row) => row.dataset.remote === 'study').map((row) => row.dataset.study ?? ''));
  const series = new Set(rows.filter((row) => row.dataset.remote === 'series').map((row) => row.dataset.series ?? ''));
  const images = new Map<string, Order>();
  const found: Order[] = [];
  for (const row of rows) {
    const node = where(row)[0];
    const study = row.dataset.study ?? '';
    if (!node) continue;
    if (row.dataset.remote === 'study') found.push({ node, study_instance_uid: study });
    else if (studies.has(study)) continue;
    else if (row.dataset.remote === 'series')
      found.push({ node, study_instance_uid: study, series_instance_uid: row.dataset.series ?? '' });
    else if (!series.has(row.dataset.series ?? '')) {
      const key = `${node} ${row.dataset.series ?? ''}`;
      const order = images.get(key) ?? {
        node,
        study_instance_uid: study,
        series_instance_uid: row.dataset.series ?? '',
        sop_instance_uids: [],
      };
      order.sop_instance_uids?.push(row.dataset.image ?? '');
      images.set(key, order);
    }
  }
  return [...found, ...images.values()];
}

function label(rows: HTMLElement[]): string {
  const count = (kind: string): number => rows.filter((row) => row.dataset.remote === kind).length;
  const parts: string[] = [];
  if (count('study')) parts.push(tn('1 study', '{n} studies', count('study')));
  if (count('series')) parts.push(tn('1 series', '{n} series', count('series')));
  if (count('image')) parts.push(tn('1 image', '{n} images', count('image')));
  return parts.join(', ');
}

function enable(button: HTMLElement, on: boolean): void {
  button.dataset.why ??= button.title;
  button.setAttribute('aria-disabled', String(!on));
  button.title = on ? '' : button.dataset.why;
}

function show(): void {
  const bar = one<HTMLElement>('#retrieve-bar');
  if (!bar) return;
  const rows = chosen();
  const whole = rows.filter(
    (row) =>
      row.dataset.remote === 'study' ||
      !rows.some((other) => other.dataset.remote === 'study' && other.dataset.study === row.dataset.study),
  );
  const images = whole.reduce((sum, row) => sum + Number(row.dataset.images ?? 0), 0);
  const [what, more] = [one('b', bar), one('.what span', bar)];
  if (what) what.textContent = label(rows);
  if (more)
    more.textContent =
      images && rows.some((row) => row.dataset.remote !== 'image') ? tn('1 image', '{n} images', images) : '';
  for (const button of all<HTMLElement>('.btn', bar)) enable(button, rows.length > 0);
}

async function retrieve(destination?: string): Promise<void> {
  const rows = chosen();
  const wanted = orders(rows);
  if (!wanted.length) return;
  const said = label(rows);
  let made = 0;
  for (const order of wanted) {
    try {
      await json('POST', '/api/v1/retrieves', destination ? { ...order, destination } : order);
      made += 1;
    } catch (fault) {
      failed(t('Not queued: {what}', { what: order.node }), fault);
    }
  }
  if (!made) return;
  all<HTMLElement>('table.remote').forEach(clear);
  // The queue below shows it at once; a toast would cover its buttons.
  const what = one<HTMLElement>('#retrieve-bar .what span');
  if (what)
    what.textContent = destination
      ? t('{what} queued for {node}', { what: said, node: destination })
      : t('{what} queued', { what: said });
  refreshPart('retrievals');
}

/** "Ask 3 nodes", and nothing to press while none is chosen. */
function count(): void {
  const button = one<HTMLElement>('#ask-button');
  if (!button) return;
  const n = all('input[name="node"]:checked').length;
  const words = one('span', button);
  if (words) words.textContent = n ? tn('Search 1 archive', 'Search {n} archives', n) : t('Select an archive');
  (button as HTMLButtonElement).disabled = n === 0;
}

function modalities(): void {
  const word = one<HTMLElement>('[data-mods-word]');
  if (!word) return;
  const picked = all<HTMLInputElement>('#mods input:checked').map((box) => box.value);
  word.textContent = picked.join(', ') || (word.dataset.modsWord ?? '');
  word.closest('.filter')?.classList.toggle('on', picked.length > 0);
}

function period(entry: HTMLElement): void {
  const field = one<HTMLInputElement>('#ask input[name="date"]');
  if (!field) return;
  field.value = entry.dataset.period ?? '';
  field.focus();
}

function visit(url: string): void {
  const link = Object.assign(document.createElement('a'), { href: url });
  one('#page')?.append(link);
  htmx.process(link);
  link.click();
  link.remove();
}

interface HereNow {
  series: Record<string, number>;
  images: string[];
}

function mark(row: HTMLElement, have: number, of: number): void {
  const cell = row.lastElementChild;
  if (!cell) return;
  const kind = !have ? '' : of && have >= of ? 'ok' : 'warn';
  const count = of ? t('{done} of {total}', { done: have, total: of }) : number(have);
  const word = kind === 'ok' ? t('Stored') : kind ? `${t('Partial')}, ${count}` : t('Not stored');
  if (cell.textContent?.trim() === word) return;
  // icons: circle-check alert-triangle
  const state = element('span', { class: `state ${kind}`.trim() });
  if (kind) state.append(icon(kind === 'ok' ? 'circle-check' : 'alert-triangle'));
  state.append(element('span', { text: word }));
  cell.replaceChildren(state);
}

/** Expanded series and images are not part of the server's answer: what of them is here is asked apart. */
async function freshen(): Promise<void> {
  for (const line of all<HTMLElement>('#rows tr.unfolded[data-after]')) {
    const row = document.getElementById(line.dataset.after ?? '');
    if (row?.dataset.remote !== 'study') continue;
    const series = all<HTMLElement>('tr[data-remote="series"]', line);
    const open = series
      .filter((one_) => one_.nextElementSibling?.matches('.unfolded'))
      .map((one_) => ['series', one_.dataset.series ?? '']);
    const query = new URLSearchParams(open);
    const now = await json<HereNow>(
      'GET',
      `/query/here/${encodeURIComponent(row.dataset.study ?? '')}?${query.toString()}`,
      undefined,
      { background: true },
    );
    for (const one_ of series) mark(one_, now.series[one_.dataset.series ?? ''] ?? 0, Number(one_.dataset.images ?? 0));
    const there = new Set(now.images);
    for (const image of all<HTMLElement>('tr[data-remote="image"]', line))
      mark(image, there.has(image.dataset.image ?? '') ? 1 : 0, 1);
  }
}

const FOLLOW_MS = 1500;
let following: number | undefined;

/** Events bring the answers; one that came before the stream was open is made up for by looking now and then. */
function follow(): void {
  window.clearTimeout(following);
  if (!one('#query-status [data-asking]')) return;
  following = window.setTimeout(() => {
    refreshPart('rows');
    follow();
  }, FOLLOW_MS);
}

export function installQuery(): void {
  delegate('change', 'input[name="node"][form="ask"]', count);
  delegate('change', '#mods input', modalities);
  delegate('click', '[data-period]', (_, entry) => period(entry));
  delegate('click', '[data-retrieve]', (_, button) => {
    if (button.getAttribute('aria-disabled') !== 'true') void retrieve();
  });
  delegate('click', '[data-retrieve-to]', (event, button) => {
    if (button.getAttribute('aria-disabled') === 'true') event.preventDefault();
  });
  delegate('click', '[data-destination]', (_, entry) => void retrieve(entry.dataset.destination));
  delegate('change', 'select[data-here]', (_, choice) => {
    const url = new URL(choice.dataset.here ?? '', location.href);
    const value = (choice as HTMLSelectElement).value;
    if (value) url.searchParams.set('here', value);
    visit(url.pathname + url.search);
  });
  // Enter on what is not here yet unfolds it; what is here opens (storage.ts).
  document.addEventListener('filmroom:open', (event) => {
    const row = event.target as HTMLElement;
    if (row.dataset.remote && !one('a[data-row-link]', row)) one<HTMLElement>('.fold', row)?.click();
  });
  document.addEventListener('filmroom:live', (event) => {
    if ((event.target as HTMLElement).id === 'rows') void freshen().catch(() => undefined);
  });
  for (const name of ['filmroom:selection', 'filmroom:live']) document.addEventListener(name, show);
  document.addEventListener('filmroom:page', () => {
    count();
    show();
    follow();
  });
}
