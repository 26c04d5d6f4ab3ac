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

/** A number out of its range is said beside the field at once, not when the print is ordered. */
function checkRange(input: HTMLInputElement): void {
  const field = input.closest('.field');
  field?.querySelector(':scope > .error')?.remove();
  input.removeAttribute('aria-invalid');
  if (input.validity.valid || !field) return;
  mark(field, input, t('Enter a number from {min} to {max}.', { min: Number(input.min), max: Number(input.max) }));
}

function mark(field: Element, input: HTMLElement, text: string): void {
  input.setAttribute('aria-invalid', 'true');
  const said = document.createElement('p');
  said.className = 'error';
  said.setAttribute('role', 'alert');
  said.textContent = text;
  field.append(said);
}

/** patients: what they are called, by number. unprinted: a sentence for each chosen study without images. */
export function installPrint(
  root: HTMLElement,
  form: HTMLFormElement,
  arrangement: Arrangement,
  patients: string[],
  unprinted: string[],
): void {
  const label = one<HTMLElement>('[data-print-label]', root);
  const state = one<HTMLElement>('[data-state]', root);
  const separate = one<HTMLElement>('[data-separate]', root);
  const say = (): void => {
    const parts = arrangement.parts();
    const pages = parts.reduce((sum, part) => sum + Math.ceil(part.cells.length / arrangement.cellsPerPage), 0);
    if (label) label.textContent = what(form, pages);
    if (!separate) return;
    const several = parts.length < 2 ? [] : [t('{n} prints: one per patient.', { n: parts.length })];
    separate.textContent = [...several, ...unprinted].join(' ');
    separate.hidden = !separate.textContent;
  };
  form.addEventListener('input', (event) => {
    if (event.target instanceof HTMLInputElement && event.target.name === 'output') say();
    if (event.target instanceof HTMLInputElement && event.target.type === 'number') checkRange(event.target);
  });
  arrangement.onChange(say);
  say();
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void order(form, arrangement, patients, unprinted, (text) => {
      if (state) state.textContent = text;
    });
  });
}

/** What the button makes, as the output chosen says. */
function what(form: HTMLFormElement, pages: number): string {
  const images = new FormData(form).get('output') === 'images';
  if (!pages) return images ? t('Create files') : t('Create PDF');
  return images
    ? tn('Create files, {n} page', 'Create files, {n} pages', pages)
    : tn('Create PDF, {n} page', 'Create PDF, {n} pages', pages);
}

type Say = (text: string) => void;

async function order(
  form: HTMLFormElement,
  arrangement: Arrangement,
  patients: string[],
  unprinted: string[],
  say: Say,
): Promise<void> {
  const parts = arrangement.parts();
  if (!parts.length) return say(t('Add at least one image first.'));
  if (!(await sure(parts, patients))) return;
  clearFaults(form);
  for (const part of parts) if (!(await print(form, part.cells, unprinted, say))) return;
}

/** Whoever mixes patients on a page is asked, by name and page. */
async function sure(parts: Part[], patients: string[]): Promise<boolean> {
  const mixed = parts.filter((part) => part.patients.length > 1);
  if (!mixed.length) return true;
  const pages = mixed.flatMap((part) => part.pages).sort((a, b) => a - b);
  const names = [...new Set(mixed.flatMap((part) => part.patients))].map((n) => patients[n] ?? '');
  return ask({
    title: t('Different patients on one page?'),
    text: `${tn('Page {pages} contains images of: {names}.', 'Pages {pages} contain images of: {names}.', pages.length, { pages: pages.join(', '), names: names.join('; ') })} ${t('The patient name is printed with each image.')}`,
    safe: t('Back to the pages'),
    go: t('Print anyway'),
    danger: true,
    iconName: 'alert-triangle',
  });
}

/** One print; it goes on in a toast. False when it was not taken. */
async function print(form: HTMLFormElement, items: Cells, unprinted: string[], say: Say): Promise<boolean> {
  say(t('Submitting …'));
  let made: Print;
  try {
    made = await json<Print>('POST', '/api/v1/prints', orderOf(form, items));
  } catch (fault) {
    say('');
    if (!(fault instanceof ProblemError && showFault(form, fault))) failed(t('Not printed'), fault);
    return false;
  }
  void watch(
    made,
    unprinted,
    say,
    items.reduce((sum, item) => sum + (item?.annotations?.length ?? 0), 0),
  );
  return true;
}

async function watch(made: Print, unprinted: string[], say: Say, marks: number): Promise<void> {
  const message = toast({
    kind: 'running',
    what: tn('Printing {n} page', 'Printing {n} pages', made.pages),
    progress: made.progress,
  });
  try {
    const ended = await follow<Print>(`/api/v1/prints/${made.id}`, (now) => {
      say(
        now.state === 'queued'
          ? t('Waiting')
          : t('Page {n} of {all}', { n: now.progress.done, all: now.progress.total }),
      );
      if (now.state === 'running' || now.state === 'queued')
        message.update({
          kind: 'running',
          what: tn('Printing {n} page', 'Printing {n} pages', now.pages),
          progress: now.progress,
          links: [{ label: t('Cancel'), act: () => void cancel(now.id) }],
        });
    });
    if (ended.state === 'done') document.dispatchEvent(new CustomEvent('filmroom:printed', { detail: { marks } }));
    finish(message, ended, unprinted, say);
  } catch (fault) {
    message.close();
    failed(t('Progress of the print is not available'), fault);
  }
}

function finish(message: ReturnType<typeof toast>, ended: Print, unprinted: string[], say: Say): void {
  if (ended.state === 'done' && ended.file) {
    say(t('Done'));
    const download = { label: t('Download'), href: `${ended.file}?download` };
    const links = ended.pdf
      ? [{ label: t('Open PDF'), act: () => void window.open(ended.pdf ?? '', '_blank', 'noopener') }, download]
      : [download];
    const detail = [...unprinted, ...ended.notices, t('The file remains in the print queue.')].join(' ');
    message.update({ kind: 'ok', what: tn('{n} page printed', '{n} pages printed', ended.pages), detail, links });
  } else if (ended.state === 'cancelled') {
    say(t('Cancelled'));
    message.update({ kind: 'warn', what: t('Print cancelled') });
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
  mark(field, input, [fault.problem.detail, fault.problem.hint].filter(Boolean).join(' '));
  input.focus();
  return true;
}

function clearFaults(form: HTMLFormElement): void {
  for (const node of form.querySelectorAll('.field > .error')) node.remove();
  for (const node of form.querySelectorAll('[aria-invalid]')) node.removeAttribute('aria-invalid');
}
