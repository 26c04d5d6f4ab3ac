// A part that is down shows within 5 s on every page as a quiet notice; buttons that need it show the reason (OPS-7).
import { all, element, icon, one } from './dom';
import { on } from './events';
import { t } from './i18n';

const LOOK_MS = 2000;
const PATIENCE_MS = 2500; // a server that runs but is blocked never answers: with LOOK_MS within 5 s
type Roles = Record<string, { state: string }>;

let before = '';
let unreachable = 0;

function words(role: string): string {
  switch (role) {
    case 'dicom':
      return t('The DICOM receiver is not running: no objects are received. It is being restarted.');
    case 'worker':
      return t('The worker is not running: printing, sending and exports are waiting. It is being restarted.');
    case 'database':
      return t('The database does not respond. Work continues automatically when it is available again.');
    default:
      return t('Filmroom does not respond. The data shown may be out of date.');
  }
}

/** [data-needs="worker dicom"] is disabled with the reason while one of them is down, and comes back by itself. */
function gate(down: string[]): void {
  for (const node of all<HTMLElement>('[data-needs]')) {
    const missing = (node.dataset.needs ?? '').split(/\s+/).find((role) => down.includes(role));
    if (missing) {
      node.dataset.title ??= node.title;
      node.title = words(missing);
      node.setAttribute('aria-disabled', 'true');
    } else if (node.dataset.title !== undefined) {
      node.title = node.dataset.title;
      delete node.dataset.title;
      node.removeAttribute('aria-disabled');
    }
  }
}

function show(down: string[]): void {
  const key = down.join(' ');
  const place = one('#notices');
  if (place && (key !== before || place.childElementCount !== down.length)) {
    // icons: plug-connected-x
    place.replaceChildren(
      ...down.map((role) =>
        element('p', { class: 'notice' }, icon('plug-connected-x'), element('span', { text: words(role) })),
      ),
    );
    before = key;
  }
  gate(down);
}

async function look(): Promise<void> {
  try {
    const answer = await fetch('/healthz', {
      headers: { 'X-Background': '1' },
      credentials: 'omit',
      cache: 'no-store',
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const body = (await answer.json()) as { roles?: Roles };
    unreachable = 0;
    show(
      Object.entries(body.roles ?? {})
        .filter(([, role]) => role.state !== 'ready')
        .map(([name]) => name),
    );
  } catch {
    unreachable += 1;
    if (unreachable > 0) show(['web']);
  }
}

export function installHealth(): void {
  if (!one('#notices')) return;
  void look();
  window.setInterval(() => {
    if (!document.hidden) void look();
  }, LOOK_MS);
  on('role.*', () => void look());
  document.addEventListener('filmroom:page', () => void look());
  // A disabled button answers with its reason instead of doing half a thing.
  document.addEventListener(
    'click',
    (event) => {
      const off = (event.target as Element).closest('[aria-disabled="true"]');
      if (!off) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
}
