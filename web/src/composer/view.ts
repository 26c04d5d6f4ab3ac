// Where an image lies in its cell while its window, zoom and crop are edited. Pure; the same geometry as the sheet's (app/printing/sheet.py place).
import type { Item } from './state';

/** Of the frame as stored. pixel: height and width of one, in mm when `measured`. */
export interface Facts {
  rows: number;
  columns: number;
  pixel: [number, number];
  measured: boolean;
  window: [number, number] | null;
}
export type Crop = [number, number, number, number];
export type Scaling = 'fit' | 'fill' | 'actual';
export interface Size {
  width: number;
  height: number;
}

export const MOST = 40; // times enlarged

/** Width and height of the whole image as seen, in its own units. */
export function seen(facts: Facts, item: Item): Size {
  const turned = item.rotation === 90 || item.rotation === 270;
  const [height, width] = [facts.rows * facts.pixel[0], facts.columns * facts.pixel[1]];
  return turned ? { width: height, height: width } : { width, height };
}

/** Screen pixels by unit of the image where nothing is zoomed. mm: screen pixels by millimetre of paper. */
export function base(image: Size, cell: Size, scaling: Scaling, mm: number): number {
  if (scaling === 'actual') return mm;
  const ratios = [cell.width / image.width, cell.height / image.height];
  return scaling === 'fill' ? Math.max(...ratios) : Math.min(...ratios);
}

/** How an image is looked at: how often enlarged, and which point of it (from 0 to 1) is in the middle. */
export interface Look {
  zoom: number;
  x: number;
  y: number;
}

/** The look that shows a crop as large as the cell takes it. */
export function lookOf(crop: Crop, image: Size, cell: Size, scale: number, scaling: Scaling): Look {
  const [x, y, width, height] = crop;
  const wanted =
    scaling === 'actual' ? scale : Math.min(cell.width / (width * image.width), cell.height / (height * image.height));
  const whole = width === 1 && height === 1;
  return { zoom: whole ? 1 : Math.max(1, wanted / scale), x: x + width / 2, y: y + height / 2 };
}

/** The same look with its middle so that no empty edge shows where there is image left. */
export function held(look: Look, image: Size, cell: Size, scale: number): Look {
  const zoom = Math.min(MOST, Math.max(1, look.zoom));
  const hold = (at: number, whole: number, room: number): number => {
    const half = Math.min(1, room / (whole * scale * zoom)) / 2;
    return Math.min(1 - half, Math.max(half, at));
  };
  return { zoom, x: hold(look.x, image.width, cell.width), y: hold(look.y, image.height, cell.height) };
}

/** Visible part of the image in the cell. */
export function cropOf(look: Look, image: Size, cell: Size, scale: number): Crop {
  const part = (at: number, whole: number, room: number): [number, number] => {
    const share = Math.min(1, room / (whole * scale * look.zoom));
    return [Math.min(1 - share, Math.max(0, at - share / 2)), share];
  };
  const [x, width] = part(look.x, image.width, cell.width);
  const [y, height] = part(look.y, image.height, cell.height);
  return [round(x), round(y), round(width), round(height)];
}

function round(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

/** Where the whole image lies on the screen, its cell's corner being 0, 0. */
export function lies(look: Look, image: Size, cell: Size, scale: number): { left: number; top: number } & Size {
  const width = image.width * scale * look.zoom;
  const height = image.height * scale * look.zoom;
  return { left: cell.width / 2 - look.x * width, top: cell.height / 2 - look.y * height, width, height };
}

/** Zooms with the point at (px, py) of the cell staying where it is. */
export function zoomed(
  look: Look,
  factor: number,
  px: number,
  py: number,
  image: Size,
  cell: Size,
  scale: number,
): Look {
  const zoom = Math.min(MOST, Math.max(1, look.zoom * factor));
  const at = (middle: number, whole: number, room: number, p: number): number =>
    middle + ((p - room / 2) / (whole * scale)) * (1 / look.zoom - 1 / zoom);
  return held(
    { zoom, x: at(look.x, image.width, cell.width, px), y: at(look.y, image.height, cell.height, py) },
    image,
    cell,
    scale,
  );
}

/** Window after a drag by dx, dy screen pixels: to the right wider, down darker, as in the viewer. */
export function windowed(window: [number, number], start: [number, number], dx: number, dy: number): [number, number] {
  const step = Math.max(start[1], 1) / 200;
  return [nice(window[0] + dy * step, step), Math.max(nice(window[1] + dx * step, step), step < 1 ? 0.001 : 1)];
}

function nice(value: number, step: number): number {
  return step >= 0.5 ? Math.round(value) : Number(value.toPrecision(4));
}

/** The same part after a quarter turn clockwise, and after a flip of left and right. */
export function turned([x, y, width, height]: Crop): Crop {
  return [round(1 - y - height), x, height, width];
}
export function flipped([x, y, width, height]: Crop): Crop {
  return [round(1 - x - width), y, width, height];
}
