// Recent events that are not yet seen: finished and failed work, conflicts. A toast goes; the bell keeps it.
import { element, icon, one } from './dom';
import { on, type Event } from './events';
import { json } from './http';
import { number, siteTime, t } from './i18n';
import { onToast, type Message } from './toasts';

interface Note {
  kind: 'ok' | 'warn' | 'bad';
  what: string;
  detail: string;
  href: string;
  at: number;
  seen: boolean;
  /** The study it is about: a later note of the same kind replaces it. */
  study?: string;
  /** Of that study; not known until the list was opened. */
  patient?: string;
}

const KEY = 'filmroom.bell';
const MOST = 30;
// icons: circle-check circle-x alert-triangle
const ICONS = { ok: 'circle-check', bad: 'circle-x', warn: 'alert-triangle' };

function notes(): Note[] {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? '[]') as Note[];
  } catch {
    return [];
  }
}

function keep(all: Note[]): void {
  sessionStorage.setItem(KEY, JSON.stringify(all.slice(0, MOST)));
  draw();
}

function add(note: Omit<Note, 'at' | 'seen'>): void {
  const others = notes().filter((one) => !note.study || one.study !== note.study || one.what !== note.what);
  keep([{ ...note, at: Date.now(), seen: false }, ...others]);
}

/** Names the patients of the notes. Only when the list is opened: it is a look at patient data, which is audited. */
async function namePatients(): Promise<void> {
  const studies = [
    ...new Set(notes().flatMap((note) => (note.study && note.patient === undefined ? [note.study] : []))),
  ];
  if (!studies.length) return;
  const query = studies.map((uid) => `study_instance_uid=${encodeURIComponent(uid)}`).join('&');
  let found: { study_instance_uid: string; patient_name: string }[];
  try {
    found = (await json<{ items: typeof found }>('GET', `/api/v1/studies?limit=${studies.length}&${query}`)).items;
  } catch {
    return; // the notes stay without names
  }
  const names = new Map(found.map((one) => [one.study_instance_uid, personName(one.patient_name)]));
  keep(
    notes().map((note) =>
      note.study && studies.includes(note.study) ? { ...note, patient: names.get(note.study) ?? '' } : note,
    ),
  );
}

/** "Family, Given" of the alphabetic group of a PN value. */
function personName(value: string): string {
  return (value.split('=')[0] ?? '').split('^').slice(0, 2).filter(Boolean).join(', ');
}

function line(note: Note): HTMLElement {
  const time = siteTime(note.at);
  const detail = [note.patient, note.detail].filter(Boolean).join(': ');
  const text = element('span', { class: 'grow' }, element('b', { text: note.what }), ` ${detail}`);
  return element(
    'a',
    { class: 'menu-item note-line', attrs: { href: note.href, role: 'menuitem' } },
    icon(ICONS[note.kind]),
    text,
    element('span', { class: 'third', text: time }),
  );
}

function draw(): void {
  const all = notes();
  const fresh = all.filter((note) => !note.seen).length;
  const count = one<HTMLElement>('#bell-count');
  if (count) {
    count.hidden = fresh === 0;
    count.textContent = number(fresh);
  }
  const place = one<HTMLElement>('#bell-list');
  if (!place || !all.length) return;
  const focused = [...place.children].indexOf(document.activeElement as Element);
  place.replaceChildren(...all.map(line));
  if (focused >= 0) (place.children[focused] as HTMLElement | undefined)?.focus();
}

function failed(event: Event): void {
  const { state, node, study_instance_uid } = event.payload as Record<string, string | undefined>;
  if (state === 'failed')
    add({
      study: study_instance_uid ?? '',
      kind: 'bad',
      what: node ? t('Sending to {node} failed', { node }) : t('A transfer failed'),
      detail: '',
      href: '/transfers?show=failed',
    });
}

export function installBell(): void {
  onToast((message: Message) => {
    if (message.kind !== 'running')
      add({
        kind: message.kind,
        what: message.what,
        detail: message.detail ?? '',
        href: message.links?.find((link) => link.href)?.href ?? '/',
      });
  });
  on('transfer.changed', failed);
  on('conflict.opened', (event) => {
    const { study_instance_uid } = event.payload as Record<string, string | undefined>;
    add({
      study: study_instance_uid ?? '',
      kind: 'warn',
      what: t('Conflict'),
      detail: t('An object is on hold: it differs from the stored copy.'),
      href: '/conflicts',
    });
  });
  on('certificate.expiring', (event) => {
    const { name, days } = event.payload as { name: string; days: number };
    const detail = days < 0 ? t('{name} has expired.', { name }) : t('{name} expires in {days} days.', { name, days });
    add({ kind: days < 7 ? 'bad' : 'warn', what: t('Certificate'), detail, href: '/settings/certificates' });
  });
  on('job.failed', () => add({ kind: 'bad', what: t('A job failed'), detail: t('You can retry it.'), href: '/' }));
  document.addEventListener('filmroom:page', draw);
  document.addEventListener(
    'toggle',
    (event) => {
      if (event.target instanceof HTMLElement && event.target.id === 'bell' && event.target.matches(':popover-open')) {
        keep(notes().map((note) => ({ ...note, seen: true })));
        void namePatients();
      }
    },
    true,
  );
}
