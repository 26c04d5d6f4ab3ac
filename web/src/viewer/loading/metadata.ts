/** Gives Cornerstone the attributes of the frames. Without them a viewport stays silently black (DESIGN 3.1). */
import { metaData } from '@cornerstonejs/core';
import { dot } from '../geometry';
import type { Frame, Series, Vector } from '../manifest';

const known = new Map<string, { frame: Frame; series: Series }>();

export function frameOf(imageId: string): Frame | undefined {
  return known.get(imageId)?.frame;
}

export function seriesOf(imageId: string): Series | undefined {
  return known.get(imageId)?.series;
}

export function remember(series: Series): void {
  for (const frame of series.frames) known.set(frame.imageId, { frame, series });
}

export function forgetAll(): void {
  known.clear();
}

export function registerMetadata(): void {
  metaData.addProvider(provide, 10_000);
}

function provide(type: string, imageId: string): unknown {
  const entry = known.get(imageId);
  if (!entry) return undefined;
  const { frame, series } = entry;
  switch (type) {
    case 'imagePixelModule':
      return imagePixel(frame, series);
    case 'imagePlaneModule':
      return imagePlane(frame);
    case 'generalSeriesModule':
      return { modality: series.modality, seriesInstanceUID: series.uid, seriesNumber: Number(series.number) || 0 };
    case 'modalityLutModule':
      return {
        rescaleSlope: frame.appearance.slope,
        rescaleIntercept: frame.appearance.intercept,
        rescaleType: series.modality === 'CT' ? 'HU' : '',
      };
    case 'sopCommonModule':
      return { sopClassUID: frame.instance.sopClass, sopInstanceUID: frame.instance.uid };
    case 'transferSyntax':
      return { transferSyntaxUID: frame.instance.transferSyntax };
    case 'cineModule':
      return frame.instance.fps
        ? { frameTime: 1000 / frame.instance.fps, numberOfFrames: frame.instance.frames }
        : undefined;
    default:
      return undefined;
  }
}

function imagePixel({ instance }: Frame, series: Series): Record<string, unknown> {
  const { pixels } = instance;
  return {
    rows: pixels.rows,
    columns: pixels.columns,
    samplesPerPixel: pixels.samples,
    // Inversion is done in shading.ts: Cornerstone would decide it once for a stack, by this word.
    photometricInterpretation: pixels.photometric === 'MONOCHROME1' ? 'MONOCHROME2' : pixels.photometric,
    planarConfiguration: pixels.planar,
    bitsAllocated: pixels.bitsAllocated,
    bitsStored: pixels.bitsStored,
    highBit: pixels.highBit,
    pixelRepresentation: pixels.signed ? 1 : 0,
    modality: series.modality,
  };
}

function imagePlane(frame: Frame): Record<string, unknown> {
  const { geometry, instance } = frame;
  const [row, column] = axesOf(frame);
  const [between, across] = gridOf(frame);
  return {
    rows: instance.pixels.rows,
    columns: instance.pixels.columns,
    frameOfReferenceUID: instance.frameOfReference || instance.uid,
    rowCosines: row,
    columnCosines: column,
    imageOrientationPatient: [...row, ...column],
    imagePositionPatient: geometry.position ?? [0, 0, 0],
    rowPixelSpacing: between,
    columnPixelSpacing: across,
    pixelSpacing: [between, across],
    sliceThickness: geometry.thickness ?? null,
    // Says whether lengths are millimetres. Left out, Cornerstone would take every image without a position in the patient
    // (CR, DX, US) for one without spacing.
    usingDefaultValues: frame.appearance.spacing === undefined,
  };
}

/** Distances between rows and columns in Cornerstone's world: millimetres, or the shape of a pixel where those are unknown. */
export function gridOf({ appearance }: Frame): readonly [row: number, column: number] {
  const { spacing, aspect } = appearance;
  return spacing ? [spacing.row, spacing.column] : [aspect, 1];
}

/** Where rows and columns run in Cornerstone's world; images without a place in the patient lie flat in it. */
export function axesOf({ geometry }: Frame): readonly [row: Vector, column: Vector] {
  return [geometry.row ?? [1, 0, 0], geometry.column ?? [0, 1, 0]];
}

/** The pixel of the frame at a point of Cornerstone's world: column and row, whole numbers in the middle of pixels. */
export function pixelAt(frame: Frame, world: readonly number[]): readonly [column: number, row: number] {
  const [row, column] = axesOf(frame);
  const [between, across] = gridOf(frame);
  const origin = frame.geometry.position ?? [0, 0, 0];
  const from = origin.map((one, at) => (world[at] ?? 0) - one);
  return [dot(from, row) / across, dot(from, column) / between];
}
