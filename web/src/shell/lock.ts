// The server locks an idle session and refuses everything but unlock (SEC-3); this asks it, covers the work and keeps it.
import { one } from './dom';
import { connect, disconnect, onLink } from './events';
import { ProblemError, isLocked, onRefused, request, type Problem } from './http';
import { t } from './i18n';
import { refreshAll } from './live';

const REPORT_MS = 60_000;
const LOOK_MS = 60_000;

let reported = 0;

function dialog(): HTMLDialogElement | null {
  return one<HTMLDialogElement>('#lock');
}

export function show(): void {
  const lock = dialog();
  if (!lock || lock.open) return;
  disconnect();
  lock.showModal();
  one<HTMLInputElement>('#lock-password')?.focus();
}

function hide(): void {
  dialog()?.close();
  connect();
  refreshAll();
}

async function look(): Promise<void> {
  const lock = dialog();
  if (!lock) return;
  try {
    await request('GET', '/api/v1/sessions', undefined, { background: true });
    if (lock.open) hide(); // unlocked in another tab
  } catch (fault) {
    if (fault instanceof ProblemError && isLocked(fault.problem)) show();
  }
}

/** Real input keeps the session awake: reported at most once a minute; polls and streams never count. */
function input(): void {
  if (performance.now() - reported < REPORT_MS || dialog()?.open) return;
  reported = performance.now();
  void request('POST', '/api/v1/sessions/current/activity').catch(() => undefined);
}

async function unlock(form: HTMLFormElement): Promise<void> {
  const field = one<HTMLInputElement>('#lock-password');
  const error = one<HTMLElement>('#lock-error');
  if (!field || !error) return;
  error.hidden = true;
  try {
    await request('POST', '/api/v1/sessions/current/unlock', {
      password: field.value,
      code: one<HTMLInputElement>('#lock-code')?.value ?? '',
    });
    form.reset();
    hide();
  } catch (fault) {
    const problem = fault instanceof ProblemError ? fault.problem : undefined;
    error.textContent = problem?.detail ?? t('The server did not respond. Try again in a moment.');
    error.hidden = false;
    field.select();
  }
}

function refused(problem: Problem): void {
  if (isLocked(problem)) show();
  else if (!dialog()?.open) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

export function installLock(): void {
  if (!dialog()) return;
  onRefused(refused);
  for (const name of ['pointerdown', 'keydown', 'wheel', 'touchstart'] as const)
    document.addEventListener(name, input, { passive: true, capture: true });
  reported = performance.now(); // opening the page was input
  window.setInterval(() => void look(), LOOK_MS);
  onLink((up) => {
    if (!up) void look(); // the server ends the stream when the session is locked
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) void look();
  });
  dialog()?.addEventListener('cancel', (event) => event.preventDefault());
  one<HTMLFormElement>('#lock-form')?.addEventListener('submit', (event) => {
    event.preventDefault();
    void unlock(event.target as HTMLFormElement);
  });
  document.addEventListener('click', (event) => {
    if (!(event.target as Element).closest('[data-lock]')) return;
    void request('POST', '/api/v1/sessions/current/lock').then(show, show);
  });
}
