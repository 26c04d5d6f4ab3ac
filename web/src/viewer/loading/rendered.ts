/** The way for what the browser cannot decode: the server draws the frame, the viewer shows its picture with a notice. */
import { problemOf } from '../../shell/http';
import type { Frame } from '../manifest';

export interface Picture {
  readonly rgb: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
}

export async function renderedByServer(frame: Frame): Promise<Picture> {
  const response = await fetch(`/api/v1/instances/${frame.instance.uid}/frames/${frame.frame}/rendered`, {
    headers: { accept: 'image/png' },
    credentials: 'same-origin',
  });
  if (!response.ok) {
    const { detail } = await problemOf(response);
    throw new Error(detail || `the server cannot draw this image (${response.status})`);
  }
  const bitmap = await createImageBitmap(await response.blob(), {
    colorSpaceConversion: 'none',
    premultiplyAlpha: 'none',
  });
  try {
    return unpack(bitmap);
  } finally {
    bitmap.close();
  }
}

function unpack(bitmap: ImageBitmap): Picture {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('no drawing surface');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    rgb[to] = data[from] as number;
    rgb[to + 1] = data[from + 1] as number;
    rgb[to + 2] = data[from + 2] as number;
  }
  return { rgb, width, height };
}
