// Whether a page may be left: work that is nowhere but in this page is asked about first, whichever way it is left.
import { ask, type Question } from './dialogs';

interface Context {
  sourceElement?: Element;
  select?: string;
  target?: Element | string;
  confirm?: string;
}

/** Changes that are lost when the page is left; undefined: nothing. to: the target address, undefined where unknown. */
type Unsaved = (to?: URL) => Question | undefined;

const guards = new Set<Unsaved>();
let allowed = false;
let back: URL | undefined; // where back or forward of the browser leads, while it is fetched
let here = { url: '', state: null as unknown };

/** Asks before the page is left while `unsaved` names something. Answers what ends that. */
export function guard(unsaved: Unsaved): () => void {
  guards.add(unsaved);
  return () => guards.delete(unsaved);
}

/** Does something that leaves the page without a question, because nothing is lost by it. */
export function leave(go: () => void): void {
  allowed = true;
  go();
}

function question(to?: URL): Question | undefined {
  if (allowed) return undefined;
  for (const unsaved of guards) {
    const found = unsaved(to);
    if (found) return found;
  }
  return undefined;
}

/** Whether the answer takes the place of the page. */
function changesPage(ctx: Context): boolean {
  return (
    ctx.select === '#page' ||
    ctx.select === '[hx-history-elt]' ||
    (ctx.target instanceof Element && ctx.target.matches('#page, body'))
  );
}

export function installLeaving(): void {
  const arrived = (): void => {
    allowed = false;
    back = undefined;
    here = { url: location.href, state: history.state };
  };
  document.addEventListener('filmroom:page', arrived);
  for (const name of ['htmx:error', 'htmx:response:error']) document.addEventListener(name, () => (allowed = false)); // the page was not left
  window.addEventListener('beforeunload', (event) => {
    if (question()) event.preventDefault();
  });
  document.addEventListener('htmx:before:request', (event) => {
    const { ctx } = (event as CustomEvent<{ ctx: Context }>).detail;
    const source = ctx.sourceElement;
    const to = source instanceof HTMLAnchorElement ? new URL(source.href, location.href) : back;
    const asked = changesPage(ctx) ? question(to) : undefined;
    if (!asked || !(source instanceof HTMLElement)) return;
    event.preventDefault();
    void ask(asked).then((yes) => {
      if (yes) leave(() => again(source));
    });
  });
  // The address has changed already: it is put back, and the navigation is repeated when the user confirms.
  document.addEventListener('htmx:before:history:restore', (event) => {
    const to = new URL(location.href);
    const asked = question(to);
    if (!asked) {
      back = to;
      return;
    }
    event.preventDefault();
    history.pushState(here.state ?? { htmx: true }, '', here.url);
    void ask(asked).then((yes) => {
      if (yes) leave(() => history.back());
    });
  });
}

function again(source: HTMLElement): void {
  if (source instanceof HTMLFormElement) source.requestSubmit();
  else if (source.isConnected) source.click();
  else if (source instanceof HTMLAnchorElement) location.assign(source.href); // it was there for one click
}
