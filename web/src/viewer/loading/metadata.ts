/** Gives Cornerstone the attributes of our frames. Without them a viewport stays silently black (DESIGN 3.1). */
import { metaData } from '@cornerstonejs/core';
import type { Frame, Series } from '../manifest';

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
    case 'voiLutModule':
      return voi(frame);
    case 'modalityLutModule':
      return { rescaleSlope: frame.slope, rescaleIntercept: frame.intercept, rescaleType: series.modality === 'CT' ? 'HU' : '' };
    case 'sopCommonModule':
      return { sopClassUID: frame.instance.sopClass, sopInstanceUID: frame.instance.uid };
    case 'transferSyntax':
      return { transferSyntaxUID: frame.instance.transferSyntax };
    case 'cineModule':
      return frame.instance.fps ? { frameTime: 1000 / frame.instance.fps, numberOfFrames: frame.instance.frames } : undefined;
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
    photometricInterpretation: pixels.photometric,
    planarConfiguration: pixels.planar,
    bitsAllocated: pixels.bitsAllocated,
    bitsStored: pixels.bitsStored,
    highBit: pixels.highBit,
    pixelRepresentation: pixels.signed ? 1 : 0,
    modality: series.modality,
  };
}

function imagePlane({ geometry, instance }: Frame): Record<string, unknown> {
  const { spacing, thickness, aspect } = geometry;
  const row = geometry.row ?? [1, 0, 0];
  const column = geometry.column ?? [0, 1, 0];
  const [between, across] = spacing ?? [aspect, 1];
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
    sliceThickness: thickness ?? null,
    // Says whether lengths are millimetres. Left out, Cornerstone would take every image without a position in the patient
    // (CR, DX, US) for one without spacing.
    usingDefaultValues: spacing === undefined,
  };
}

function voi({ windows, instance }: Frame): Record<string, unknown> {
  if (windows.length === 0) return {};
  return {
    windowCenter: windows.map((one) => one.center),
    windowWidth: windows.map((one) => one.width),
    voiLUTFunction: [instance.voiFunction],
  };
}
