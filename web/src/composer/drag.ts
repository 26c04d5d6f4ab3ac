// Drag to fill, drag to swap. Pointer events, because SVG cells take no HTML5 drag; works with pen and touch too.
import { element } from '../shell/dom';
import type { Pages } from './pages';
import type { Arrangement } from './state';
import type { Strip } from './strip';

const FAR = 5; // pixels before a press is a drag

export function installDrag(root: HTMLElement, strip: Strip, pages: Pages, arrangement: Arrangement): void {
  root.addEventListener('pointerdown', (start) => {
    if (start.button !== 0 || !(start.target instanceof Element)) return;
    const thumb = start.target.closest<HTMLElement>('.composer-thumb');
    const from = thumb ? null : pages.cellAt(start.clientX, start.clientY);
    if (!thumb && from === null) return;
    if (start.pointerType === 'touch' && thumb) return; // a finger scrolls the strip; it places by tapping and Place
    let ghost: HTMLElement | null = null;
    const move = (event: PointerEvent): void => {
      if (!ghost) {
        if (Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) < FAR) return;
        if (from !== null && !arrangement.cells[from]) return;
        ghost = carry(thumb, thumb ? strip.carried(thumb).length : 1);
      }
      event.preventDefault();
      ghost.style.setProperty('translate', `${event.clientX + 8}px ${event.clientY + 8}px`);
      target(root, pages.cellAt(event.clientX, event.clientY), arrangement.cellsPerPage);
    };
    const end = (event: PointerEvent): void => {
      root.ownerDocument.removeEventListener('pointermove', move);
      root.ownerDocument.removeEventListener('pointerup', end);
      root.ownerDocument.removeEventListener('pointercancel', end);
      target(root, null, 1);
      const dragged = ghost !== null;
      ghost?.remove();
      const to = event.type === 'pointerup' ? pages.cellAt(event.clientX, event.clientY) : null;
      if (!dragged) {
        if (from !== null) pages.choose(from);
        return;
      }
      root.ownerDocument.addEventListener('click', swallow, { capture: true, once: true });
      setTimeout(() => root.ownerDocument.removeEventListener('click', swallow, { capture: true }), 0);
      if (to === null) return;
      if (thumb) {
        arrangement.place(strip.carried(thumb), to);
        strip.clear();
      } else if (from !== null) arrangement.swap(from, to);
      pages.choose(to);
    };
    root.ownerDocument.addEventListener('pointermove', move);
    root.ownerDocument.addEventListener('pointerup', end);
    root.ownerDocument.addEventListener('pointercancel', end);
    start.preventDefault();
    (thumb ?? start.target.closest('[data-cell]')?.querySelector<SVGElement>('.cell-edge') ?? null)?.focus({
      preventScroll: true,
    });
  });
}

function swallow(event: Event): void {
  event.stopPropagation();
  event.preventDefault();
}

function carry(thumb: HTMLElement | null, count: number): HTMLElement {
  const ghost = element('div', { class: 'composer-ghost', attrs: { 'aria-hidden': 'true' } });
  const picture = thumb?.querySelector('img')?.cloneNode();
  if (picture) ghost.append(picture);
  if (count > 1) ghost.append(element('span', { class: 'pill order', text: String(count) }));
  document.body.append(ghost);
  return ghost;
}

function target(root: HTMLElement, cell: number | null, perPage: number): void {
  for (const node of root.querySelectorAll('.cell.target')) node.classList.remove('target');
  if (cell !== null) root.querySelector(`[data-paper] [data-cell="${cell % perPage}"]`)?.classList.add('target');
}
