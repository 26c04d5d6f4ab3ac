/** The viewer's data of a study: the JSON of `GET /api/v1/studies/{uid}/manifest`, checked and flattened to frames. */
import type { Appearance } from './appearance';
import type { PixelSpec } from './loading/pixels';

export type Vector = readonly [number, number, number];

/** Kind of an object for a reader; everything but `image` is shown in its own way, never as a black box. */
export type Kind = 'image' | 'pdf' | 'sr' | 'waveform' | 'video' | 'presentation' | 'other';

export interface Geometry {
  readonly position: Vector | undefined;
  readonly row: Vector | undefined;
  readonly column: Vector | undefined;
  readonly thickness: number | undefined;
}

export interface Instance {
  readonly uid: string;
  readonly sopClass: string;
  readonly sopClassName: string;
  readonly kind: Kind;
  readonly number: number | undefined;
  readonly transferSyntax: string;
  readonly native: boolean;
  readonly frames: number;
  readonly pixels: PixelSpec;
  /** Whether the header has overlay planes. */
  readonly overlays: boolean;
  readonly frameOfReference: string;
  readonly fps: number | undefined;
  readonly acquired: string;
  readonly technique: string;
}

/** One picture of a series: frame `frame` (from 1) of `instance`. */
export interface Frame {
  readonly index: number;
  readonly imageId: string;
  readonly instance: Instance;
  readonly instanceIndex: number;
  readonly frame: number;
  readonly geometry: Geometry;
  readonly appearance: Appearance;
  /** Notice of the server beside this frame, such as that its end is missing; empty for nothing. */
  readonly notice: string;
}

export interface Series {
  readonly uid: string;
  readonly number: string;
  readonly modality: string;
  readonly description: string;
  readonly bodyPart: string;
  readonly instances: readonly Instance[];
  readonly frames: readonly Frame[];
}

export interface Study {
  readonly uid: string;
  readonly patientName: string;
  readonly patientId: string;
  readonly patientSex: string;
  readonly patientAge: string;
  readonly birthDate: string;
  readonly description: string;
  readonly date: string;
  readonly time: string;
  readonly accession: string;
  readonly institution: string;
  readonly series: readonly Series[];
}

export function imageIdOf(instanceUid: string, frame: number): string {
  return `filmroom:${instanceUid}/${frame}`;
}
