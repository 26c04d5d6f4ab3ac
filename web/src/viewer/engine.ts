/** Cornerstone, started once for the life of the page. The WebGL context stays when the viewer is left and serves the next one. */
import {
  cache,
  getConfiguration,
  getShouldUseCPURendering,
  init as initCore,
  RenderingEngine,
} from '@cornerstonejs/core';
import { init as initLoader } from '@cornerstonejs/dicom-image-loader';
import { init as initTools } from '@cornerstonejs/tools';
import { registerLoader } from './loading/image';
import { registerMetadata } from './loading/metadata';

/** Cornerstone counts converted frames against this; images are in their own buffers anyway, so it must not refuse a big study. */
const CACHE_BYTES = 6 * 1024 ** 3;

let running: RenderingEngine | undefined;

export function engine(): RenderingEngine {
  running ??= begin();
  return running;
}

/** Whether images are drawn without WebGL. */
export function onCpu(): boolean {
  return getShouldUseCPURendering();
}

export function freeImages(): void {
  cache.purgeCache();
}

function begin(): RenderingEngine {
  // One context serves all viewports in turn: browsers allow few, and each costs time and memory before the first picture.
  initCore({ ...getConfiguration(), rendering: { ...getConfiguration().rendering, webGlContextCount: 1 } });
  initTools();
  initLoader({ maxWebWorkers: Math.max(1, Math.min(4, (navigator.hardwareConcurrency || 2) - 1)) });
  registerMetadata();
  registerLoader();
  cache.setMaxCacheSize(CACHE_BYTES);
  return new RenderingEngine('filmroom');
}
