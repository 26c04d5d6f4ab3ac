/** Cornerstone's image loader for `filmroom:` ids: bytes of the series load -> an image, converted when first shown. */
import { Enums, imageLoader, utilities, type Types } from '@cornerstonejs/core';
import { createImage } from '@cornerstonejs/dicom-image-loader';
import type { Frame, Series } from '../manifest';
import type { SeriesLoad } from './load';
import { openingRange, windowOf } from '../voi';
import { describe, descriptionOf, forgetDescriptions } from './describe';
import { frameOf, gridOf, seriesOf } from './metadata';
import { forgetOverlays } from './overlays';
import {
  floatPixels,
  integerSpec,
  lookedUp,
  modalityPixels,
  rgbPixels,
  whole,
  type GreyPixels,
  type ModalityArray,
  type PixelSpec,
} from './pixels';
import { renderedByServer } from './rendered';
import { Form, type FrameData } from './stream';

type Loaded = Types.IImage;

const RLE = '1.2.840.10008.1.2.5';

const loads = new Map<string, SeriesLoad>();
const fallbacks = new Map<string, string>();
const failures = new Map<string, string>();
/** Converted values by their bytes: the conversion works in place and must not happen twice. */
const converted = new WeakMap<Uint8Array<ArrayBuffer>, GreyPixels>();

export function registerLoader(): void {
  imageLoader.registerImageLoader('filmroom', (imageId, options) => ({
    promise: loadOrSay(imageId, options?.['useRGBA'] === true),
  }));
}

export function attach(load: SeriesLoad): void {
  loads.set(load.series.uid, load);
}

export function detach(seriesUid: string): void {
  loads.delete(seriesUid);
}

export function forgetFallbacks(): void {
  fallbacks.clear();
  failures.clear();
  forgetDescriptions();
  forgetOverlays();
}

/** Why a frame is shown as a picture of the server, or undefined when the pixels are its own. */
export function fallbackReason(imageId: string): string | undefined {
  return fallbacks.get(imageId);
}

/** Why a frame cannot be shown at all. */
export function failureReason(imageId: string): string | undefined {
  return failures.get(imageId);
}

async function loadOrSay(imageId: string, rgba: boolean): Promise<Loaded> {
  try {
    const image = await load(imageId, rgba);
    failures.delete(imageId);
    return image;
  } catch (fault) {
    failures.set(imageId, fault instanceof Error ? fault.message : String(fault));
    throw fault;
  }
}

async function load(imageId: string, rgba: boolean): Promise<Loaded> {
  const frame = frameOf(imageId);
  const series = seriesOf(imageId);
  const source = series && loads.get(series.uid);
  if (!frame || !series || !source) throw new Error(`${imageId} is not open`);
  const reason = unreadable(frame);
  if (reason) return ready(await viaServer(frame, rgba, reason));
  try {
    const [data] = await Promise.all([source.frame(frame.index), describe(frame).catch(() => undefined)]);
    // Without a description (a frame too large for the server) the image opens from its lowest to its highest value.
    return ready(await imageOf(frame, series, data, rgba));
  } catch (fault) {
    if (fault instanceof DOMException && fault.name === 'AbortError') throw fault;
    return ready(await viaServer(frame, rgba, fault instanceof Error ? fault.message : String(fault)));
  }
}

/** Palettes are in the header, which the stream does not contain. */
function unreadable({ instance }: Frame): string | undefined {
  const { pixels } = instance;
  if (pixels.rows < 1 || pixels.columns < 1) return 'no size';
  return pixels.photometric === 'PALETTE COLOR' ? pixels.photometric : undefined;
}

async function imageOf(frame: Frame, series: Series, { form, bytes }: FrameData, rgba: boolean): Promise<Loaded> {
  const { native, pixels } = frame.instance;
  if (form === Form.Rgb) return colourImage(frame, whole(bytes, pixels), rgba);
  if (form === Form.Stored && !native) return fromEncapsulated(frame, series, bytes, rgba);
  if (form === Form.Stored && pixels.samples > 1) return colourImage(frame, rgbPixels(bytes, pixels), rgba);
  let grey = converted.get(bytes);
  if (!grey) {
    const { slope, intercept } = frame.appearance;
    const spec = { ...(form === Form.Integers ? integerSpec(pixels, bytes) : pixels), slope, intercept };
    grey = form === Form.Floats ? floatPixels(bytes, spec) : modalityPixels(bytes, spec);
    converted.set(bytes, grey);
  }
  return greyImage(frame, series, grey);
}

async function fromEncapsulated(
  frame: Frame,
  series: Series,
  bytes: Uint8Array<ArrayBuffer>,
  rgba: boolean,
): Promise<Loaded> {
  const { pixels, transferSyntax } = frame.instance;
  // A copy: the decoder's worker takes the buffer away, and the frame may be asked for again.
  const decoded = (await createImage(frame.imageId, bytes.slice(), transferSyntax, {
    useRGBA: rgba,
    preScale: { enabled: false },
  })) as unknown as Loaded;
  if (pixels.samples > 1) return decoded;
  return greyImage(
    frame,
    series,
    modalityPixels(wordsOf(decoded.getPixelData()), {
      ...decodedSpec(frame),
      slope: frame.appearance.slope,
      intercept: frame.appearance.intercept,
    }),
  );
}

/** How decoded grey values lie: in words of 16 bits, at their low end. RLE alone keeps the layout of the header. */
function decodedSpec({ instance }: Frame): PixelSpec {
  const { pixels, transferSyntax } = instance;
  return { ...pixels, bitsAllocated: 16, highBit: transferSyntax === RLE ? pixels.highBit : pixels.bitsStored - 1 };
}

/**
 * Decoded values as bare words. Signed pixels travel as such in JPEG and JPEG-LS, and writers of JPEG 2000 disagree with
 * their own header about the sign: only the header counts, so the decoder's opinion is taken back here.
 */
function wordsOf(values: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const words = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) words[i] = values[i] as number;
  return new Uint8Array(words.buffer);
}

async function viaServer(frame: Frame, rgba: boolean, reason: string): Promise<Loaded> {
  const picture = await renderedByServer(frame);
  fallbacks.set(frame.imageId, reason);
  return colourImage(frame, picture.rgb, rgba, picture.width, picture.height);
}

function greyImage(frame: Frame, series: Series, stored: GreyPixels): Loaded {
  const { rows, columns } = frame.instance.pixels;
  const shown = descriptionOf(frame);
  const grey = shown?.modalityLut ? lookedUp(stored, shown.modalityLut) : stored;
  const image = base(frame, grey.values, rows, columns, 1);
  image.minPixelValue = grey.min;
  image.maxPixelValue = grey.max;
  const { slope, intercept } = frame.appearance;
  image.slope = slope;
  image.intercept = intercept;
  image.preScale = {
    enabled: true,
    scaled: true,
    scalingParameters: { modality: series.modality, rescaleSlope: slope, rescaleIntercept: intercept },
  };
  const opening = windowOf(openingRange(shown, grey.min, grey.max), 'LINEAR');
  image.windowCenter = opening.center;
  image.windowWidth = opening.width;
  return image;
}

function colourImage(
  frame: Frame,
  rgb: Uint8Array<ArrayBuffer>,
  rgba: boolean,
  width?: number,
  height?: number,
): Loaded {
  const columns = width ?? frame.instance.pixels.columns;
  const rows = height ?? frame.instance.pixels.rows;
  const image = base(frame, rgba ? withAlpha(rgb) : rgb, rows, columns, rgba ? 4 : 3);
  image.color = true;
  image.rgba = rgba;
  image.photometricInterpretation = 'RGB';
  image.minPixelValue = 0;
  image.maxPixelValue = 255;
  image.windowCenter = 128;
  image.windowWidth = 256;
  return image;
}

function base(frame: Frame, values: ModalityArray, rows: number, columns: number, components: number): Loaded {
  const { thickness } = frame.geometry;
  const [between, across] = gridOf(frame);
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({
    scalarData: values,
    width: columns,
    height: rows,
    numberOfComponents: components,
  });
  return {
    imageId: frame.imageId,
    minPixelValue: 0,
    maxPixelValue: 255,
    slope: 1,
    intercept: 0,
    windowCenter: 128,
    windowWidth: 256,
    voiLUTFunction: Enums.VOILUTFunctionType.LINEAR,
    getPixelData: () => values,
    getCanvas: (() => undefined) as unknown as () => HTMLCanvasElement,
    rows,
    columns,
    height: rows,
    width: columns,
    color: false,
    rgba: false,
    numberOfComponents: components,
    rowPixelSpacing: between,
    columnPixelSpacing: across,
    ...(thickness === undefined ? {} : { sliceThickness: thickness }),
    invert: false,
    photometricInterpretation: frame.instance.pixels.photometric,
    sizeInBytes: values.byteLength,
    dataType: values.constructor.name as Types.PixelDataTypedArrayString,
    voxelManager,
  };
}

/** Values of every image, for any decoder. */
function ready(image: Loaded): Loaded {
  // Windows are drawn by shading.ts; Cornerstone counts in the ranges of LINEAR.
  image.voiLUTFunction = Enums.VOILUTFunctionType.LINEAR;
  const manager = image.voxelManager as Types.IVoxelManager<number> | undefined;
  // The probe asks with the number of the slice as third index; an image has but one.
  if (manager) manager.getAtIJKPoint = ([i, j]) => manager.getAtIJK(i, j, 0);
  return image;
}

function withAlpha(rgb: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const count = rgb.length / 3;
  const out = new Uint8Array(count * 4);
  for (let i = 0; i < count; i++) {
    out[i * 4] = rgb[i * 3] as number;
    out[i * 4 + 1] = rgb[i * 3 + 1] as number;
    out[i * 4 + 2] = rgb[i * 3 + 2] as number;
    out[i * 4 + 3] = 255;
  }
  return out;
}
