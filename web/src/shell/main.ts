// Every page loads this: styles, htmx, live updates, tables, dialogs, toasts, uploads. It stays while pages change.
import '../styles/main.css';
import { installBell } from './bell';
import { installColumns } from './columns';
import { installDialogs } from './dialogs';
import { connect, onLink } from './events';
import { installGone } from './gone';
import { installHealth } from './health';
import { installLeaving } from './leaving';
import { installLive, refreshAll } from './live';
import { installLock } from './lock';
import { installMenus } from './menus';
import { installNavigation } from './navigation';
import { installPreferences } from './preferences';
import { installQuery } from './query';
import { installShortcuts } from './shortcuts';
import { installSmall } from './small';
import { installSorting } from './sorting';
import { installStorage } from './storage';
import { installTables } from './table';
import { installTransfers } from './transfers';
import { installUpload } from './upload';

installPreferences();
installNavigation();
installLeaving();
installMenus();
installDialogs();
installTables();
installShortcuts();
installSmall();
installSorting();
installColumns();

/** Pages of a signed-in user have the bar; the login page needs none of this. */
if (document.getElementById('notices')) {
  installLive();
  installBell();
  installUpload();
  installStorage();
  installQuery();
  installTransfers();
  installLock();
  installHealth();
  installGone();
  let broken = false;
  onLink((up) => {
    if (up && broken) refreshAll();
    broken = !up;
  });
  connect();
  warm();
}
document.addEventListener('filmroom:page', compose);
document.dispatchEvent(new CustomEvent('filmroom:page'));

/** The viewer is loaded in idle time, so that a click shows a picture at once; it mounts itself on #viewer-root. */
function warm(): void {
  const load = (): void => {
    void import('../viewer/main').then(({ mount }) => {
      const mounted = new WeakSet<Element>();
      const look = (): void => {
        const root = document.getElementById('viewer-root');
        if (root && !mounted.has(root)) {
          mounted.add(root);
          mount(root);
        }
      };
      document.addEventListener('filmroom:page', look);
      look();
    });
  };
  if (document.getElementById('viewer-root')) load();
  else if ('requestIdleCallback' in window) requestIdleCallback(load, { timeout: 2000 });
  else setTimeout(load, 800);
}

/** The composer's code is loaded with its page. */
function compose(): void {
  const root = document.getElementById('composer-root');
  if (!root || root.dataset.composer) return;
  root.dataset.composer = 'loading';
  void import('../composer/main').then(({ mount }) => mount(root));
}
