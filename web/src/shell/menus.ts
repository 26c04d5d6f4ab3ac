// Popover menus: `popovertarget` opens them without script; this places them under their button and moves by arrows.
import { all, delegate } from './dom';

const GAP = 4;

function invoker(menu: HTMLElement): HTMLElement | null {
  return document.querySelector<HTMLElement>(`[popovertarget="${CSS.escape(menu.id)}"]`);
}

/** Placed through CSSOM, which the CSP allows; Firefox ESR has no anchor positioning yet. */
function place(menu: HTMLElement): void {
  const button = invoker(menu);
  if (!button) return;
  const from = button.getBoundingClientRect();
  const box = menu.getBoundingClientRect();
  const below = from.bottom + GAP + box.height <= innerHeight || from.top < innerHeight / 2;
  menu.style.insetBlockStart = `${below ? from.bottom + GAP : Math.max(GAP, from.top - GAP - box.height)}px`;
  menu.style.insetInlineStart = `${Math.max(GAP, Math.min(from.left, innerWidth - box.width - GAP))}px`;
}

function entries(menu: HTMLElement): HTMLElement[] {
  return all<HTMLElement>('.menu-item:not([aria-disabled="true"])', menu);
}

function move(menu: HTMLElement, event: KeyboardEvent): void {
  const list = entries(menu);
  const at = list.indexOf(document.activeElement as HTMLElement);
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? list.length - 1 : at - 1, Home: 0, End: list.length - 1 }[
    event.key
  ];
  if (to === undefined || list.length === 0) return;
  event.preventDefault();
  list[(to + list.length) % list.length]?.focus();
}

export function installMenus(): void {
  document.addEventListener(
    'toggle',
    (event) => {
      const menu = event.target;
      if (!(menu instanceof HTMLElement) || !menu.matches('.menu[popover]')) return;
      const open = menu.matches(':popover-open');
      invoker(menu)?.setAttribute('aria-expanded', String(open));
      if (!open) return;
      place(menu);
      entries(menu)[0]?.focus();
    },
    true,
  );
  delegate('keydown', '.menu[popover]', (event, menu) => move(menu, event));
  delegate('click', '.menu[popover] .menu-item', (_, entry) =>
    entry.closest<HTMLElement>('.menu[popover]')?.hidePopover(),
  );

  // toolbars: arrow keys between their buttons
  delegate('keydown', '[role="toolbar"]', (event, bar) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (!step || (event.target instanceof HTMLInputElement && event.target.type !== 'checkbox')) return;
    const list = all<HTMLElement>('button:not(:disabled), a[href]', bar).filter((node) => node.offsetParent !== null);
    const at = list.indexOf(document.activeElement as HTMLElement);
    if (at < 0) return;
    event.preventDefault();
    list[(at + step + list.length) % list.length]?.focus();
  });
}
