// The bar that shows window, zoom, inversion and mirroring of the image that is edited in its cell.
import { one } from '../shell/dom';
import type { Editing } from './editing';

/** Writes the state into the fields and buttons of the bar; a field with the focus keeps what is typed. */
export function showInBar(bar: HTMLElement, now: Editing): void {
  for (const [name, value] of [
    ['center', now.item.window?.[0]],
    ['width', now.item.window?.[1]],
  ] as const) {
    const field = one<HTMLInputElement>(`[data-edit="${name}"]`, bar);
    if (field && field !== document.activeElement) field.value = value === undefined ? '' : String(value);
  }
  const zoom = one<HTMLElement>('[data-edit-zoom]', bar);
  if (zoom) zoom.textContent = `${Math.round(now.look.zoom * 100)} %`;
  for (const [name, on] of [
    ['invert', now.item.invert],
    ['flip', now.item.flip],
  ] as const)
    one(`[data-edit-do="${name}"]`, bar)?.setAttribute('aria-pressed', String(on ?? false));
}
