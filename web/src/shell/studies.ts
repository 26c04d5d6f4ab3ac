// Actions for chosen studies: view, print, send, export, anonymize, delete. Long work shows as a toast with
// counts and a way to stop, and stays findable on the Incoming page.
import htmx from 'htmx.org';
import { one } from './dom';
import { ask, open } from './dialogs';
import { follow, json, reason, request, ProblemError } from './http';
import { size, t, tn } from './i18n';
import { refreshAll } from './live';
import { clear } from './table';
import { failed, toast, type Toast } from './toasts';

export interface Chosen {
  studies: { uid: string; name: string }[];
  patients: number;
  series: number;
  images: number;
  bytes: number;
}
interface Job {
  id: string;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  progress?: { done: number; total: number };
  error?: string | null;
}

let pending: Chosen | undefined;

function say(dialog: HTMLDialogElement, chosen: Chosen): void {
  const line = [
    tn('1 study', '{n} studies', chosen.studies.length),
    tn('of 1 patient', 'of {n} patients', chosen.patients),
  ].join(' ');
  const counts = [
    tn('1 series', '{n} series', chosen.series),
    tn('1 image', '{n} images', chosen.images),
    size(chosen.bytes),
  ].join(', ');
  const place = dialog.querySelector<HTMLElement>('[data-counts]');
  place?.replaceChildren(`${line}: `, Object.assign(document.createElement('b'), { textContent: counts }));
  const go = dialog.querySelector<HTMLElement>('[data-go-label]');
  const label = go?.dataset.goLabel;
  const words = go?.querySelector('span');
  if (words && label) words.textContent = `${label} ${tn('1 study', '{n} studies', chosen.studies.length)}`;
}

async function start(url: string, body: unknown): Promise<{ id: string; location: string }> {
  const response = await request('POST', url, body);
  const made = (await response.json()) as { id: string };
  return { id: made.id, location: response.headers.get('location') ?? `${url}/${made.id}` };
}

/** Follows one job in a toast; answers its last state. */
async function watch(what: string, detail: string, location: string, tray: Toast): Promise<Job> {
  const stop = (): void =>
    void request('DELETE', location).catch((fault: unknown) => failed(t('The job could not be stopped'), fault));
  return follow<Job>(location, (job) => {
    const { done = 0, total = 0 } = job.progress ?? {};
    const counts = total ? t('{done} of {total}', { done, total }) : t('Waiting');
    if (job.state === 'queued' || job.state === 'running')
      tray.update({
        kind: 'running',
        what,
        detail: [detail, counts].filter(Boolean).join(', '),
        progress: { done, total },
        links: [{ label: t('Cancel'), act: stop }],
      });
  });
}

async function each(
  chosen: Chosen,
  what: string,
  url: string,
  body: (uid: string) => unknown,
  done: (job: Job, location: string, name: string, tray: Toast) => void,
): Promise<void> {
  await Promise.all(
    chosen.studies.map(async (study) => {
      const tray = toast({ kind: 'running', what, detail: study.name });
      try {
        const { location } = await start(url, body(study.uid));
        const job = await watch(what, study.name, location, tray);
        if (job.state === 'done') done(job, location, study.name, tray);
        else
          tray.update({
            kind: job.state === 'cancelled' ? 'warn' : 'bad',
            what: job.state === 'cancelled' ? t('Stopped') : t('Failed: {what}', { what }),
            detail: [study.name, reason(job)].filter(Boolean).join('. '),
          });
      } catch (fault) {
        tray.close(false);
        failed(what, fault);
      }
    }),
  );
}

function send(chosen: Chosen, form: FormData): void {
  const node = String(form.get('node') ?? '');
  void each(
    chosen,
    t('Sending to {node}', { node }),
    '/api/v1/transfers',
    (uid) => ({ study_instance_uid: uid, node }),
    (job, _, name, tray) =>
      tray.update({
        kind: 'ok',
        what: t('Sent to {node}', { node }),
        detail: [name, job.progress ? tn('1 image', '{n} images', job.progress.total) : ''].filter(Boolean).join(', '),
      }),
  );
}

function anonymize(chosen: Chosen, form: FormData): void {
  const profile = String(form.get('profile') ?? 'basic');
  const back = form.get('to_archive') !== null;
  void each(
    chosen,
    t('Anonymizing'),
    '/api/v1/anonymizations',
    (uid) => ({ study_instance_uid: uid, profile, ...(back ? { to_archive: true } : {}) }),
    (_, location, name, tray) =>
      tray.update({
        kind: 'ok',
        stay: true,
        what: t('The anonymized copy is ready'),
        detail: name,
        links: [
          { label: t('Download ZIP'), href: `${location}/archive` },
          { label: t('Changes'), href: location.replace('/api/v1', '') },
        ],
      }),
  );
}

function download(url: string): void {
  const link = Object.assign(document.createElement('a'), { href: url, download: '' });
  document.body.append(link);
  link.click();
  link.remove();
}

function exportZip(chosen: Chosen): void {
  for (const study of chosen.studies) download(`/api/v1/studies/${encodeURIComponent(study.uid)}/archive`);
  toast({
    kind: 'ok',
    what: t('Export started'),
    detail: tn(
      '1 ZIP archive; the browser saves it',
      '{n} ZIP archives; the browser saves them',
      chosen.studies.length,
    ),
  });
}

async function remove(chosen: Chosen, form: FormData): Promise<void> {
  const why = String(form.get('reason') ?? '');
  let gone = 0;
  for (const study of chosen.studies) {
    try {
      await request(
        'DELETE',
        `/api/v1/studies/${encodeURIComponent(study.uid)}${why ? `?reason=${encodeURIComponent(why)}` : ''}`,
      );
      gone += 1;
      document.querySelector(`tr.item[data-study="${CSS.escape(study.uid)}"]`)?.remove();
    } catch (fault) {
      failed(t('{name} was not deleted', { name: study.name }), fault);
      if (fault instanceof ProblemError && fault.problem.status === 423) break;
    }
  }
  if (gone)
    toast({
      kind: 'ok',
      what: tn('1 study deleted', '{n} studies deleted', gone),
      detail: tn('1 image', '{n} images', chosen.images),
    });
  refreshAll();
}

function go(kind: string, chosen: Chosen, form: FormData): void {
  if (kind === 'send') send(chosen, form);
  else if (kind === 'anonymize') anonymize(chosen, form);
  else if (kind === 'export') exportZip(chosen);
  else if (kind === 'delete') void remove(chosen, form);
}

function visit(url: string): void {
  const link = Object.assign(document.createElement('a'), { href: url });
  one('#page')?.append(link);
  htmx.process(link);
  link.click();
  link.remove();
}

/** The nodes to send to, fresh each time: they may have changed since the page was opened. */
async function fillNodes(dialog: HTMLDialogElement): Promise<void> {
  const choice = dialog.querySelector<HTMLSelectElement>('select[data-nodes]');
  if (!choice) return;
  const { items } = await json<{ items: { name: string; enabled?: boolean }[] }>('GET', '/api/v1/nodes');
  const names = items.filter((node) => node.enabled !== false).map((node) => node.name);
  choice.replaceChildren(...names.map((name) => new Option(name, name)));
  const none = dialog.querySelector<HTMLElement>('[data-no-nodes]');
  if (none) none.hidden = names.length > 0;
  const go = dialog.querySelector<HTMLButtonElement>('[type="submit"]');
  if (go) go.disabled = names.length === 0;
}

const PRINTED_AT_ONCE = 30; // as app/pages/printing.py

/** The composer with the images of all that is chosen; different patients are never a surprise. */
async function print(chosen: Chosen): Promise<void> {
  const { studies, patients } = chosen;
  if (studies.length > PRINTED_AT_ONCE)
    return void toast({
      kind: 'warn',
      what: t('Too many studies for one print'),
      detail: t('{n} studies are selected; the maximum is {most}.', { n: studies.length, most: PRINTED_AT_ONCE }),
    });
  const query = new URLSearchParams(studies.map((study) => ['study', study.uid])).toString();
  const unprinted = studies.length > 1 ? await json<string[]>('GET', `/print/_unprinted?${query}`) : []; // one alone: the composer reports it
  if (patients > 1 || unprinted.length) {
    const names = [...new Set(studies.map((study) => study.name))];
    const go = await ask({
      title: patients > 1 ? t('Print studies of {n} patients?', { n: patients }) : t('Print without these studies?'),
      text: [
        `${names.slice(0, 8).join('; ')}${names.length > 8 ? ' …' : ''}.`,
        ...(patients > 1 ? [t('Each patient starts on a new page and gets a separate print.')] : []),
        ...unprinted,
      ].join(' '),
      safe: t('Cancel'),
      go: t('Arrange pages'),
      iconName: 'alert-triangle',
    });
    if (!go) return;
  }
  visit(`/print?${query}`);
}

/** kind: view, print, send, export, anonymize, delete. The dialog of each is in the page as #dialog-<kind>. */
export function act(kind: string, chosen: Chosen): void {
  const first = chosen.studies[0];
  if (!first) return;
  if (kind === 'view') {
    const among =
      chosen.studies.length > 1
        ? `&among=${encodeURIComponent(
            chosen.studies
              .map((one) => one.uid)
              .slice(0, 100)
              .join(','),
          )}`
        : '';
    return visit(`/viewer?study=${encodeURIComponent(first.uid)}${among}`);
  }
  if (kind === 'print') return void print(chosen).catch((fault: unknown) => failed(t('Not printed'), fault));
  const dialog = one<HTMLDialogElement>(`#dialog-${kind}`);
  if (!dialog) return;
  pending = chosen;
  say(dialog, chosen);
  void fillNodes(dialog).catch((fault: unknown) => failed(t('The nodes could not be loaded'), fault));
  open(dialog);
}

// In the viewer, with several studies chosen: Alt+PageDown and Alt+PageUp step through them.
document.addEventListener('keydown', (event) => {
  if (!event.altKey || event.ctrlKey || event.metaKey || (event.key !== 'PageDown' && event.key !== 'PageUp')) return;
  const step = one<HTMLElement>(`[data-step="${event.key === 'PageDown' ? 'after' : 'before'}"]`);
  if (!step) return;
  event.preventDefault();
  step.click();
});

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !form.matches('form[data-study-action]') || !pending) return;
  event.preventDefault();
  const chosen = pending;
  pending = undefined;
  form.closest('dialog')?.close();
  go(form.dataset.studyAction ?? '', chosen, new FormData(form));
  document.querySelectorAll<HTMLElement>('table[data-grid]').forEach(clear);
});
