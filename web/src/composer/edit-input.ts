// Pointer, wheel and keys of the image that is edited in its cell.
import type { Editing } from './editing';
import { windowed, type Look } from './view';

const STEPS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
const ACTIONS: Record<string, string> = {
  '+': 'larger',
  '=': 'larger',
  '-': 'smaller',
  '0': 'reset',
  i: 'invert',
  r: 'rotate',
  f: 'flip',
};

/** The editor that the input changes. */
export interface EditTarget {
  readonly editing: Editing | null;
  readonly dragMoves: boolean; // dragging moves the image instead of changing its window
  act(what: string): void;
  end(event: KeyboardEvent, keep: boolean): void;
  shift(from: Look, dx: number, dy: number): void;
  window(window: [number, number]): void;
  zoom(factor: number, x: number, y: number): void;
}

/** Pointer, wheel and keys of the edited image. */
export function listenTo(view: HTMLElement, target: EditTarget): void {
  view.addEventListener('pointerdown', (start) => drag(start, view, target));
  view.addEventListener('contextmenu', (event) => event.preventDefault());
  view.addEventListener('dblclick', (event) => event.stopPropagation());
  view.addEventListener('keydown', (event) => key(event, target));
  view.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      const box = view.getBoundingClientRect();
      target.zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, event.clientX - box.left, event.clientY - box.top);
    },
    { passive: false },
  );
}

function drag(start: PointerEvent, view: HTMLElement, target: EditTarget): void {
  const now = target.editing;
  if (!now) return;
  start.stopPropagation();
  start.preventDefault();
  view.focus({ preventScroll: true });
  view.setPointerCapture(start.pointerId);
  const first = now.item.window;
  const moves = start.button !== 0 || start.shiftKey || !first || target.dragMoves;
  const look = now.look;
  const move = (event: PointerEvent): void => {
    const [dx, dy] = [event.clientX - start.clientX, event.clientY - start.clientY];
    if (moves) target.shift(look, dx, dy);
    else if (first) target.window(windowed(first, first, dx, dy));
  };
  const end = (): void => {
    view.removeEventListener('pointermove', move);
    view.removeEventListener('pointerup', end);
    view.removeEventListener('pointercancel', end);
  };
  view.addEventListener('pointermove', move);
  view.addEventListener('pointerup', end);
  view.addEventListener('pointercancel', end);
}

function key(event: KeyboardEvent, target: EditTarget): void {
  const now = target.editing;
  if (!now) return;
  if ((event.ctrlKey || event.metaKey) && event.key === 'z') return target.end(event, false);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const [dx, dy] = STEPS[event.key] ?? [0, 0];
  const action = ACTIONS[event.key.toLowerCase()];
  if (event.key === 'Escape') return target.end(event, false);
  if (event.key === 'Enter') return target.end(event, true);
  if (dx || dy) {
    if (event.shiftKey && now.item.window) target.window(windowed(now.item.window, now.item.window, dx * 10, dy * 10));
    else target.shift(now.look, -dx * now.room.width * 0.05, -dy * now.room.height * 0.05);
  } else if (action) target.act(action);
  else return;
  event.preventDefault();
  event.stopPropagation();
}
