// The study that is open in the viewer or the composer is deleted meanwhile: announced once; the images stay until the page is left.
import { one } from './dom';
import { on } from './events';
import { t } from './i18n';
import { toast } from './toasts';

function open(): string[] {
  const viewer = one<HTMLElement>('#viewer-root')?.dataset.study;
  const printed = location.pathname === '/print' ? new URLSearchParams(location.search).getAll('study') : [];
  return viewer ? [viewer] : printed;
}

export function installGone(): void {
  on('study.deleted', (event) => {
    if (!open().includes(String(event.payload.study_instance_uid))) return;
    toast({
      kind: 'warn',
      what: t('This study was deleted'),
      detail: t('Images that are not loaded yet cannot be shown, printed or sent.'),
      links: [{ label: t('Local storage'), href: '/storage' }],
    });
  });
}
