/** Buttons: `data-action` runs a verb; pressed states and the preset menu follow what the active viewport shows. */
import type { ViewerControl } from './control';
import { t } from './strings';
import { presetShown, presetsFor } from './tools/presets';
import { activeTool } from './tools/group';

export class Toolbar {
  private readonly abort = new AbortController();
  private presetKey = '';

  constructor(
    private readonly root: HTMLElement,
    run: (action: string) => void,
    private readonly viewer: ViewerControl,
  ) {
    root.addEventListener(
      'click',
      (event) => {
        const button = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-action]') : null;
        if (!button || button.getAttribute('aria-disabled') === 'true') return;
        run(button.dataset['action'] as string);
      },
      { signal: this.abort.signal },
    );
    root.querySelector<HTMLInputElement>('[data-cine-speed]')?.addEventListener('input', (event) => {
      viewer.cine.fps = Number((event.target as HTMLInputElement).value) || viewer.cine.fps;
      this.update();
    });
  }

  destroy(): void {
    this.abort.abort();
  }

  update(): void {
    const { viewer } = this;
    const { current } = viewer.grid;
    this.press('cine', viewer.cine.running);
    this.press('sync', viewer.synced);
    this.press('overlays', !this.root.classList.contains('no-overlays'));
    this.press('panel', !this.root.classList.contains('no-panel'));
    this.press('invert', Boolean(current.series && current.viewport.getProperties().invert));
    for (const button of this.root.querySelectorAll<HTMLElement>('[data-action^="tool:"]')) {
      button.setAttribute('aria-pressed', String(button.dataset['action'] === `tool:${activeTool()}`));
    }
    for (const button of this.root.querySelectorAll<HTMLElement>('[data-action^="layout:"]')) {
      button.setAttribute('aria-pressed', String(button.dataset['action'] === `layout:${viewer.grid.layout}`));
    }
    const document_ = current.element.dataset['object'] !== undefined;
    for (const button of this.root.querySelectorAll<HTMLButtonElement>('.viewer-tools button')) {
      if (forImages(button)) button.disabled = document_;
    }
    const cine = this.root.querySelector<HTMLElement>('[data-cine]');
    if (cine) cine.hidden = !viewer.cine.running;
    const speed = this.root.querySelector<HTMLElement>('[data-cine-words]');
    if (speed) {
      speed.textContent = `${viewer.cine.fps}/s`;
      speed.title = t('{fps} fps', { fps: viewer.cine.fps });
    }
    this.fillPresets();
  }

  private press(action: string, on: boolean): void {
    this.root.querySelector(`[data-action="${action}"]`)?.setAttribute('aria-pressed', String(on));
  }

  private fillPresets(): void {
    const cell = this.viewer.grid.current;
    const presets = presetsFor(cell);
    const label = this.root.querySelector('[data-preset-name]');
    const words = presetShown(cell)?.name ?? t('Window');
    if (label && label.textContent !== words) label.textContent = words;
    const key = JSON.stringify(presets);
    const menu = this.root.querySelector('[data-presets]');
    const template = this.root.querySelector<HTMLTemplateElement>('#viewer-preset');
    if (!menu || !template || key === this.presetKey) return;
    this.presetKey = key;
    menu.replaceChildren(
      ...presets.map((one) => {
        const entry = (template.content.firstElementChild as HTMLElement).cloneNode(true) as HTMLElement;
        entry.dataset['action'] = `preset:${one.id}`;
        (entry.querySelector('[data-set="name"]') as HTMLElement).textContent = one.name;
        (entry.querySelector('[data-set="window"]') as HTMLElement).textContent = one.window
          ? `${one.window.center} / ${one.window.width}`
          : '';
        (entry.querySelector('[data-set="key"]') as HTMLElement).textContent = one.key;
        (entry.querySelector('[data-set="key"]') as HTMLElement).hidden = one.key === '';
        return entry;
      }),
    );
    const none = this.root.querySelector<HTMLElement>('[data-no-presets]');
    if (none) none.hidden = presets.length > 0;
  }
}

/** Buttons that do nothing to a report: they are disabled. */
function forImages(button: HTMLButtonElement): boolean {
  const action = button.dataset['action'] ?? '';
  return action.startsWith('tool:') || action === 'cine' || action === 'invert' || button.hasAttribute('popovertarget');
}
