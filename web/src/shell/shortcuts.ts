// `/` search, `?` this list, `g` then `i s q w` for the tabs.
import { modalOpen, one, typing } from './dom';
import { open } from './dialogs';

const CHORD_MS = 1200;

export function installShortcuts(): void {
  let chord = 0;
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event) || modalOpen())
      return;
    if (chord && performance.now() - chord < CHORD_MS) {
      chord = 0;
      const tab = one<HTMLAnchorElement>(`[data-go="${CSS.escape(event.key)}"]`);
      if (tab) {
        event.preventDefault();
        tab.click();
      }
    } else if (event.key === 'g') {
      chord = performance.now();
    } else if (event.key === '/') {
      event.preventDefault();
      one<HTMLInputElement>('#search')?.focus();
    } else if (event.key === '?') {
      const list = one<HTMLDialogElement>('#shortcuts');
      if (list) open(list);
    }
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && event.target instanceof HTMLElement && event.target.id === 'search')
      event.target.blur();
  });
}
