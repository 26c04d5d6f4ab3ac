// The Cornerstone3D viewer. Loaded once, kept warm; mounts on #viewer-root whenever htmx or a navigation brings one.
export function mount(root: HTMLElement): void {
  root.dataset.viewer = 'loading';
}
