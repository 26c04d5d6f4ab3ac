// The big button: orders, follows the print, says where the file is.
import { one } from '../shell/dom';
import { follow, json, ProblemError, reason } from '../shell/http';
import { t, tn } from '../shell/i18n';
import { failed, toast } from '../shell/toasts';
import { orderOf } from './order';
import type { Arrangement } from './state';

interface Print {
  id: string;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  progress: { done: number; total: number };
  error: string | null;
  pages: number;
  pdf: string | null;
  file: string | null;
}

export function installPrint(root: HTMLElement, form: HTMLFormElement, arrangement: Arrangement): void {
  const label = one<HTMLElement>('[data-print-label]', root);
  const state = one<HTMLElement>('[data-state]', root);
  const say = (): void => {
    const pages = Math.ceil(arrangement.ordered().length / arrangement.cellsPerPage);
    if (label) label.textContent = pages ? tn('Print {n} page', 'Print {n} pages', pages) : t('Print');
  };
  arrangement.onChange(say);
  say();
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void print(form, arrangement, (text) => {
      if (state) state.textContent = text;
    });
  });
}

async function print(form: HTMLFormElement, arrangement: Arrangement, say: (text: string) => void): Promise<void> {
  const items = arrangement.ordered();
  if (!items.length) return say(t('Place at least one image first.'));
  clearFaults(form);
  say(t('Ordering …'));
  let made: Print;
  try {
    made = await json<Print>('POST', '/api/v1/prints', orderOf(form, items));
  } catch (fault) {
    say('');
    if (!(fault instanceof ProblemError && showFault(form, fault))) failed(t('Not printed'), fault);
    return;
  }
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
    message.update({ kind: 'ok', what: tn('{n} page printed', '{n} pages printed', ended.pages), detail: t('The file stays in the print queue.'), links });
  } else if (ended.state === 'cancelled') {
    say(t('Cancelled'));
    message.update({ kind: 'warn', what: t('The print was cancelled') });
  } else {
    say(t('Failed'));
    message.update({ kind: 'bad', what: t('Not printed'), detail: reason(ended) });
  }
}

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
