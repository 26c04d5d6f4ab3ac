// htmx without eval, and what a boosted page change needs: focus, title, the fallback when the answer is not a page of this server.
import htmx from 'htmx.org';
import { one } from './dom';
import { announce, csrf, isLocked } from './http';
import { t } from './i18n';
import { toast } from './toasts';

interface Context {
  sourceElement: HTMLElement;
  select?: string;
  text: string;
  target: Element;
  request: { headers: Record<string, string>; action: string };
  response: { status: number; headers: Headers; raw: Response };
}

function context(event: Event): Context {
  return (event as CustomEvent<{ ctx: Context }>).detail.ctx;
}

function problemIn(ctx: Context): string {
  const text = new DOMParser()
    .parseFromString(ctx.text, 'text/html')
    .querySelector('[data-problem], .fault h1')?.textContent;
  return text?.trim() ?? '';
}

/** The field an address names: unfolded, in view and with the focus. False when it names none. */
function showAnchor(): boolean {
  const named = location.hash ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  if (!named?.matches('input, select, textarea')) return false;
  named.closest('details')?.setAttribute('open', '');
  requestAnimationFrame(() => named.scrollIntoView({ block: 'center' })); // htmx puts it at the very top, its label out of sight
  named.focus({ preventScroll: true });
  return true;
}

/** The field with the focus, to find it again when the same page comes with another answer (a search). */
interface Focused {
  path: string;
  selector: string;
}

function focusedField(): Focused | undefined {
  const field = document.activeElement;
  if (!field?.matches('#page :is(input, select)') || !field.getAttribute('name')) return undefined;
  const form = field.getAttribute('form');
  const within = form ? `[form="${CSS.escape(form)}"]` : '';
  return {
    path: location.pathname,
    selector: `#page [name="${CSS.escape(field.getAttribute('name') ?? '')}"]${within}`,
  };
}

/** False where another page was opened, or the field is gone. */
function showFocused(before: Focused | undefined): boolean {
  if (!before || before.path !== location.pathname) return false;
  const field = one<HTMLElement>(before.selector);
  field?.focus({ preventScroll: true });
  return field !== null && field === document.activeElement;
}

export function installNavigation(): void {
  let before: Focused | undefined;
  window.addEventListener('hashchange', showAnchor);
  showAnchor();
  document.addEventListener('htmx:config:request', (event) => {
    const ctx = context(event);
    ctx.request.headers['X-CSRF-Token'] = csrf();
    if (ctx.sourceElement.matches('[data-background]')) ctx.request.headers['X-Background'] = '1';
    else before = focusedField();
  });
  document.addEventListener('htmx:before:swap', (event) => {
    const ctx = context(event);
    const status = ctx.response?.status ?? 200;
    if (status === 423) {
      event.preventDefault(); // the dialog of the shell covers the page; the work stays under it
      return announce({ status });
    }
    const type = ctx.response?.headers.get('content-type') ?? 'text/html';
    if (ctx.select === '#page' && (!ctx.text.includes('id="page"') || !ctx.text.includes('hx-history-elt'))) {
      event.preventDefault(); // the login page, a file, a bare error: go there for real
      location.assign(ctx.response.raw.url || ctx.request.action);
    } else if (type.includes('json') || (status >= 500 && !ctx.select)) {
      event.preventDefault();
    }
  });
  document.addEventListener('htmx:response:error', (event) => {
    const ctx = context(event);
    const problem = { status: ctx.response.status };
    if (isLocked(problem) || problem.status === 401) announce(problem);
    else if (ctx.select !== '#page' && ctx.response.status >= 500)
      toast({ kind: 'bad', what: t('Action failed'), detail: problemIn(ctx) });
  });
  document.addEventListener('htmx:error', (event) => {
    const ctx = context(event);
    if (ctx.sourceElement.matches('[data-background]')) return;
    toast({
      kind: 'bad',
      what: t('Filmroom does not respond'),
      detail: t('Nothing was changed. Try again in a moment.'),
    });
  });
  document.addEventListener('htmx:after:swap', (event) => {
    const ctx = context(event);
    if (
      ctx.select !== '#page' &&
      ctx.select !== '[hx-history-elt]' &&
      !(ctx.target as Element | null)?.matches?.('#page')
    )
      return;
    if (!showAnchor() && !showFocused(before)) one<HTMLElement>('#main')?.focus({ preventScroll: true });
    document.dispatchEvent(new CustomEvent('filmroom:page'));
  });
  htmx.config.includeIndicatorCSS = false;
}
