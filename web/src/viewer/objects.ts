/** Objects that are not images: the viewport names their kind and offers their content. */
import type { Cell } from './cell';
import type { Instance, Kind, Series, Study } from './manifest';
import { t } from './strings';
import { displayDate } from './text';

const NAMES: Readonly<Record<Kind, () => string>> = {
  image: () => t('Image'),
  pdf: () => t('Document (PDF)'),
  sr: () => t('Structured report'),
  waveform: () => t('Waveform'),
  video: () => t('Video'),
  presentation: () => t('Presentation state'),
  other: () => t('Object without an image'),
};

export function objectOf(series: Series): Instance | undefined {
  return series.frames.length === 0 ? series.instances[0] : undefined;
}

/** Fills the cell with what `instance` is; the image part of the cell is hidden by `data-object`. */
export function showObject(cell: Cell, study: Study, series: Series, instance: Instance): void {
  const box = cell.element.querySelector<HTMLElement>('.cell-object');
  if (!box) return;
  cell.element.dataset['object'] = instance.kind;
  const head = node('h2', NAMES[instance.kind]());
  const what = [series.description, instance.sopClassName || instance.sopClass].filter(Boolean).join(' · ');
  box.replaceChildren(head, whoseIs(study), node('p', what), ...contentOf(instance));
  box.hidden = false;
}

/** A report is read without an image beside it: it names its patient, as the corners of an image do. */
function whoseIs(study: Study): HTMLElement {
  const who = [study.patientName || t('No name'), study.patientId, study.patientSex, study.patientAge];
  const made = node('p', [...who, study.description, displayDate(study.date, study.time)].filter(Boolean).join(' · '));
  made.className = 'object-patient';
  return made;
}

export function hideObject(cell: Cell): void {
  const box = cell.element.querySelector<HTMLElement>('.cell-object');
  delete cell.element.dataset['object'];
  if (!box) return;
  box.hidden = true;
  box.replaceChildren();
}

function contentOf(instance: Instance): HTMLElement[] {
  const base = `/api/v1/instances/${instance.uid}`;
  if (instance.kind === 'pdf') {
    const frame = document.createElement('iframe');
    frame.src = `${base}/document`;
    frame.title = t('Document (PDF)');
    return [link(`${base}/document`, t('Open in a new tab')), frame];
  }
  if (instance.kind === 'sr') {
    const tree = document.createElement('div');
    tree.className = 'object-tree';
    tree.textContent = t('Loading the report …');
    void fillTree(tree, `/viewer/report?instance=${encodeURIComponent(instance.uid)}`);
    return [tree];
  }
  const download = link(`${base}/file`, t('Download DICOM file'));
  download.setAttribute('download', '');
  return [node('p', t('This object has no image. See the Metadata panel for its attributes.')), download];
}

async function fillTree(target: HTMLElement, url: string): Promise<void> {
  const response = await fetch(url, { credentials: 'same-origin', headers: { 'HX-Request': 'true' } });
  if (!response.ok) {
    target.textContent = t('The report could not be loaded (status {status}).', { status: response.status });
    return;
  }
  const parsed = new DOMParser().parseFromString(await response.text(), 'text/html');
  target.replaceChildren(...parsed.body.childNodes);
}

function link(href: string, words: string): HTMLAnchorElement {
  const made = document.createElement('a');
  made.className = 'btn';
  made.href = href;
  made.target = '_blank';
  made.rel = 'noopener';
  // A document is not a page of the application: htmx must not boost it.
  made.setAttribute('hx-boost', 'false');
  made.append(node('span', words));
  return made;
}

function node(tag: string, words: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = words;
  return made;
}
