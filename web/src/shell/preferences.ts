// Theme at once, without a page load; the server keeps it. Without a choice the system decides.
import { all, delegate, one } from './dom';
import { request } from './http';

const root = document.documentElement;

/** prefers-contrast: more asks for the contrast theme unless one was chosen. */
function follow(): void {
  if (root.dataset.chosen === undefined && root.dataset.theme) root.dataset.chosen = root.dataset.theme;
  if (root.dataset.chosen) return;
  if (matchMedia('(prefers-contrast: more)').matches) root.dataset.theme = 'contrast';
  else delete root.dataset.theme;
}

// icons: sun moon contrast device-desktop
const MARKS: Record<string, string> = { '': 'device-desktop', light: 'sun', dark: 'moon', contrast: 'contrast' };

function show(theme: string): void {
  if (theme) root.dataset.theme = root.dataset.chosen = theme;
  else {
    delete root.dataset.chosen;
    delete root.dataset.theme;
  }
  follow();
  one('[popovertarget="theme-menu"] use')?.setAttribute(
    'href',
    `${document.body.dataset.sprite ?? ''}#${MARKS[theme] ?? 'device-desktop'}`,
  );
  for (const entry of all('[data-theme-choice]'))
    entry.setAttribute('aria-checked', String(entry.getAttribute('data-theme-choice') === theme));
}

export function installPreferences(): void {
  follow();
  matchMedia('(prefers-contrast: more)').addEventListener('change', follow);
  delegate('click', '[data-theme-choice]', (event, entry) => {
    event.preventDefault();
    const theme = entry.dataset.themeChoice ?? '';
    show(theme);
    entry.closest<HTMLElement>('[popover]')?.hidePopover();
    void request('PATCH', '/api/v1/users/me/preferences', { theme }).catch(() => undefined);
  });
}
