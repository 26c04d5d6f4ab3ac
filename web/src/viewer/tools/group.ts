/** The one tool group of all viewports: which tool the left button holds; the other buttons, the wheel and touch are fixed. */
import { Enums, StackScrollTool, ToolGroupManager, addTool, type Types } from '@cornerstonejs/tools';
import { askText } from './ask';
import { measureConfiguration, MEASURES, type MeasureName } from './measure';
import { NAVIGATION, NAVIGATION_TOOLS, type NavigationName } from './navigate';

type Group = Types.IToolGroup;

/** Names used in `data-tool` of the page. */
export type ToolName = NavigationName | MeasureName;

const GROUP = 'filmroom';
const { MouseBindings } = Enums;
/** Cornerstone names of the tools by the viewer's names. */
const TOOLS: Readonly<Record<string, string>> = {
  ...NAVIGATION,
  ...Object.fromEntries(Object.entries(MEASURES).map(([name, { tool }]) => [name, tool.toolName])),
};

let group: Group | undefined;
let active: ToolName = 'window';

export function toolGroup(): Group {
  group ??= make();
  return group;
}

export function activeTool(): ToolName {
  return active;
}

export function isTool(name: string): name is ToolName {
  return name in TOOLS;
}

/** Puts `name` on the left button and one finger. */
export function activate(name: ToolName): void {
  const tools = toolGroup();
  tools.setToolPassive(idOf(active), {
    removeAllBindings: [{ mouseButton: MouseBindings.Primary }, { numTouchPoints: 1 }],
  });
  active = name;
  bindFixed(tools);
  tools.setToolActive(idOf(name), { bindings: [{ mouseButton: MouseBindings.Primary }, { numTouchPoints: 1 }] });
}

function make(): Group {
  for (const { tool } of Object.values(MEASURES)) addTool(tool);
  for (const tool of NAVIGATION_TOOLS) addTool(tool);
  const made = ToolGroupManager.createToolGroup(GROUP) as Group;
  for (const [name, id] of Object.entries(TOOLS)) {
    const measure = name in MEASURES;
    made.addTool(id, measure ? measureConfiguration(name as MeasureName, askText) : {});
    // Marks that exist stay visible and can be grabbed whatever the left button holds.
    if (measure) made.setToolPassive(id);
  }
  bindFixed(made);
  made.setToolActive(idOf(active), { bindings: [{ mouseButton: MouseBindings.Primary }, { numTouchPoints: 1 }] });
  return made;
}

/** Middle button pans, right button zooms, the wheel scrolls, two fingers pinch and move. */
function bindFixed(made: Group): void {
  made.setToolActive(NAVIGATION.pan, { bindings: [{ mouseButton: MouseBindings.Auxiliary }] });
  made.setToolActive(NAVIGATION.zoom, { bindings: [{ mouseButton: MouseBindings.Secondary }, { numTouchPoints: 2 }] });
  made.setToolActive(StackScrollTool.toolName, { bindings: [{ mouseButton: MouseBindings.Wheel }] });
}

function idOf(name: ToolName): string {
  return TOOLS[name] as string;
}
