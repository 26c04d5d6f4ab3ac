// The composer: images of a study arranged on pages. Mounted by the shell on #composer-root (templates/printing/composer.html).
import './composer.css';
import './options.css';
import { one, typing } from '../shell/dom';
import { installDrag } from './drag';
import { InPlace } from './inplace';
import { withMarks } from './marks';
import { Pages } from './pages';
import { installPrint } from './print';
import { Arrangement, fittingLayout, type Item, key } from './state';
import { Strip, type Series } from './strip';

interface Data {
  studies: { uid: string; title: string; patient: number }[];
  patients: string[]; // what each is called
  unprinted: string[]; // a sentence for each study without images
  series: (Series & { study: number })[];
  first: string;
  items: Item[];
  cells: Record<string, number>;
  presets: Record<string, string>;
}

export function mount(root: HTMLElement): void {
  const form = one<HTMLFormElement>('#composer-options', root);
  const data = JSON.parse(one('#composer-data', root)?.textContent ?? '{}') as Data;
  data.items = withMarks(data.items, new URLSearchParams(location.search).get('marks'));
  if (!form) return;
  const layout = (): string => new FormData(form).get('layout') as string;
  const whose = new Map(
    data.series.flatMap((series) =>
      series.frames.map(([sop]) => [sop, data.studies[series.study]?.patient ?? 0] as const),
    ),
  );
  const arrangement = new Arrangement(
    data.items,
    data.cells[layout()] ?? 1,
    (item) => whose.get(item.sop_instance_uid) ?? 0,
  );
  const strip = new Strip(root, data.series, arrangement, new Map(data.items.map((item) => [key(item), item])));
  const pages = new Pages(root, form, arrangement, data.unprinted, data.series.length > 0, data.patients);
  const inPlace = new InPlace(root, form, arrangement, pages);
  root.addEventListener('dblclick', (event) => {
    const cell = pages.cellAt(event.clientX, event.clientY);
    if (cell !== null) void inPlace.edit(cell);
  });
  installDrag(root, strip, pages, arrangement);
  installPrint(root, form, arrangement, data.patients, data.unprinted);
  form.addEventListener('input', (event) => {
    if ((event.target as HTMLInputElement).name === 'layout') arrangement.relayout(data.cells[layout()] ?? 1);
    const output = new FormData(form).get('output');
    for (const part of form.querySelectorAll<HTMLElement>('[data-for]')) part.hidden = part.dataset.for !== output;
    if ((event.target as HTMLInputElement).name !== 'password' && form.checkValidity()) pages.draw();
  });
  /** Images of the patient who has the most. */
  const most = (items: Item[]): number => {
    const counts = new Map<number, number>();
    for (const item of items) {
      const patient = whose.get(item.sop_instance_uid) ?? 0;
      counts.set(patient, (counts.get(patient) ?? 0) + 1);
    }
    return Math.max(0, ...counts.values());
  };
  const fill = (): void => {
    const picked = strip.chosen();
    const items = picked.length ? picked : strip.everything();
    const preset = data.presets[strip.current?.modality ?? ''];
    const name = preset ? fittingLayout(preset, most(items), data.cells) : '';
    const choice = name ? form.querySelector<HTMLInputElement>(`input[name="layout"][value="${name}"]`) : null;
    if (choice) choice.checked = true;
    arrangement.relayout(data.cells[layout()] ?? 1);
    arrangement.replace(items);
    strip.clear();
    pages.go(1);
  };
  const actions: Record<string, (button: HTMLElement | null) => void> = {
    undo: () => arrangement.undo(),
    fill,
    empty: () => arrangement.emptyPage(pages.page),
    smaller: () => pages.scale(1 / 1.25),
    larger: () => pages.scale(1.25),
    fit: () => pages.scale(null),
    rulers: (button) => toggle(root, button, 'no-rulers'),
    margins: (button) => toggle(root, button, 'no-margins'),
    place: () => strip.place((pages.page - 1) * arrangement.cellsPerPage),
    'add-page': () => {
      arrangement.addPage();
      pages.go(arrangement.pages);
    },
  };
  root.addEventListener('click', (event) => {
    const button = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-do]') : null;
    if (button) actions[button.dataset.do ?? '']?.(button);
  });
  installKeys(root, form, pages, arrangement, strip, actions, inPlace);
  root.dataset.composer = 'ready';
}

function toggle(root: HTMLElement, button: HTMLElement | null, name: string): void {
  const off = root.classList.toggle(name);
  button?.setAttribute('aria-pressed', off ? 'false' : 'true');
}

function installKeys(
  root: HTMLElement,
  form: HTMLFormElement,
  pages: Pages,
  arrangement: Arrangement,
  strip: Strip,
  actions: Record<string, (button: HTMLElement | null) => void>,
  inPlace: InPlace,
): void {
  const keys = (event: KeyboardEvent): void => {
    if (!root.isConnected) return document.removeEventListener('keydown', keys);
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key === 'p') {
      event.preventDefault();
      return form.requestSubmit();
    }
    if (typing(event)) return;
    if (control && event.key === 'z') {
      event.preventDefault();
      return arrangement.undo();
    }
    if (control || event.altKey) return;
    const cell = event.target instanceof Element ? event.target.closest<SVGElement>('[data-paper] [data-cell]') : null;
    if (cell)
      return inCell(
        event,
        (pages.page - 1) * arrangement.cellsPerPage + Number(cell.dataset.cell),
        pages,
        arrangement,
        strip,
        inPlace,
      );
    const plain: Record<string, string> = { '+': 'larger', '=': 'larger', '-': 'smaller', '0': 'fit' };
    const action = plain[event.key];
    if (action) actions[action]?.(null);
    else if (event.key === 'PageDown') pages.go(pages.page + 1);
    else if (event.key === 'PageUp') pages.go(pages.page - 1);
    else return;
    event.preventDefault();
  };
  document.addEventListener('keydown', keys);
}

function inCell(
  event: KeyboardEvent,
  cell: number,
  pages: Pages,
  arrangement: Arrangement,
  strip: Strip,
  inPlace: InPlace,
): void {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (event.key === 'Delete' || event.key === 'Backspace') {
    arrangement.empty(cell);
    pages.choose(cell);
  } else if (event.key === 'Enter' || event.key === ' ') {
    const items = strip.chosen();
    if (items.length) {
      arrangement.place(items, cell);
      strip.clear();
    } else if (event.key === 'Enter' && arrangement.cells[cell]) {
      event.preventDefault();
      return void inPlace.edit(cell);
    }
    pages.choose(cell);
  } else if (step !== undefined) {
    const next = cell + step;
    const first = (pages.page - 1) * arrangement.cellsPerPage;
    if (next < first || next >= first + arrangement.cellsPerPage) return;
    if (event.shiftKey) arrangement.swap(cell, next); // dragging without a pointer
    pages.choose(next);
  } else return;
  event.preventDefault();
}
