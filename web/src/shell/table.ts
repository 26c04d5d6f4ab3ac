// One tab stop a table: arrows, Home, End, Enter opens, Right/Left unfold, Space selects, Shift+Space range, Ctrl+A all,
// Esc clears. The selection is in the rows (aria-selected); the selection bar listens to `filmroom:selection`.
import { all, delegate, modalOpen } from './dom';

const ROW = 'tr.item';
let anchor: HTMLElement | null = null;

export function rowsOf(table: Element): HTMLElement[] {
  return all<HTMLElement>(ROW, table);
}

export function selected(table: Element): HTMLElement[] {
  return rowsOf(table).filter((row) => row.getAttribute('aria-selected') === 'true');
}

export function mark(row: HTMLElement, on: boolean): void {
  row.setAttribute('aria-selected', String(on));
  const box = row.querySelector<HTMLInputElement>('input.box');
  if (box) box.checked = on;
}

export function changed(table: HTMLElement): void {
  const rows = rowsOf(table);
  const chosen = rows.filter((row) => row.getAttribute('aria-selected') === 'true');
  const head = table.querySelector<HTMLInputElement>('thead input.box');
  if (head) {
    head.checked = chosen.length > 0 && chosen.length === rows.length;
    head.indeterminate = chosen.length > 0 && chosen.length < rows.length;
  }
  table.dispatchEvent(new CustomEvent('filmroom:selection', { bubbles: true, detail: { rows: chosen } }));
}

/** Gives the table its one tab stop back after rows came or went. */
export function rove(table: HTMLElement): void {
  const rows = rowsOf(table);
  const stop = rows.find((row) => row.tabIndex === 0 && row.hasAttribute('tabindex')) ?? rows[0];
  for (const row of rows) row.tabIndex = row === stop ? 0 : -1;
}

function focusRow(row: HTMLElement | undefined, table: HTMLElement): void {
  if (!row) return;
  for (const other of rowsOf(table)) other.tabIndex = -1;
  row.tabIndex = 0;
  row.focus();
  row.scrollIntoView({ block: 'nearest' });
  row.dispatchEvent(new CustomEvent('filmroom:current', { bubbles: true }));
}

export function toggle(table: HTMLElement, row: HTMLElement, range: boolean): void {
  const rows = rowsOf(table);
  if (range && anchor && rows.includes(anchor)) {
    const [from, to] = [rows.indexOf(anchor), rows.indexOf(row)].sort((a, b) => a - b) as [number, number];
    for (const one of rows.slice(from, to + 1)) mark(one, true);
  } else {
    mark(row, row.getAttribute('aria-selected') !== 'true');
    anchor = row;
  }
  changed(table);
}

function all_(table: HTMLElement, on: boolean): void {
  for (const row of rowsOf(table)) mark(row, on);
  changed(table);
}

export function clear(table: HTMLElement): void {
  all_(table, false);
}

function key(event: KeyboardEvent, table: HTMLElement): void {
  const row = (event.target as Element).closest<HTMLElement>(ROW);
  if (!row || event.target !== row || event.altKey) return;
  const rows = rowsOf(table);
  const at = rows.indexOf(row);
  const control = event.ctrlKey || event.metaKey;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 10, PageUp: at - 10 }[
    event.key
  ];
  if (to !== undefined && !control) {
    focusRow(rows[Math.max(0, Math.min(rows.length - 1, to))], table);
  } else if (event.key === 'Enter') {
    row.dispatchEvent(new CustomEvent('filmroom:open', { bubbles: true }));
  } else if (event.key === ' ' && table.getAttribute('aria-multiselectable') === 'true') {
    toggle(table, row, event.shiftKey);
  } else if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') {
    const fold = row.querySelector<HTMLElement>('.fold');
    if (!fold || (fold.getAttribute('aria-expanded') === 'true') === (event.key === 'ArrowRight')) return;
    fold.click();
  } else if (control && event.key.toLowerCase() === 'a' && table.getAttribute('aria-multiselectable') === 'true') {
    all_(table, true);
  } else {
    return;
  }
  event.preventDefault();
}

export function installTables(): void {
  delegate('keydown', 'table[data-grid]', (event, table) => key(event, table));
  delegate('click', 'table[data-grid] tbody tr.item', (event, row) => {
    const table = row.closest<HTMLElement>('table[data-grid]');
    const target = event.target as Element;
    if (!table || target.closest('a, button')) return;
    if (target.closest('td.pick')) {
      // The whole first cell ticks the box. A press on the box itself has ticked it already: undo, then apply it here.
      if (target instanceof HTMLInputElement) target.checked = row.getAttribute('aria-selected') === 'true';
      toggle(table, row, event.shiftKey);
      row.dispatchEvent(new CustomEvent('filmroom:current', { bubbles: true })); // what was touched last is what the side panel shows
      return;
    }
    focusRow(row, table);
    if (event.ctrlKey || event.metaKey) toggle(table, row, false);
    else if (event.shiftKey) toggle(table, row, true);
  });
  delegate('dblclick', 'table[data-grid] tbody tr.item', (event, row) => {
    if ((event.target as Element).closest('a, button, td.pick')) return;
    row.dispatchEvent(new CustomEvent('filmroom:open', { bubbles: true }));
  });
  delegate('change', 'table[data-grid] thead input.box', (_, box) => {
    const table = box.closest<HTMLElement>('table[data-grid]');
    if (table) all_(table, (box as HTMLInputElement).checked);
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented || modalOpen() || document.querySelector(':popover-open'))
      return;
    for (const table of all<HTMLElement>('table[data-grid]')) if (selected(table).length) clear(table);
  });
  for (const name of ['htmx:after:swap', 'filmroom:page'])
    document.addEventListener(name, () => all<HTMLElement>('table[data-grid]').forEach(rove));
}
