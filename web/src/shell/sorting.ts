// Lists whose order is kept on the server: drag a line, or Alt with an arrow on it. The whole order is sent.
import { all, delegate } from './dom';
import { request } from './http';
import { t } from './i18n';
import { toast } from './toasts';

let dragged: HTMLElement | null = null;

function line(target: EventTarget | null): HTMLElement | null {
  return target instanceof Element ? target.closest<HTMLElement>('[data-sortable] > li') : null;
}

async function keep(list: HTMLElement): Promise<void> {
  const order = all<HTMLElement>(':scope > li', list).map((item) => item.dataset.id ?? '');
  try {
    await request('PUT', list.dataset.sortable ?? '', { order });
  } catch (fault) {
    toast({ kind: 'bad', what: t('The sort order was not saved'), detail: String((fault as Error).message) });
  }
}

function unmark(): void {
  for (const item of all('[data-sortable] > li.over')) item.classList.remove('over');
}

export function installSorting(): void {
  document.addEventListener('dragstart', (event) => {
    dragged = line(event.target);
    if (!dragged || !event.dataTransfer) return;
    event.dataTransfer.effectAllowed = 'move';
    event.dataTransfer.setData('text/x-line', dragged.dataset.id ?? '');
    dragged.classList.add('dragged');
  });
  document.addEventListener('dragover', (event) => {
    const over = line(event.target);
    if (!dragged || !over || over.parentElement !== dragged.parentElement) return;
    event.preventDefault();
    unmark();
    if (over !== dragged) over.classList.add('over');
  });
  document.addEventListener('drop', (event) => {
    const over = line(event.target);
    const list = dragged?.parentElement;
    if (!dragged || !over || !list || over.parentElement !== list || over === dragged) return;
    event.preventDefault();
    const down = dragged.compareDocumentPosition(over) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (down) over.after(dragged);
    else over.before(dragged);
    void keep(list);
  });
  document.addEventListener('dragend', () => {
    dragged?.classList.remove('dragged');
    dragged = null;
    unmark();
  });
  delegate('keydown', '[data-sortable] > li', (event, item) => {
    if (!event.altKey || !['ArrowUp', 'ArrowDown'].includes(event.key)) return;
    const list = item.parentElement;
    const other = event.key === 'ArrowUp' ? item.previousElementSibling : item.nextElementSibling;
    if (!list || !other) return;
    event.preventDefault();
    const focused = document.activeElement as HTMLElement | null;
    if (event.key === 'ArrowUp') other.before(item);
    else other.after(item);
    focused?.focus();
    void keep(list);
  });
  // Fields that take any attribute: what fits is asked for while it is typed.
  let asked = 0;
  delegate('input', 'input[data-tags]', (_, field) => {
    window.clearTimeout(asked);
    asked = window.setTimeout(() => void suggest(field as HTMLInputElement), 150);
  });
}

async function suggest(field: HTMLInputElement): Promise<void> {
  const list = field.list;
  if (!list || field.value.length < 2) return;
  const answer = await fetch(`${field.dataset.tags ?? ''}?q=${encodeURIComponent(field.value)}`, {
    credentials: 'same-origin',
  });
  if (!answer.ok) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), 'text/html');
  list.replaceChildren(...all('option', parsed).map((option) => document.importNode(option, true)));
}
