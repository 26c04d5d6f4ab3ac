// Files, folders and zip archives dropped anywhere on a page, or chosen: sent in batches, with progress per file and a
// result per file. A batch that fails on the way is tried again; one bad file never spoils the rest (the server's rule).
import { delegate, element, icon, one } from './dom';
import { csrf, isLocked, announce, type Problem } from './http';
import { number, size, t, tn } from './i18n';
import { toast, type Message, type Toast } from './toasts';

interface Item {
  name: string;
  file: File;
}
export interface Result {
  name: string;
  status: 'stored' | 'duplicate' | 'conflict' | 'refused';
  warnings: string[];
  reason: string | null;
}
interface Tally {
  total: number;
  bytes: number;
  sent: number;
  done: number;
  results: Result[];
}

const BATCH_FILES = 40;
const BATCH_BYTES = 64_000_000;
const TRIES = 3;
const SHOWN = 200;

// --- what was dropped: files, folders (webkitGetAsEntry) ---

async function fromEntry(entry: FileSystemEntry, found: Item[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
    found.push({ name: entry.fullPath.replace(/^\//, ''), file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
    if (some.length === 0) return; // a reader answers at most 100 at a time
    for (const one of some) await fromEntry(one, found);
  }
}

async function dropped(transfer: DataTransfer): Promise<Item[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found: Item[] = [];
  if (entries.length === 0) return [...transfer.files].map((file) => ({ name: file.name, file }));
  for (const entry of entries) await fromEntry(entry, found);
  return found;
}

// --- sending ---

export function batches(items: Item[]): Item[][] {
  const all: Item[][] = [];
  let current: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    if (current.length && (current.length >= BATCH_FILES || bytes + item.file.size > BATCH_BYTES)) {
      all.push(current);
      current = [];
      bytes = 0;
    }
    current.push(item);
    bytes += item.file.size;
  }
  if (current.length) all.push(current);
  return all;
}

/** XMLHttpRequest because fetch has no upload progress in Firefox. */
function send(batch: Item[], progress: (sent: number) => void, cancel: AbortSignal): Promise<Result[]> {
  return new Promise((done, fail) => {
    const body = new FormData();
    for (const item of batch) body.append('files', item.file, item.name);
    const call = new XMLHttpRequest();
    call.open('POST', '/api/v1/imports');
    call.setRequestHeader('X-CSRF-Token', csrf());
    call.setRequestHeader('Accept', 'application/json');
    call.responseType = 'json';
    call.upload.onprogress = (event) => progress(event.loaded);
    call.onerror = () => fail(new TypeError('network'));
    call.onabort = () => fail(new DOMException('cancelled', 'AbortError'));
    call.onload = () => {
      const answer = call.response as { results?: Result[] } & Partial<Problem>;
      if (call.status >= 200 && call.status < 300 && answer?.results) return done(answer.results);
      const problem: Problem = { ...(answer ?? {}), status: call.status };
      if (isLocked(problem) || call.status === 401) announce(problem);
      const why = [problem.detail ?? problem.title ?? `HTTP ${call.status}`, problem.code].filter(Boolean).join(' ');
      if (call.status >= 500) return fail(new TypeError(why));
      done(batch.map((item) => ({ name: item.name, status: 'refused', warnings: [], reason: why })));
    };
    cancel.addEventListener('abort', () => call.abort());
    call.send(body);
  });
}

async function sendWithPatience(
  batch: Item[],
  progress: (sent: number) => void,
  cancel: AbortSignal,
): Promise<Result[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send(batch, progress, cancel);
    } catch (fault) {
      if (cancel.aborted) throw fault;
      if (attempt >= TRIES)
        return batch.map((item) => ({
          name: item.name,
          status: 'refused',
          warnings: [],
          reason: t('The server did not respond.'),
        }));
      await new Promise((wait) => setTimeout(wait, 500 * attempt ** 2));
    }
  }
}

// --- what the person sees ---

function current(batch: Item[], sent: number): string {
  let from = 0;
  for (const item of batch) {
    if (sent < from + item.file.size) {
      const part = item.file.size ? Math.floor(((sent - from) / item.file.size) * 100) : 100;
      return `${item.name} ${part} %`;
    }
    from += item.file.size;
  }
  return t('Storing');
}

function line(result: Result): string {
  const words = {
    stored: t('stored'),
    duplicate: t('already stored'),
    conflict: t('on hold: differs from the stored copy'),
    refused: t('refused'),
  };
  const more = [result.reason, ...result.warnings].filter(Boolean).join(' ');
  return `${result.name}: ${words[result.status]}${more ? `. ${more}` : ''}`;
}

function running(tally: Tally, now: string, sent: number, cancel: () => void): Message {
  const refused = tally.results.filter((one) => one.status === 'refused').length;
  return {
    kind: 'running',
    what: tn('Importing 1 file', 'Importing {n} files', tally.total),
    detail: [
      t('{done} of {total} files, {sent} of {bytes}', {
        done: number(tally.done),
        total: number(tally.total),
        sent: size(tally.sent + sent),
        bytes: size(tally.bytes),
      }),
      refused ? tn('1 refused', '{n} refused', refused) : '',
      now,
    ]
      .filter(Boolean)
      .join(' · '),
    progress: { done: tally.sent + sent, total: tally.bytes || 1 },
    links: [{ label: t('Cancel'), act: cancel }],
  };
}

function finished(tally: Tally, cancelled: boolean): Message {
  const count = (status: Result['status']): number => tally.results.filter((one) => one.status === status).length;
  const parts = [
    tn('1 stored', '{n} stored', count('stored')),
    count('duplicate') ? tn('1 already stored', '{n} already stored', count('duplicate')) : '',
    count('conflict') ? tn('1 on hold', '{n} on hold', count('conflict')) : '',
    count('refused') ? tn('1 refused', '{n} refused', count('refused')) : '',
  ];
  const order = { refused: 0, conflict: 1, stored: 2, duplicate: 3 };
  const sorted = [...tally.results].sort(
    (a, b) => order[a.status] - order[b.status] || b.warnings.length - a.warnings.length,
  );
  const rest = sorted.length - SHOWN;
  const results = sorted.slice(0, SHOWN).map(line);
  if (rest > 0) results.push(tn('and 1 more', 'and {n} more', rest));
  return {
    kind: cancelled ? 'warn' : count('refused') ? 'bad' : count('conflict') ? 'warn' : 'ok',
    what: cancelled ? t('Import stopped') : count('refused') ? t('Imported with errors') : t('Imported'),
    detail: parts.filter(Boolean).join(', '),
    results,
    links: [{ label: t('Show in Local storage'), href: '/storage' }],
  };
}

export async function upload(items: Item[]): Promise<Result[]> {
  if (items.length === 0) return [];
  const stop = new AbortController();
  const tally: Tally = {
    total: items.length,
    bytes: items.reduce((sum, one) => sum + one.file.size, 0),
    sent: 0,
    done: 0,
    results: [],
  };
  const tray: Toast = toast(running(tally, '', 0, () => stop.abort()));
  tray.onclose = () => stop.abort();
  const guard = (event: BeforeUnloadEvent): void => event.preventDefault(); // leaving would break off what runs
  window.addEventListener('beforeunload', guard);
  let drawn = 0;
  try {
    for (const batch of batches(items)) {
      const bytes = batch.reduce((sum, one) => sum + one.file.size, 0);
      const results = await sendWithPatience(
        batch,
        (sent) => {
          if (performance.now() - drawn < 100) return;
          drawn = performance.now();
          tray.update(running(tally, current(batch, Math.min(sent, bytes)), Math.min(sent, bytes), () => stop.abort()));
        },
        stop.signal,
      );
      tally.results.push(...results);
      tally.sent += bytes;
      tally.done += batch.length;
      tray.update(running(tally, '', 0, () => stop.abort()));
    }
  } catch {
    // cancelled by the person; what was stored stays and is listed
  } finally {
    window.removeEventListener('beforeunload', guard);
  }
  tray.onclose = undefined;
  tray.update(finished(tally, stop.signal.aborted));
  document.dispatchEvent(new CustomEvent('filmroom:imported', { detail: tally.results }));
  return tally.results;
}

// --- where files come in ---

function veil(show: boolean): void {
  const open = one('.drop');
  if (!show) return open?.remove();
  if (open) return;
  document.body.append(
    element(
      'div',
      { class: 'drop' },
      element('div', {}, icon('upload'), element('p', { text: t('Drop files, folders or ZIP archives to import') })),
    ),
  );
}

function carriesFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') ?? false;
}

export function installUpload(): void {
  let leave: number | undefined;
  document.addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    window.clearTimeout(leave);
    leave = window.setTimeout(() => veil(false), 250); // dragleave lies at every child; silence does not
    veil(true);
  });
  document.addEventListener('drop', (event) => {
    if (!carriesFiles(event) || !event.dataTransfer) return;
    event.preventDefault();
    veil(false);
    void dropped(event.dataTransfer).then(upload);
  });
  delegate('click', '[data-import]', (event, button) => {
    event.preventDefault();
    const input = element('input', { attrs: { type: 'file', multiple: '' } });
    if (button.dataset.import === 'folder') input.setAttribute('webkitdirectory', '');
    input.addEventListener(
      'change',
      () => void upload([...(input.files ?? [])].map((file) => ({ name: file.webkitRelativePath || file.name, file }))),
    );
    input.click();
  });
}
