/** Overlay planes of frames (PS3.3 C.9.2): fetched from the server, which knows them also inside pixels, as one transparent picture. */
import { list, number, record, text, type Json } from '../json';
import type { Frame } from '../manifest';

const pictures = new Map<string, Promise<OffscreenCanvas | undefined>>();

/** The overlays of a frame, white where they are set, in its own pixels; undefined where it has none. Rejects when they cannot be read. */
export function overlayPicture(frame: Frame): Promise<OffscreenCanvas | undefined> {
  if (!frame.instance.overlays) return Promise.resolve(undefined);
  const known = pictures.get(frame.imageId);
  if (known) return known;
  const made = fetchPicture(frame);
  pictures.set(frame.imageId, made);
  made.catch(() => pictures.delete(frame.imageId));
  return made;
}

export function forgetOverlays(): void {
  pictures.clear();
}

async function fetchPicture({ instance, frame }: Frame): Promise<OffscreenCanvas | undefined> {
  const response = await fetch(`/api/v1/instances/${instance.uid}/frames/${frame}/overlays`, {
    credentials: 'same-origin',
  });
  if (!response.ok) throw new Error(`overlays answered ${response.status}`);
  const planes = list(record(await response.json())['planes']).map(record);
  if (planes.length === 0) return undefined;
  const { rows, columns } = instance.pixels;
  const picture = new OffscreenCanvas(columns, rows);
  const context = picture.getContext('2d');
  for (const plane of planes)
    context?.drawImage(planePicture(plane), number(plane['column']) ?? 0, number(plane['row']) ?? 0);
  return picture;
}

function planePicture(plane: Json): OffscreenCanvas {
  const [rows, columns] = [number(plane['rows']) ?? 1, number(plane['columns']) ?? 1];
  const bits = atob(text(plane['bits']));
  const data = new ImageData(columns, rows);
  const pixels = new Uint32Array(data.data.buffer);
  for (let at = 0; at < pixels.length; at++) if ((bits.charCodeAt(at >> 3) >> (at & 7)) & 1) pixels[at] = 0xffffffff;
  const made = new OffscreenCanvas(columns, rows);
  made.getContext('2d')?.putImageData(data, 0, 0);
  return made;
}
