/** The side panel: measurements of this session, metadata of the shown image, documents of the study. */
import { eventTarget } from '@cornerstonejs/core';
import { annotation, Enums, type Types } from '@cornerstonejs/tools';
import type { Cell } from './cell';
import { frameOf, seriesOf } from './loading/metadata';
import { t } from './strings';
import { lengthLines, measureOf, MEASURES, regionLines, type MeasureData, type MeasureName } from './tools/measure';
import { removeMarks } from './tools/remove';

type Mark = Types.Annotation;

export class Panel {
  private metadataFor = '';
  private readonly list: HTMLElement | null;
  private readonly template: HTMLTemplateElement | null;

  constructor(
    private readonly element: HTMLElement,
    private readonly shownCell: () => Cell,
    private readonly goTo: (imageId: string) => void,
    openSeries: (seriesUid: string) => void,
  ) {
    this.list = element.querySelector('[data-measurements]');
    this.template = element.querySelector<HTMLTemplateElement>('#viewer-mark');
    for (const tab of element.querySelectorAll<HTMLElement>('[data-tab]'))
      tab.addEventListener('click', () => this.open(tab.dataset['tab'] as string));
    for (const one of element.querySelectorAll<HTMLElement>('[data-document]'))
      one.addEventListener('click', () => openSeries(one.dataset['document'] as string));
    element.addEventListener('input', (event) => search(element, event.target));
    for (const name of EVENTS) eventTarget.addEventListener(name, this.refresh);
  }

  destroy(): void {
    for (const name of EVENTS) eventTarget.removeEventListener(name, this.refresh);
  }

  open(name: string): void {
    for (const tab of this.element.querySelectorAll<HTMLElement>('[data-tab]'))
      tab.setAttribute('aria-selected', String(tab.dataset['tab'] === name));
    for (const pane of this.element.querySelectorAll<HTMLElement>('[data-pane]'))
      pane.hidden = pane.dataset['pane'] !== name;
    if (name === 'metadata') this.readMetadata();
  }

  /** The active viewport shows another image. */
  imageChanged(): void {
    this.refresh(); // marks that were brought back have their series and values now
    if (!this.element.querySelector<HTMLElement>('[data-pane="metadata"]')?.hidden) this.readMetadata();
  }

  /** Fetches the tag list of the shown instance, once per instance; the server renders it. */
  private readMetadata(): void {
    const uid = this.shownCell().frame?.instance.uid ?? this.shownCell().element.dataset['instance'] ?? '';
    const target = this.element.querySelector<HTMLElement>('[data-metadata]');
    if (!target || uid === '' || uid === this.metadataFor) return;
    this.metadataFor = uid;
    void fetch(`/viewer/metadata?instance=${encodeURIComponent(uid)}`, {
      credentials: 'same-origin',
      headers: { 'HX-Request': 'true' },
    })
      .then(async (response) => (response.ok ? response.text() : Promise.reject(new Error(String(response.status)))))
      .then((html) => {
        if (this.metadataFor === uid)
          target.replaceChildren(...new DOMParser().parseFromString(html, 'text/html').body.childNodes);
      })
      .catch((reason: unknown) => {
        target.textContent = t('The attributes could not be loaded (status {status}).', { status: String(reason) });
        this.metadataFor = '';
      });
  }

  private readonly refresh = (): void => {
    const marks = annotation.state.getAllAnnotations().filter((mark) => measureOf(mark.metadata?.toolName ?? ''));
    const counter = this.element.querySelector('[data-count]');
    if (counter) counter.textContent = marks.length ? t('{count}, not saved', { count: marks.length }) : '';
    const empty = this.element.querySelector<HTMLElement>('[data-empty]');
    if (empty) empty.hidden = marks.length > 0;
    this.list?.replaceChildren(...marks.flatMap((mark) => this.entry(mark) ?? []));
  };

  private entry(mark: Mark): HTMLElement | undefined {
    const source = this.template?.content.firstElementChild;
    const name = measureOf(mark.metadata?.toolName ?? '');
    if (!source || !name) return undefined;
    const item = source.cloneNode(true) as HTMLElement;
    const imageId = mark.metadata?.referencedImageId ?? '';
    const set = (key: string, words: string): void => {
      const target = item.querySelector(`[data-set="${key}"]`);
      if (target) target.textContent = words;
    };
    set('value', mainValue(mark, name) || MEASURES[name].label());
    set('detail', [MEASURES[name].label(), ...linesOf(mark, name).slice(1)].join('. '));
    set('slice', whereOf(imageId));
    set('series', seriesWords(imageId));
    item.classList.toggle('chosen', annotation.selection.isAnnotationSelected(mark.annotationUID as string));
    for (const icon of item.querySelectorAll<SVGElement>('[data-icon]'))
      icon.toggleAttribute('hidden', icon.dataset['icon'] !== name);
    item.querySelector('[data-go]')?.addEventListener('click', () => {
      annotation.selection.setAnnotationSelected(mark.annotationUID as string, true);
      this.goTo(imageId);
    });
    item.querySelector('[data-delete]')?.addEventListener('click', () => {
      removeMarks([mark]);
      this.shownCell().draw();
    });
    return item;
  }
}

const EVENTS = [
  Enums.Events.ANNOTATION_ADDED,
  Enums.Events.ANNOTATION_COMPLETED,
  Enums.Events.ANNOTATION_MODIFIED,
  Enums.Events.ANNOTATION_REMOVED,
  Enums.Events.ANNOTATION_SELECTION_CHANGE,
];

/** Shows the attributes whose number, name or keyword holds what was typed. */
function search(panel: HTMLElement, field: EventTarget | null): void {
  if (!(field instanceof HTMLInputElement) || !field.matches('[data-tag-search]')) return;
  const wanted = field.value.trim().toLowerCase();
  for (const row of panel.querySelectorAll<HTMLElement>('[data-tag]'))
    row.hidden = wanted !== '' && !(row.dataset['tag'] ?? '').toLowerCase().includes(wanted);
  for (const group of panel.querySelectorAll<HTMLDetailsElement>('.viewer-tags')) {
    const any = group.querySelector('[data-tag]:not([hidden])') !== null;
    group.hidden = wanted !== '' && !any;
    if (wanted !== '' && any) group.open = true;
  }
}

/** "3: Thorax", so that annotations of several series are distinguished. */
function seriesWords(imageId: string): string {
  const series = seriesOf(imageId);
  return series ? [series.number, series.description || series.modality].filter(Boolean).join(': ') : '';
}

function whereOf(imageId: string): string {
  const frame = frameOf(imageId);
  const series = seriesOf(imageId);
  return frame && series && series.frames.length > 1 ? t('slice {n}', { n: frame.index + 1 }) : '';
}

/** Text beside an annotation, line by line. */
function linesOf(mark: Mark, name: MeasureName): string[] {
  const data = mark.data as MeasureData;
  const target = Object.keys(data.cachedStats ?? {})[0];
  if (target === undefined) return [];
  if (name === 'length' || name === 'bidirectional') return [(lengthLines(data, target) ?? []).join(' × ')];
  return name === 'ellipse' || name === 'rectangle' ? (regionLines(data, target, name) ?? []) : [];
}

interface PointStats {
  readonly angle?: number | string;
  readonly value?: number | readonly number[];
  readonly modalityUnit?: string;
}

/** The main number of a mark: millimetres, degrees, mean. */
function mainValue(mark: Mark, name: MeasureName): string {
  const data = mark.data as MeasureData;
  if (data.text || data.label) return data.text ?? data.label ?? '';
  const [line] = linesOf(mark, name);
  if (line) return line;
  const { angle, value, modalityUnit } = (Object.values(data.cachedStats ?? {})[0] ?? {}) as PointStats;
  if (typeof angle === 'number') return `${angle.toFixed(1)}°`;
  if (value === undefined) return '';
  return `${Array.isArray(value) ? value.join(' ') : String(value)} ${modalityUnit ?? ''}`.trim();
}
