/** Windows by modality. The window of the tags always comes first; these follow (keys 1 to 9 in this order). */
import type { Frame, Series, WindowPreset } from '../manifest';

/** Usual reading windows in Hounsfield units. */
const CT: readonly WindowPreset[] = [
  { name: 'Soft tissue', center: 40, width: 400 },
  { name: 'Lung', center: -600, width: 1500 },
  { name: 'Bone', center: 300, width: 1500 },
  { name: 'Brain', center: 40, width: 80 },
  { name: 'Abdomen', center: 60, width: 400 },
  { name: 'Mediastinum', center: 50, width: 350 },
  { name: 'Liver', center: 80, width: 150 },
];

export interface NamedWindow extends WindowPreset {
  /** From the image's own attributes, so its name is not ours to translate. */
  readonly own: boolean;
}

export function presetsFor(series: Series | undefined, frame: Frame | undefined): NamedWindow[] {
  const own = (frame?.windows ?? []).map((one) => ({ ...one, own: true }));
  const usual = series?.modality === 'CT' ? CT.map((one) => ({ ...one, own: false })) : [];
  return [...own, ...usual].slice(0, 9);
}
