/** Tools that leave a mark: length, angle, regions, probe, arrow, text; their words and colours. */
import { annotation, AngleTool, ArrowAnnotateTool, BidirectionalTool, EllipticalROITool, LabelTool, LengthTool, ProbeTool, RectangleROITool } from '@cornerstonejs/tools';
import { t } from '../strings';

export const MEASURES = {
  length: { tool: LengthTool, label: () => t('Length') },
  bidirectional: { tool: BidirectionalTool, label: () => t('Two diameters') },
  angle: { tool: AngleTool, label: () => t('Angle') },
  ellipse: { tool: EllipticalROITool, label: () => t('Ellipse') },
  rectangle: { tool: RectangleROITool, label: () => t('Rectangle') },
  probe: { tool: ProbeTool, label: () => t('Value at a point') },
  arrow: { tool: ArrowAnnotateTool, label: () => t('Arrow') },
  text: { tool: LabelTool, label: () => t('Text') },
} as const;

export type MeasureName = keyof typeof MEASURES;

export function measureOf(toolName: string): MeasureName | undefined {
  return (Object.keys(MEASURES) as MeasureName[]).find((name) => MEASURES[name].tool.toolName === toolName);
}

type Ask = (before: string) => Promise<string | undefined>;

/** Settings of a tool: those that carry words ask for them in our own dialog. */
export function measureConfiguration(name: MeasureName, ask: Ask): Record<string, unknown> {
  if (name === 'arrow' || name === 'text') {
    return {
      getTextCallback: (done: (text: string | undefined) => void) => void ask('').then(done),
      changeTextCallback: (data: { readonly text?: string; readonly label?: string }, _event: unknown, done: (text: string | undefined) => void) =>
        void ask(data.text ?? data.label ?? '').then(done),
    };
  }
  if (name === 'ellipse' || name === 'rectangle') return { getTextLines: regionLines };
  return {};
}

interface RegionStats {
  readonly area?: number;
  readonly areaUnit?: string;
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
}

/** Mean, deviation, extremes and area of a region, in the unit of the pixels (HU for CT). */
export function regionLines(data: MeasureData, targetId: string): string[] | undefined {
  const stats = data.cachedStats?.[targetId] as RegionStats | undefined;
  if (stats?.mean === undefined || !Number.isFinite(stats.mean)) return undefined;
  const unit = tidyUnit(stats.modalityUnit);
  const lines = [
    t('Mean {value}', { value: `${round(stats.mean)}${unit}` }),
    t('SD {value}', { value: round(stats.stdDev) }),
    t('Min {min}  Max {max}', { min: round(stats.min), max: round(stats.max) }),
    area(stats.area, stats.areaUnit),
  ];
  return lines.filter(Boolean);
}

function area(value: number | undefined, unit = ''): string {
  if (value === undefined || !Number.isFinite(value)) return '';
  if (unit.startsWith('mm') && value >= 100) return `${(value / 100).toFixed(2)} cm²`;
  return `${round(value)} ${unit.replace('\xb2', '²')}`;
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
