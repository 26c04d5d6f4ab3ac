/** Tools that change the view: window, zoom, pan, scroll, magnifier. */
import { MagnifyTool, PanTool, StackScrollTool, WindowLevelTool, ZoomTool } from '@cornerstonejs/tools';

/** Cornerstone's tool never goes below a width of 1, which is wide for fractions (PET, small rescale slopes). */
class WindowTool extends WindowLevelTool {
  override getNewRange({ viewport, deltaPointsCanvas, lower, upper }: NewRange): { lower: number; upper: number } {
    const step = this._getMultiplierFromDynamicRange(viewport, undefined) || 1;
    const half = Math.max((upper - lower + deltaPointsCanvas[0] * step) / 2, step / 4);
    const middle = (lower + upper) / 2 + deltaPointsCanvas[1] * step;
    return { lower: middle - half, upper: middle + half };
  }
}

interface NewRange {
  readonly viewport: unknown;
  readonly deltaPointsCanvas: readonly [number, number];
  readonly lower: number;
  readonly upper: number;
}

export const NAVIGATION = {
  window: WindowLevelTool.toolName,
  zoom: ZoomTool.toolName,
  pan: PanTool.toolName,
  scroll: StackScrollTool.toolName,
  magnify: MagnifyTool.toolName,
} as const;

export type NavigationName = keyof typeof NAVIGATION;

export const NAVIGATION_TOOLS = [WindowTool, ZoomTool, PanTool, StackScrollTool, MagnifyTool];
