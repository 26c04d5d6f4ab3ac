// The state of an image that is edited in its cell, and what follows from it.
import type { Item } from './state';
import { cropOf, seen, type Crop, type Facts, type Look, type Size } from './view';

export const WHOLE: Crop = [0, 0, 1, 1];

export interface Editing {
  cell: number;
  was: Item;
  item: Item; // as it will be stored, except for the crop, which `look` returns once `moved`
  facts: Facts;
  room: Size;
  scale: number;
  look: Look;
  moved: boolean;
  changed: boolean;
  view: HTMLElement;
  picture: HTMLImageElement;
}

/** The part of the image that is kept for the page. */
export function cropNow(now: Editing): Crop {
  return now.moved ? cropOf(now.look, seen(now.facts, now.item), now.room, now.scale) : (now.item.crop ?? WHOLE);
}

/** The size of picture to ask for: as many pixels as the screen shows, in steps so that zooming does not ask each time. */
export function pixelsNow(now: Editing): number {
  const image = seen(now.facts, now.item);
  const wanted = Math.max(image.width, image.height) * now.scale * now.look.zoom * devicePixelRatio;
  return Math.min(2048, [320, 640, 1280].find((size) => size >= wanted) ?? 2048);
}

/** The query of the rendered picture. */
export function pictureQuery(now: Editing): URLSearchParams {
  const { item } = now;
  const query = new URLSearchParams({
    sop: item.sop_instance_uid,
    frame: String(item.frame),
    size: String(pixelsNow(now)),
  });
  if (item.window) query.set('window', item.window.join(','));
  if (item.invert) query.set('invert', 'true');
  if (item.rotation) query.set('rotate', String(item.rotation));
  if (item.flip) query.set('flip', 'true');
  return query;
}
