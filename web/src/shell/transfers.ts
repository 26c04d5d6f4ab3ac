// The selection bar of the transfers page: shown while rows are ticked, with their number.
import { tn } from './i18n';

export function installTransfers(): void {
  document.addEventListener('filmroom:selection', (event) => {
    const table = event.target as HTMLElement;
    const bar = document.getElementById(table.dataset.selection ?? '');
    if (!bar) return;
    const { rows } = (event as CustomEvent<{ rows: HTMLElement[] }>).detail;
    bar.hidden = rows.length === 0;
    const what = bar.querySelector('b');
    if (what) what.textContent = tn('1 transfer', '{n} transfers', rows.length);
  });
}
