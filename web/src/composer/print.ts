// The big button: orders, follows the print, shows where the file is.
import { ask } from '../shell/dialogs';
import { one } from '../shell/dom';
import { follow, json, ProblemError, reason } from '../shell/http';
import { t, tn } from '../shell/i18n';
import { failed, toast } from '../shell/toasts';
import { type Order, orderOf } from './order';
import type { Arrangement, Part } from './state';

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

/** A number out of its range is reported beside the field at once, not when the print is ordered. */
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
  const submission = new Submission();
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (one<HTMLButtonElement>('[type="submit"]', form)?.disabled) return; // Ctrl+P before the first preview
    void submission.once(() =>
      order(form, arrangement, patients, unprinted, (text) => {
        if (state) state.textContent = text;
      }),
    );
  });
}

const DOUBLE_CLICK_MS = 1000;

/** One order at a time: the second click of a double click, or a held key, orders nothing. */
class Submission {
  private busy = false;

  /** work: true when prints were queued. */
  async once(work: () => Promise<boolean>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    let queued = false;
    try {
      queued = await work();
    } finally {
      setTimeout(
        () => {
          this.busy = false;
        },
        queued ? DOUBLE_CLICK_MS : 0,
      );
    }
  }
}

/** Label of the button for the chosen output. */
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
): Promise<boolean> {
  const parts = arrangement.parts();
  if (!parts.length) {
    say(t('Add at least one image first.'));
    return false;
  }
  if (!(await sure(parts, patients))) return false;
  clearFaults(form);
  say(t('Submitting …'));
  const orders = parts.map((part) => orderOf(form, part.cells));
  const key = keyOf(orders);
  let made: Batch;
  try {
    made = await json<Batch>('POST', '/api/v1/prints/batch', { prints: orders, key });
  } catch (fault) {
    say('');
    // Refused: nothing was queued. Otherwise the server may have queued the prints, and the key finds them again.
    if (fault instanceof ProblemError && fault.problem.status < 500) forgetKey();
    if (!(fault instanceof ProblemError && showFault(form, fault, parts, patients, say)))
      failed(t('Not printed'), fault);
    return false;
  }
  forgetKey();
  if (made.repeated)
    toast({ kind: 'ok', what: t('Already in the print queue'), detail: t('Nothing was printed twice.') });
  made.items.forEach((one, n) => {
    const part = parts[n];
    const marks = part?.cells.reduce((sum, item) => sum + (item?.annotations?.length ?? 0), 0) ?? 0;
    const whose = part ? namesOf(part, patients) : '';
    void watch(one, whose, n ? [] : unprinted, say, marks);
  });
  return true;
}

/** prints: in the order of the parts. repeated: they were queued by an earlier request with the same key. */
interface Batch {
  items: Print[];
  repeated: boolean;
}

function namesOf(part: Part, patients: string[]): string {
  return part.patients.map((n) => patients[n] ?? '').join('; ');
}

const PENDING = 'filmroom-print'; // sessionStorage: the order that was sent last and not answered

let lastPasswords: string | null = null; // of the order that was sent last from this page; in memory only

/** The key under which these prints are ordered: the same as long as no answer has come for the same prints, so that an order
 * sent again after a lost connection or a reload of the page is not printed twice. After a reload the last password is not
 * known: the server refuses the key if it differs. */
function keyOf(orders: Order[]): string {
  const passwords = JSON.stringify(orders.map((order) => order.password ?? ''));
  const samePasswords = lastPasswords === null || lastPasswords === passwords;
  lastPasswords = passwords;
  const text = orders.map(({ password, ...rest }) => JSON.stringify({ ...rest, protected: !!password })).join();
  const [hash, key] = (sessionStorage.getItem(PENDING) ?? '').split(' ');
  if (key && samePasswords && hash === hashOf(text)) return key;
  const made = [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, '0')).join('');
  sessionStorage.setItem(PENDING, `${hashOf(text)} ${made}`);
  return made;
}

function forgetKey(): void {
  sessionStorage.removeItem(PENDING);
}

/** FNV-1a of 64 bits; crypto.subtle is not available over plain HTTP. */
function hashOf(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(36);
}

/** A user who mixes patients on a page is asked, by name and page. */
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

/** whose: the names of the patients. */
async function watch(made: Print, whose: string, unprinted: string[], say: Say, marks: number): Promise<void> {
  const message = toast({
    kind: 'running',
    what: titled(tn('Printing {n} page', 'Printing {n} pages', made.pages), whose),
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
          what: titled(tn('Printing {n} page', 'Printing {n} pages', now.pages), whose),
          progress: now.progress,
          links: [{ label: t('Cancel'), act: () => void cancel(now.id) }],
        });
    });
    if (ended.state === 'done') document.dispatchEvent(new CustomEvent('filmroom:printed', { detail: { marks } }));
    finish(message, ended, whose, unprinted, say);
  } catch (fault) {
    message.close();
    failed(t('Progress of the print is not available'), fault);
  }
}

function titled(text: string, whose: string): string {
  return whose ? `${whose}: ${text}` : text;
}

function finish(message: ReturnType<typeof toast>, ended: Print, whose: string, unprinted: string[], say: Say): void {
  if (ended.state === 'done' && ended.file) {
    say(t('Done'));
    const download = { label: t('Download'), href: `${ended.file}?download` };
    const links = ended.pdf
      ? [{ label: t('Open PDF'), act: () => void window.open(ended.pdf ?? '', '_blank', 'noopener') }, download]
      : [download];
    const detail = [...unprinted, ...ended.notices, t('The file remains in the print queue.')].join(' ');
    const what = titled(tn('{n} page printed', '{n} pages printed', ended.pages), whose);
    message.update({ kind: 'ok', what, detail, links });
  } else if (ended.state === 'cancelled') {
    say(t('Cancelled'));
    message.update({ kind: 'warn', what: titled(t('Print cancelled'), whose) });
  } else {
    say(t('Failed'));
    message.update({ kind: 'bad', what: titled(t('Not printed'), whose), detail: reason(ended) });
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

/** Errors of an order: with several prints, one for each that is refused (`prints.2.scaling`). */
interface Refusal {
  field?: string;
  errors?: { field: string; message: string }[];
}

/** The error beside the field, by patient where there are several prints; false when it belongs to none of the form's fields. */
function showFault(form: HTMLFormElement, fault: ProblemError, parts: Part[], patients: string[], say: Say): boolean {
  const { field = '', errors = [] } = fault.problem as Refusal;
  const name = field.replace(/^prints\.\d+\./, '').split('.')[0] ?? '';
  const found = name ? form.elements.namedItem(name) : null;
  const input = found instanceof RadioNodeList ? (found[0] as HTMLElement | undefined) : (found as HTMLElement | null);
  const box = input?.closest('.field');
  const reasons = parts.length > 1 ? errors.map((one) => refused(one, parts, patients)) : [];
  if (reasons.length) {
    say(fault.problem.detail ?? t('Nothing was printed'));
    if (box && input) mark(box, input, reasons.join(' '));
    else toast({ kind: 'bad', what: t('Nothing was printed'), detail: fault.problem.detail ?? '', results: reasons });
  } else if (box && input) mark(box, input, [fault.problem.detail, fault.problem.hint].filter(Boolean).join(' '));
  else return false;
  input?.focus();
  return true;
}

function refused({ field, message }: { field: string; message: string }, parts: Part[], patients: string[]): string {
  const part = parts[Number(/^prints\.(\d+)/.exec(field)?.[1] ?? -1)];
  return part ? `${namesOf(part, patients)}: ${message}` : message;
}

function clearFaults(form: HTMLFormElement): void {
  for (const node of form.querySelectorAll('.field > .error')) node.remove();
  for (const node of form.querySelectorAll('[aria-invalid]')) node.removeAttribute('aria-invalid');
}
