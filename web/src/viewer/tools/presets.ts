/** Windows to choose from. A key keeps its preset in every study: 1 is the default window, 2 to 8 the reading windows of CT. */
import type { WindowPreset } from '../appearance';
import type { Cell } from '../cell';
import { t } from '../strings';

export interface Preset {
  /** In `data-action="preset:id"`; the key where there is one. */
  readonly id: string;
  readonly key: string;
  readonly name: string;
  /** Undefined for the default window. */
  readonly window: { readonly center: number; readonly width: number } | undefined;
}

/** Usual reading windows in Hounsfield units, on the keys 2 to 8 in this order. */
function hounsfieldPresets(): Preset[] {
  const windows: readonly (readonly [name: string, center: number, width: number])[] = [
    [t('Soft tissue'), 40, 400],
    [t('Lung'), -600, 1500],
    [t('Bone'), 300, 1500],
    [t('Brain'), 40, 80],
    [t('Abdomen'), 60, 400],
    [t('Mediastinum'), 50, 350],
    [t('Liver'), 80, 150],
  ];
  return windows.map(([name, center, width], at) => ({
    id: String(at + 2),
    key: String(at + 2),
    name,
    window: { center, width },
  }));
}

/** Menu of a cell: the default window, other windows of the header (without keys), those of its modality. */
export function presetsFor(cell: Cell): Preset[] {
  const { frame, series } = cell;
  if (!frame || cell.colour) return [];
  const others = frame.appearance.windows
    .slice(1)
    .flatMap((one, at) => (sameAsBefore(frame.appearance.windows, at + 1) ? [] : [ownPreset(one, at + 2)]));
  return [
    { id: '1', key: '1', name: t('Default window'), window: undefined },
    ...others,
    ...(series?.modality === 'CT' ? hounsfieldPresets() : []),
  ];
}

function ownPreset({ center, width, name }: WindowPreset, n: number): Preset {
  return { id: `own-${n}`, key: '', name: name || t('Window {n} of the image', { n }), window: { center, width } };
}

/** Scanners like to write the same window twice. */
function sameAsBefore(windows: readonly WindowPreset[], at: number): boolean {
  return windows
    .slice(0, at)
    .some(({ center, width }) => center === windows[at]?.center && width === windows[at]?.width);
}

/** Shows the cell in the preset `id`; keys of presets that the image does not have do nothing. */
export function applyPreset(cell: Cell, id: string): void {
  const preset = presetsFor(cell).find((one) => one.id === id);
  if (preset?.window) cell.setWindow(preset.window.center, preset.window.width);
  else if (preset) cell.useDefaultWindow();
}

/** The preset whose window the cell shows. */
export function presetShown(cell: Cell): Preset | undefined {
  const presets = presetsFor(cell);
  if (cell.opensAsStored) return presets[0];
  const window = cell.window();
  return presets.find((one) => window && one.window?.center === window.center && one.window.width === window.width);
}
