/** Windows by modality. The window of the tags always comes first; these follow (keys 1 to 9 in this order). */
import type { Frame, Series, WindowPreset } from '../manifest';
import { t } from '../strings';

/** Usual reading windows in Hounsfield units. */
function ctWindows(): WindowPreset[] {
  return [
    { name: t('Soft tissue'), center: 40, width: 400 },
    { name: t('Lung'), center: -600, width: 1500 },
    { name: t('Bone'), center: 300, width: 1500 },
    { name: t('Brain'), center: 40, width: 80 },
    { name: t('Abdomen'), center: 60, width: 400 },
    { name: t('Mediastinum'), center: 50, width: 350 },
    { name: t('Liver'), center: 80, width: 150 },
  ];
}

export interface NamedWindow extends WindowPreset {
  /** From the image's own attributes. */
  readonly own: boolean;
}

export function presetsFor(series: Series | undefined, frame: Frame | undefined): NamedWindow[] {
  const own = (frame?.windows ?? []).map((one) => ({ ...one, own: true }));
  const usual = series?.modality === 'CT' ? ctWindows().map((one) => ({ ...one, own: false })) : [];
  const all = [...own, ...usual];
  // Scanners like to write the same window twice.
  return all.filter((one, at) => all.findIndex((other) => other.center === one.center && other.width === one.width) === at).slice(0, 9);
}
