// The big button: orders, follows the print, says where the file is.
import { ask } from '../shell/dialogs';
import { one } from '../shell/dom';
import { follow, json, ProblemError, reason } from '../shell/http';
import { t, tn } from '../shell/i18n';
import { failed, toast } from '../shell/toasts';
import { orderOf } from './order';
import type { Arrangement, Cells, Part } from './state';

interface Print {
  id: string;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  progress: { done: number; total: number };
  error: string | null;
  pages: number;
  notices: string[];
  pdf: string | null;
  file: string | null;
}

/** patients: what they are called, by number. */
export function installPrint(root: HTMLElement, form: HTMLFormElement, arrangement: Arrangement, patients: string[]): void {
  const label = one<HTMLElement>('[data-print-label]', root);
  const state = one<HTMLElement>('[data-state]', root);
  const separate = one<HTMLElement>('[data-separate]', root);
  const say = (): void => {
    const parts = arrangement.parts();
    const pages = parts.reduce((sum, part) => sum + Math.ceil(part.cells.length / arrangement.cellsPerPage), 0);
    if (label) label.textContent = pages ? tn('Print {n} page', 'Print {n} pages', pages) : t('Print');
    if (!separate) return;
    separate.hidden = parts.length < 2;
    separate.textContent = t('{n} prints: each patient gets one of their own.', { n: parts.length });
  };
  arrangement.onChange(say);
  say();
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void order(form, arrangement, patients, (text) => {
      if (state) state.textContent = text;
    });
  });
}

type Say = (text: string) => void;

async function order(form: HTMLFormElement, arrangement: Arrangement, patients: string[], say: Say): Promise<void> {
  const parts = arrangement.parts();
  if (!parts.length) return say(t('Place at least one image first.'));
  if (!(await sure(parts, patients))) return;
  clearFaults(form);
  for (const part of parts) if (!(await print(form, part.cells, say))) return;
}

/** Whoever mixes patients on a page is asked, by name and page. */
async function sure(parts: Part[], patients: string[]): Promise<boolean> {
  const mixed = parts.filter((part) => part.patients.length > 1);
  if (!mixed.length) return true;
  const pages = mixed.flatMap((part) => part.pages).sort((a, b) => a - b);
  const names = [...new Set(mixed.flatMap((part) => part.patients))].map((n) => patients[n] ?? '');
  return ask({
    title: t('Different patients on one page?'),
    text: `${tn('Page {pages} shows images of: {names}.', 'Pages {pages} show images of: {names}.', pages.length, { pages: pages.join(', '), names: names.join('; ') })} ${t('Each image will say whose it is.')}`,
    safe: t('Back to the pages'),
    go: t('Print mixed'),
    danger: true,
    iconName: 'alert-triangle',
  });
}

/** One print; it goes on in a toast. False when it was not taken. */
async function print(form: HTMLFormElement, items: Cells, say: Say): Promise<boolean> {
  say(t('Ordering …'));
  let made: Print;
  try {
    made = await json<Print>('POST', '/api/v1/prints', orderOf(form, items));
  } catch (fault) {
    say('');
    if (!(fault instanceof ProblemError && showFault(form, fault))) failed(t('Not printed'), fault);
    return false;
  }
  void watch(made, say);
  return true;
}

async function watch(made: Print, say: Say): Promise<void> {
  const message = toast({ kind: 'running', what: tn('Printing {n} page', 'Printing {n} pages', made.pages), progress: made.progress });
  try {
    const ended = await follow<Print>(`/api/v1/prints/${made.id}`, (now) => {
      say(now.state === 'queued' ? t('Waiting') : t('Page {n} of {all}', { n: now.progress.done, all: now.progress.total }));
      if (now.state === 'running' || now.state === 'queued')
        message.update({ kind: 'running', what: tn('Printing {n} page', 'Printing {n} pages', now.pages), progress: now.progress, links: [{ label: t('Cancel'), act: () => void cancel(now.id) }] });
    });
    finish(message, ended, say);
  } catch (fault) {
    message.close();
    failed(t('The print cannot be followed'), fault);
  }
}

function finish(message: ReturnType<typeof toast>, ended: Print, say: (text: string) => void): void {
  if (ended.state === 'done' && ended.file) {
    say(t('Done'));
    const download = { label: t('Download'), href: `${ended.file}?download` };
    const links = ended.pdf ? [{ label: t('Open the PDF'), act: () => void window.open(ended.pdf ?? '', '_blank', 'noopener') }, download] : [download];
    const detail = [...ended.notices, t('The file stays in the print queue.')].join(' ');
    message.update({ kind: 'ok', what: tn('{n} page printed', '{n} pages printed', ended.pages), detail, links });
  } else if (ended.state === 'cancelled') {
    say(t('Cancelled'));
    message.update({ kind: 'warn', what: t('The print was cancelled') });
  } else {
    say(t('Failed'));
    message.update({ kind: 'bad', what: t('Not printed'), detail: reason(ended) });
  }
}

// icons: alert-triangle
async function cancel(id: string): Promise<void> {
  try {
    await json('POST', `/api/v1/prints/${id}/cancel`);
  } catch (fault) {
    failed(t('Not cancelled'), fault);
  }
}

/** A wrong field says so itself; false when the fault belongs to none of the form's fields. */
function showFault(form: HTMLFormElement, fault: ProblemError): boolean {
  const name = String((fault.problem as { field?: string }).field ?? '').split('.')[0] ?? '';
  const found = name ? form.elements.namedItem(name) : null;
  const input = found instanceof RadioNodeList ? (found[0] as HTMLElement | undefined) : (found as HTMLElement | null);
  const field = input?.closest('.field');
  if (!field || !input) return false;
  input.setAttribute('aria-invalid', 'true');
  const said = document.createElement('p');
  said.className = 'error';
  said.setAttribute('role', 'alert');
  said.textContent = [fault.problem.detail, fault.problem.hint].filter(Boolean).join(' ');
  field.append(said);
  input.focus();
  return true;
}

function clearFaults(form: HTMLFormElement): void {
  for (const node of form.querySelectorAll('.field > .error')) node.remove();
  for (const node of form.querySelectorAll('[aria-invalid]')) node.removeAttribute('aria-invalid');
}
