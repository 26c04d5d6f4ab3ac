// The event, then detail, then at most two links; 6 s when done, stays when failed or running.
import { element, icon, one } from './dom';
import { ProblemError } from './http';
import { t } from './i18n';

export type Kind = 'ok' | 'bad' | 'warn' | 'running';
export interface Link {
  label: string;
  href?: string;
  act?: () => void;
}
export interface Message {
  kind: Kind;
  what: string;
  detail?: string;
  links?: Link[];
  progress?: { done: number; total: number };
  results?: string[];
  /** Stays until closed, though all went well: there is something to fetch. */
  stay?: boolean;
}

// icons: circle-check circle-x alert-triangle loader-2 x
const ICONS: Record<Kind, string> = {
  ok: 'circle-check',
  bad: 'circle-x',
  warn: 'alert-triangle',
  running: 'loader-2',
};
const STAY_MS = 6000;

const listeners = new Set<(message: Message) => void>();

/** Hears every message that is shown, for the bell. */
export function onToast(listener: (message: Message) => void): void {
  listeners.add(listener);
}

export class Toast {
  private readonly node = element('section', { class: 'toast' });
  private timer: number | undefined;
  onclose: (() => void) | undefined;

  constructor(message: Message) {
    this.update(message);
    region()?.append(this.node);
    raise();
  }

  update(message: Message): void {
    window.clearTimeout(this.timer);
    for (const listener of listeners) listener(message);
    const kind = message.kind === 'running' ? '' : message.kind;
    this.node.className = `toast ${kind}`.trim();
    const body = element('div', {}, element('p', { class: 'what', text: message.what }));
    if (message.detail) body.append(element('p', { class: 'detail', text: message.detail }));
    if (message.progress) body.append(bar(message.what, message.progress));
    if (message.results?.length)
      body.append(
        element(
          'ul',
          { class: 'results', attrs: { tabindex: '0' } },
          ...message.results.map((text) => element('li', { text })),
        ),
      );
    if (message.links?.length) body.append(element('p', { class: 'links' }, ...message.links.slice(0, 2).map(link)));
    const close = element(
      'button',
      { class: 'close', attrs: { type: 'button', 'aria-label': t('Close'), title: t('Close') } },
      icon('x', 14),
    );
    close.addEventListener('click', () => this.close());
    const mark = icon(ICONS[message.kind]);
    if (message.kind === 'running') mark.classList.add('spin');
    this.node.replaceChildren(mark, body, close);
    if (message.kind === 'ok' && !message.stay && !message.results?.length)
      this.timer = window.setTimeout(() => this.close(false), STAY_MS);
  }

  close(byHand = true): void {
    window.clearTimeout(this.timer);
    this.node.remove();
    if (byHand) this.onclose?.();
  }
}

function bar(what: string, progress: { done: number; total: number }): HTMLProgressElement {
  const node = element('progress', { attrs: { 'aria-label': what, max: String(progress.total || 1) } });
  node.value = progress.done;
  return node;
}

function link(one: Link): HTMLElement {
  if (one.href) return element('a', { text: one.label, attrs: { href: one.href } });
  const button = element('button', { text: one.label, attrs: { type: 'button' } });
  button.addEventListener('click', () => one.act?.());
  return button;
}

function region(): HTMLElement | null {
  return one<HTMLElement>('#toasts');
}

/** A modal dialog makes the rest inert: while one is open the toasts live inside it. */
function raise(): void {
  const node = region();
  if (!node) return;
  const modal = [...document.querySelectorAll<HTMLDialogElement>('dialog:modal')].at(-1);
  if (modal && node.parentElement !== modal && modal.id !== 'lock') {
    modal.append(node);
    modal.addEventListener('close', () => document.body.append(node), { once: true });
  }
}

export function toast(message: Message): Toast {
  return new Toast(message);
}

/** A fault in words: what, why, what to do, the code to quote. */
export function failed(what: string, fault: unknown): void {
  if (fault instanceof ProblemError) {
    const { detail, title, hint, code } = fault.problem;
    toast({ kind: 'bad', what, detail: [detail ?? title, hint, code].filter(Boolean).join(' ') });
  } else {
    toast({ kind: 'bad', what, detail: t('The server did not respond. Try again in a moment.') });
  }
}
