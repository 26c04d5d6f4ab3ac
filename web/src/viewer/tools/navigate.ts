/** Tools that change the view: window, zoom, pan, scroll, magnifier. */
import { MagnifyTool, PanTool, StackScrollTool, WindowLevelTool, ZoomTool } from '@cornerstonejs/tools';

export const NAVIGATION = {
  window: WindowLevelTool.toolName,
  zoom: ZoomTool.toolName,
  pan: PanTool.toolName,
  scroll: StackScrollTool.toolName,
  magnify: MagnifyTool.toolName,
} as const;

export type NavigationName = keyof typeof NAVIGATION;

export const NAVIGATION_TOOLS = [WindowLevelTool, ZoomTool, PanTool, StackScrollTool, MagnifyTool];
