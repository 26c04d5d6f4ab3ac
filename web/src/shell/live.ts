// Live parts of a page: <div id data-live="study.* print.*" data-live-url="/x">. On such an event the part is fetched and
// morphed in: rows keep their place, focus and selection, and nothing moves under the pointer. While
// an element in it has data-again="5" it is fetched again after this many seconds: a rate changes and ends without an event.
import htmx from 'htmx.org';
import { all, modalOpen } from './dom';
import { matches, on, type Event } from './events';
import { html } from './http';

const QUIET_MS = 400; // events within this time cost one fetch
const CALM_MS = 1500; // how long after a pointer move inside the part new rows wait

const due = new Map<string, number>();
const later = new Map<string, number>();
let movedAt = 0;
let pointer: Element | null = null;

function busy(part: HTMLElement): boolean {
  const over = pointer !== null && part.contains(pointer) && performance.now() - movedAt < CALM_MS;
  const typed =
    document.activeElement?.matches('input:not([type=checkbox]), select, textarea') &&
    part.contains(document.activeElement);
  return over || Boolean(typed) || part.querySelector(':popover-open') !== null;
}

function known(part: HTMLElement): Set<string> {
  return new Set(all<HTMLElement>('[id]', part).map((node) => node.id));
}

/** The part's address; a long list sends its last row, so that what new rows push down is not lost. */
function address(part: HTMLElement): string {
  const url = new URL(part.dataset.liveUrl ?? location.href, location.href);
  const last = all<HTMLElement>('tr.item', part).at(-1)?.id;
  if (last) url.searchParams.set('last', last);
  return url.pathname + url.search;
}

async function refresh(part: HTMLElement): Promise<void> {
  const text = await html(address(part), true);
  if (!part.isConnected) return;
  const before = known(part);
  const chosen = new Set(all<HTMLElement>('tr.item[aria-selected="true"]', part).map((row) => row.id));
  // Expanded rows are not part of the server's answer: lift them out and put them back under their row.
  const folds = all<HTMLElement>('[data-after]', part);
  for (const fold of folds) fold.remove();
  await htmx.swap({ text, target: part, swap: 'innerMorph swapEmpty:true', sourceElement: part });
  for (const fold of folds) {
    const row = document.getElementById(fold.dataset.after ?? '');
    row?.after(fold);
    row?.querySelector('.fold')?.setAttribute('aria-expanded', 'true');
  }
  for (const row of all<HTMLElement>('tr.item', part)) {
    if (!before.has(row.id)) row.classList.add('fresh');
    if (chosen.has(row.id)) {
      row.setAttribute('aria-selected', 'true');
      const box = row.querySelector<HTMLInputElement>('input.box');
      if (box) box.checked = true;
    }
  }
  again(part);
  part.dispatchEvent(new CustomEvent('filmroom:live', { bubbles: true }));
}

function schedule(part: HTMLElement, wait = QUIET_MS): void {
  const id = part.id;
  if (due.has(id)) return;
  due.set(
    id,
    window.setTimeout(() => {
      due.delete(id);
      const current = document.getElementById(id);
      if (!current) return;
      if (document.hidden || modalOpen() || busy(current)) schedule(current, 700);
      else refresh(current).catch(() => undefined);
    }, wait),
  );
}

function hear(event: Event): void {
  for (const part of all<HTMLElement>('[data-live]'))
    if ((part.dataset.live ?? '').split(/\s+/).some((pattern) => matches(pattern, event.topic))) schedule(part);
}

/** Fetches the part again after the time that it asks for itself. */
function again(part: HTMLElement): void {
  const seconds = Number(part.querySelector<HTMLElement>('[data-again]')?.dataset.again ?? 0);
  window.clearTimeout(later.get(part.id));
  if (seconds)
    later.set(
      part.id,
      window.setTimeout(() => schedule(part, 0), seconds * 1000),
    );
}

/** Fetches every live part again, for example after the stream was broken. */
export function refreshAll(): void {
  for (const part of all<HTMLElement>('[data-live]')) schedule(part, 0);
}

/** Fetches one part again now. */
export function refreshPart(id: string): void {
  const part = document.getElementById(id);
  if (part) void refresh(part).catch(() => undefined);
}

export function installLive(): void {
  on('*', hear);
  for (const part of all<HTMLElement>('[data-live]')) again(part);
  document.addEventListener(
    'pointermove',
    (event) => {
      movedAt = performance.now();
      pointer = event.target instanceof Element ? event.target : null;
    },
    { passive: true },
  );
}
