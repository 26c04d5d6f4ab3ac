/**
 * Entry of the viewer. The shell imports it in idle time on any page, so that opening a study from the list finds
 * everything ready; it mounts whenever `#viewer-root` is on the page and frees the memory when it goes.
 */
import { engine } from './engine';
import { isClosed } from './loading/load';
import { Viewer } from './viewer';

let open: Viewer | undefined;

/** Opens the study that `root` names; a viewer that is still open is closed first. */
export function mount(root: HTMLElement): void {
  if (open?.root === root) return;
  unmount();
  open = new Viewer(root);
}

export function unmount(): void {
  open?.close();
  open = undefined;
}

/** Follows the page: the shell reports when a boosted navigation has changed it. */
function follow(): void {
  const root = document.getElementById('viewer-root');
  if (root) mount(root);
  else unmount();
}

// Cornerstone keeps promises of its own on images that are still awaited when the page is left.
window.addEventListener('unhandledrejection', (event) => {
  if (isClosed(event.reason)) event.preventDefault();
});
document.addEventListener('filmroom:page', follow);
follow();
if (!open) requestIdleCallback?.(() => void engine(), { timeout: 4000 });
