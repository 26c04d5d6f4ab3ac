/** Actions of buttons and keys: one table of verbs, one of keys. */
import { LAYOUTS, type Layout } from './grid';
import htmx from 'htmx.org';
import { open as openDialog } from '../shell/dialogs';
import { leave } from '../shell/leaving';
import type { ViewerControl } from './control';
import type { KeyMap } from './keys';
import { printAddress } from './print';
import { applyPreset } from './tools/presets';
import { activate, isTool } from './tools/group';
import { Cine } from './tools/cine';
import { redo, removeSelected, undo } from './tools/remove';
import { keep } from './unsaved';

export interface Actions {
  readonly run: (name: string) => void;
  readonly keys: KeyMap;
}

type Verb = (viewer: ViewerControl) => void;

/** Actions that change annotations: every cell that shows them is drawn again. */
function drawn(change: () => void): Verb {
  return (viewer) => {
    change();
    for (const cell of viewer.grid.cells) cell.draw();
  };
}

const VERBS: Readonly<Record<string, Verb>> = {
  invert: (viewer) => viewer.grid.current.invert(),
  'rotate-right': (viewer) => viewer.grid.current.rotate(90),
  'rotate-left': (viewer) => viewer.grid.current.rotate(-90),
  'flip-horizontal': (viewer) => viewer.grid.current.flip('horizontal'),
  'flip-vertical': (viewer) => viewer.grid.current.flip('vertical'),
  reset: (viewer) => viewer.grid.current.reset(),
  fit: (viewer) => viewer.grid.current.fit(),
  'one-to-one': (viewer) => viewer.grid.current.setZoom(1),
  cine: toggleCine,
  sync: (viewer) => {
    viewer.synced = !viewer.synced;
  },
  overlays: (viewer) => viewer.root.classList.toggle('no-overlays'),
  panel: (viewer) => viewer.root.classList.toggle('no-panel'),
  fullscreen: toggleFullscreen,
  remove: drawn(removeSelected),
  undo: drawn(undo),
  redo: drawn(redo),
  help: (viewer) => openDialog(viewer.root.querySelector<HTMLDialogElement>('#viewer-help')),
  print,
};

export function actionsOf(viewer: ViewerControl): Actions {
  const run = (name: string): void => {
    const [verb = '', value = ''] = name.split(':');
    if (verb === 'tool' && isTool(value)) activate(value);
    else if (verb === 'layout' && (LAYOUTS as readonly string[]).includes(value)) viewer.setLayout(value as Layout);
    else if (verb === 'preset') applyPreset(viewer.grid.current, value);
    else VERBS[verb]?.(viewer);
    viewer.refresh();
  };
  return { run, keys: keysOf(viewer, run) };
}

function keysOf(viewer: ViewerControl, run: (name: string) => void): KeyMap {
  const cell = (): ViewerControl['grid']['current'] => viewer.grid.current;
  const last = (): number => (cell().series?.frames.length ?? 1) - 1;
  const keys: Record<string, () => void> = {
    w: () => run('tool:window'),
    z: () => run('tool:zoom'),
    p: () => run('tool:pan'),
    s: () => run('tool:scroll'),
    l: () => run('tool:length'),
    a: () => run('tool:angle'),
    e: () => run('tool:ellipse'),
    o: () => run('tool:rectangle'),
    t: () => run('tool:text'),
    r: () => run('rotate-right'),
    f: () => run('flip-horizontal'),
    v: () => run('flip-vertical'),
    i: () => run('invert'),
    g: () => run('overlays'),
    c: () => run('cine'),
    m: () => run('tool:magnify'),
    '0': () => run('fit'),
    Escape: () => run('reset'),
    '?': () => run('help'),
    '+': () => cell().setZoom(cell().zoom() * 1.25),
    '-': () => cell().setZoom(cell().zoom() / 1.25),
    Delete: () => run('remove'),
    'Ctrl+z': () => run('undo'),
    'Ctrl+y': () => run('redo'),
    'Ctrl+p': () => run('print'),
    ArrowDown: () => cell().scrollBy(1),
    ArrowUp: () => cell().scrollBy(-1),
    PageDown: () => cell().scrollBy(10),
    PageUp: () => cell().scrollBy(-10),
    Home: () => cell().scrollTo(0),
    End: () => cell().scrollTo(last()),
    ArrowRight: () => step(viewer, 1),
    ArrowLeft: () => step(viewer, -1),
  };
  for (let n = 1; n <= 9; n++) keys[String(n)] = () => run(`preset:${n}`);
  return keys;
}

function step(viewer: ViewerControl, by: 1 | -1): void {
  const { current } = viewer.grid;
  const next = viewer.strip.next(current.element.dataset['series'], by);
  if (next) viewer.showSeries(next);
}

function toggleCine(viewer: ViewerControl): void {
  const { cine, grid } = viewer;
  if (cine.running) return cine.stop();
  cine.fps = Cine.speedOf(grid.current);
  cine.start(grid.current);
}

function toggleFullscreen(viewer: ViewerControl): void {
  const done = document.fullscreenElement ? document.exitFullscreen() : viewer.root.requestFullscreen();
  done.catch(() => undefined);
}

/** The measurements go along, and are there again when the study is opened once more: nothing is lost by leaving. */
function print(viewer: ViewerControl): void {
  const address = printAddress(viewer.studyUid, viewer.grid.cells);
  keep(viewer.studyUid);
  leave(() => go(address));
}

/** Goes on as a link of the page would, so that the warm page stays (htmx boost). */
function go(address: string): void {
  const link = document.createElement('a');
  link.href = address;
  link.hidden = true;
  document.querySelector('#viewer-root')?.append(link);
  htmx.process(link);
  link.click();
  link.remove();
}
