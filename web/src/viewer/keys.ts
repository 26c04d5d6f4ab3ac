/** Keyboard of the viewer. Keys that type into a field, or carry Alt or Meta, are left alone. */
export type KeyMap = Readonly<Record<string, () => void>>;

export function wireKeys(map: KeyMap): () => void {
  const listener = (event: KeyboardEvent): void => {
    if (
      event.altKey ||
      event.metaKey ||
      event.defaultPrevented ||
      typing(event.target) ||
      document.querySelector('dialog[open]')
    )
      return;
    const name = `${event.ctrlKey ? 'Ctrl+' : ''}${event.shiftKey && event.key.length > 1 ? 'Shift+' : ''}${event.key.length === 1 ? event.key.toLowerCase() : event.key}`;
    const action = map[name];
    if (!action) return;
    event.preventDefault();
    // The shell's own shortcuts must not answer the same key.
    event.stopImmediatePropagation();
    action();
  };
  window.addEventListener('keydown', listener, { capture: true });
  return () => window.removeEventListener('keydown', listener, { capture: true });
}

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches('input:not([type=range]):not([type=checkbox]), textarea, select');
}
