/** Tools that leave a mark: length, angle, regions, probe, arrow, text; their words and colours. */
import {
  annotation,
  AngleTool,
  ArrowAnnotateTool,
  BidirectionalTool,
  EllipticalROITool,
  LabelTool,
  LengthTool,
  ProbeTool,
  RectangleROITool,
} from '@cornerstonejs/tools';
import { frameOf, pixelAt } from '../loading/metadata';
import type { Frame } from '../manifest';
import { t } from '../strings';
import { areaText, lengthText, type Pixel } from './lengths';

export const MEASURES = {
  length: { tool: LengthTool, label: () => t('Length') },
  bidirectional: { tool: BidirectionalTool, label: () => t('Bidirectional') },
  angle: { tool: AngleTool, label: () => t('Angle') },
  ellipse: { tool: EllipticalROITool, label: () => t('Ellipse') },
  rectangle: { tool: RectangleROITool, label: () => t('Rectangle') },
  probe: { tool: ProbeTool, label: () => t('Probe') },
  arrow: { tool: ArrowAnnotateTool, label: () => t('Arrow') },
  text: { tool: LabelTool, label: () => t('Text') },
} as const;

export type MeasureName = keyof typeof MEASURES;

export function measureOf(toolName: string): MeasureName | undefined {
  return (Object.keys(MEASURES) as MeasureName[]).find((name) => MEASURES[name].tool.toolName === toolName);
}

type Ask = (before: string) => Promise<string | undefined>;

/** Settings of a tool: those with text ask for it in a dialog of the application. */
export function measureConfiguration(name: MeasureName, ask: Ask): Record<string, unknown> {
  if (name === 'arrow' || name === 'text') {
    return {
      getTextCallback: (done: (text: string | undefined) => void) => void ask('').then(done),
      changeTextCallback: (
        data: { readonly text?: string; readonly label?: string },
        _event: unknown,
        done: (text: string | undefined) => void,
      ) => void ask(data.text ?? data.label ?? '').then(done),
    };
  }
  if (name === 'ellipse' || name === 'rectangle')
    return { getTextLines: (data: MeasureData, targetId: string) => regionLines(data, targetId, name) };
  if (name === 'length' || name === 'bidirectional') return { getTextLines: lengthLines };
  return {};
}

interface RegionStats {
  readonly mean?: number;
  readonly stdDev?: number;
  readonly min?: number;
  readonly max?: number;
  readonly modalityUnit?: string;
}

export interface MeasureData {
  readonly text?: string;
  readonly label?: string;
  readonly cachedStats?: Readonly<Record<string, unknown>>;
  readonly handles?: { readonly points?: readonly (readonly number[])[] };
}

/** The length of a line, the two lengths of a bidirectional measurement; undefined while the frame is not known. */
export function lengthLines(data: MeasureData, targetId: string): string[] | undefined {
  const frame = frameOfTarget(targetId);
  const points = data.handles?.points ?? [];
  if (!frame || points.length < 2) return undefined;
  const pixels = points.map((one) => pixelAt(frame, one));
  const pairs =
    pixels.length < 4
      ? [[0, 1]]
      : [
          [0, 1],
          [2, 3],
        ];
  return pairs.map(([from, to]) => lengthText(frame, pixels[from as number] as Pixel, pixels[to as number] as Pixel));
}

/** Cornerstone names what a value belongs to "imageId:" and the image; its rectangle tool hands over a list of one. */
function frameOfTarget(targetId: string | readonly string[]): Frame | undefined {
  return frameOf(String(targetId).replace(/^imageId:/, ''));
}

/** Mean, deviation, extremes and area of a region, in the unit of the pixels (HU for CT). */
export function regionLines(data: MeasureData, targetId: string, name: 'ellipse' | 'rectangle'): string[] | undefined {
  const stats = data.cachedStats?.[targetId] as RegionStats | undefined;
  if (stats?.mean === undefined || !Number.isFinite(stats.mean)) return undefined;
  const unit = tidyUnit(stats.modalityUnit);
  const lines = [
    t('Mean {value}', { value: `${round(stats.mean)}${unit}` }),
    t('SD {value}', { value: round(stats.stdDev) }),
    t('Min {min}  Max {max}', { min: round(stats.min), max: round(stats.max) }),
    areaLine(data, targetId, name),
  ];
  return lines.filter(Boolean);
}

function areaLine(data: MeasureData, targetId: string, name: 'ellipse' | 'rectangle'): string {
  const frame = frameOfTarget(targetId);
  const points = data.handles?.points ?? [];
  if (!frame || points.length < 4) return '';
  return areaText(
    frame,
    points.map((one) => pixelAt(frame, one)),
    name === 'ellipse' ? Math.PI / 4 : 1,
  );
}

function tidyUnit(unit = ''): string {
  return unit && unit !== 'raw' ? ` ${unit}` : '';
}

function round(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '–';
  return String(Number(value.toFixed(Math.abs(value) < 10 ? 2 : 1))).replace('-', '−');
}

/** Marks in the colours of the page, whatever its theme. */
export function styleMarks(root: HTMLElement): void {
  const colours = getComputedStyle(root);
  const mark = colours.getPropertyValue('--mark').trim() || '#5ee0c0';
  const chosen = colours.getPropertyValue('--mark-active').trim() || '#ffd84d';
  const usual = annotation.config.style.getDefaultToolStyles();
  annotation.config.style.setDefaultToolStyles({
    ...usual,
    global: {
      ...usual.global,
      color: mark,
      colorHighlighted: chosen,
      colorSelected: chosen,
      lineWidth: '1.5',
      textBoxColor: mark,
      textBoxColorHighlighted: chosen,
      textBoxColorSelected: chosen,
      textBoxFontFamily: colours.fontFamily,
      textBoxFontSize: '13px',
      textBoxLinkLineColor: mark,
      textBoxLinkLineDash: '2,3',
      shadow: true,
    },
  });
}
