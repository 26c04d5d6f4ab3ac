/** How a frame is shown and measured, as the server reads it from the header: the viewer applies it and derives nothing itself. */
import { list, number, numbers, record, text, type Json } from './json';

/** VOI LUT Function (PS3.3 C.11.2.1.2). */
export type VoiFunction = 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID';

export interface WindowPreset {
  readonly center: number;
  readonly width: number;
  readonly name: string;
  readonly function: VoiFunction;
}

/** Plane of a millimetre: the patient, the detector, the scanned film, or unknown (PS3.3 10.7.1). */
export type Plane = 'patient' | 'detector' | 'film' | 'unknown';

export interface Spacing {
  readonly row: number;
  readonly column: number;
  readonly plane: Plane;
}

/** An ultrasound region: its first and last column and row from 0, and what one pixel is, across and down. */
export interface Region {
  readonly bounds: readonly [x0: number, y0: number, x1: number, y1: number];
  readonly delta: readonly [x: number, y: number];
  readonly unit: readonly [x: string, y: string];
}

/** Letters at the edges of the stored frame. */
export interface Letters {
  readonly left: string;
  readonly right: string;
  readonly top: string;
  readonly bottom: string;
}

export interface Appearance {
  readonly slope: number;
  readonly intercept: number;
  /** Lowest values are shown white. */
  readonly inverted: boolean;
  /** Float or Double Float Pixel Data: windows have no unit of 1. */
  readonly floats: boolean;
  /** Height of a pixel by its width. */
  readonly aspect: number;
  readonly windows: readonly WindowPreset[];
  /** Undefined = distances are measured in pixels. */
  readonly spacing: Spacing | undefined;
  readonly regions: readonly Region[];
  readonly letters: Letters | undefined;
  readonly laterality: string;
  readonly view: string;
  /** The frame's tables, or its window, have to be asked for: see `describe`. */
  readonly partial: boolean;
}

/** A look-up table: entry 0 belongs to input `first`; `bits` are those of the full output range. */
export interface Lut {
  readonly first: number;
  readonly bits: number;
  readonly entries: Uint16Array;
  readonly name: string;
}

/** Initial display of a frame beyond its `Appearance`. */
export interface Description {
  readonly window: WindowPreset | undefined;
  readonly modalityLut: Lut | undefined;
  readonly voiLut: Lut | undefined;
}

/** Reads `appearance` of the manifest, that of a frame over that of its instance. */
export function readAppearance(instance: Json, frame: Json): Appearance {
  const json: Json = { ...record(instance['appearance']), ...record(frame['appearance']) };
  const [left = '', right = '', top = '', bottom = ''] = list(json['letters']).map(text);
  return {
    slope: number(json['slope']) ?? 1,
    intercept: number(json['intercept']) ?? 0,
    inverted: json['inverted'] === true,
    floats: json['floats'] === true,
    aspect: number(json['aspect']) ?? 1,
    windows: list(json['windows']).flatMap((one) => readWindow(one) ?? []),
    spacing: readSpacing(record(json['spacing'])),
    regions: list(json['regions']).flatMap((one) => readRegion(record(one)) ?? []),
    letters: right ? { left, right, top, bottom } : undefined,
    laterality: text(json['laterality']),
    view: text(json['view']),
    partial: json['partial'] === true,
  };
}

/** Reads the answer of `GET /api/v1/instances/{uid}/frames/{n}/appearance`. */
export function readDescription(json: unknown): Description {
  const root = record(json);
  return {
    window: readWindow(root['window']),
    modalityLut: readLut(record(root['modality_lut'])),
    voiLut: readLut(record(root['voi_lut'])),
  };
}

function readWindow(json: unknown): WindowPreset | undefined {
  const { center, width, explanation, function: name } = record(json);
  const [c, w] = [number(center), number(width)];
  if (c === undefined || w === undefined || w <= 0) return undefined;
  return {
    center: c,
    width: w,
    name: text(explanation),
    function: name === 'LINEAR_EXACT' || name === 'SIGMOID' ? name : 'LINEAR',
  };
}

function readSpacing(json: Json): Spacing | undefined {
  const [row, column] = [number(json['row']), number(json['column'])];
  if (!row || !column || row < 0 || column < 0) return undefined;
  const plane = text(json['plane']);
  return { row, column, plane: plane === 'patient' || plane === 'detector' || plane === 'film' ? plane : 'unknown' };
}

function readRegion(json: Json): Region | undefined {
  const bounds = numbers(json['bounds'], 4);
  const delta = numbers(json['delta'], 2);
  const [x = '', y = ''] = list(json['unit']).map(text);
  if (!bounds || !delta) return undefined;
  return { bounds: bounds as [number, number, number, number], delta: delta as [number, number], unit: [x, y] };
}

function readLut(json: Json): Lut | undefined {
  const packed = text(json['entries']);
  if (!packed) return undefined;
  const bytes = Uint8Array.from(atob(packed), (one) => one.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const entries = Uint16Array.from({ length: bytes.length >> 1 }, (_, at) => view.getUint16(at * 2, true));
  return {
    first: number(json['first']) ?? 0,
    bits: number(json['bits']) ?? 16,
    entries,
    name: text(json['explanation']),
  };
}
