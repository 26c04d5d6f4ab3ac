/** Decodes encapsulated neighbours of the shown frame ahead of the reader; native frames need no decoding. */
import { Enums, imageLoader } from '@cornerstonejs/core';
import type { Cell } from './cell';
import { onCpu } from './engine';

const AHEAD = 3;

type LoaderOptions = Parameters<typeof imageLoader.loadAndCacheImage>[1] & { readonly useRGBA: boolean };

export function prefetchAround(cell: Cell): void {
  const { series, load, at } = cell;
  if (!series || !load) return;
  for (let step = 1; step <= AHEAD; step++) {
    for (const index of [at + step, at - step]) {
      const frame = series.frames[index];
      if (!frame || frame.instance.native || !load.has(index)) continue;
      // Decoded the way this viewport will ask for it, or the picture in the cache would be of the wrong layout.
      const options: LoaderOptions = { useRGBA: onCpu(), priority: 10, requestType: Enums.RequestType.Prefetch };
      imageLoader.loadAndCacheImage(frame.imageId, options).catch(() => undefined);
    }
  }
}
