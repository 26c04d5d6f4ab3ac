import { describe, expect, it } from 'vitest';
import { readManifest } from './manifest-read';

const CT = {
  sop_instance_uid: '1.2.3',
  sop_class_uid: '1.2.840.10008.5.1.4.1.1.2',
  kind: 'image',
  transfer_syntax_uid: '1.2.840.10008.1.2.1',
  native: true,
  number_of_frames: 1,
  rows: 512,
  columns: 512,
  bits_allocated: 16,
  bits_stored: 12,
  high_bit: 11,
  pixel_representation: 0,
  photometric_interpretation: 'MONOCHROME2',
  rescale_slope: 1,
  rescale_intercept: -1024,
  windows: [{ center: 40, width: 400, explanation: 'Abdomen' }, { center: 1, width: 0 }],
  image_position_patient: [1, 2, 3],
  image_orientation_patient: [1, 0, 0, 0, 1, 0],
  pixel_spacing: [0.7, 0.7],
};

function manifest(...instances: object[]): ReturnType<typeof readManifest> {
  return readManifest({ study: { study_instance_uid: '1', patient: { patient_name: 'A^B' } }, series: [{ series_instance_uid: '2', modality: 'CT', series_number: 3, instances }] });
}

describe('the manifest', () => {
  it('gives one frame an instance, with what it needs to be shown', () => {
    const frame = manifest(CT).series[0]?.frames[0];
    expect(frame).toMatchObject({ imageId: 'filmroom:1.2.3/1', frame: 1, slope: 1, intercept: -1024, windows: [{ center: 40, width: 400, name: 'Abdomen' }] });
    expect(frame?.geometry).toMatchObject({ position: [1, 2, 3], row: [1, 0, 0], column: [0, 1, 0], spacing: [0.7, 0.7] });
    expect(frame?.instance.pixels).toMatchObject({ rows: 512, bitsStored: 12, signed: false });
  });

  it('lets a frame of a multi-frame object override its instance', () => {
    const frames = manifest({ ...CT, number_of_frames: 2, per_frame: [{}, { image_position_patient: [0, 0, 9], rescale_intercept: 5 }] }).series[0]?.frames;
    expect(frames?.map((one) => one.geometry.position?.[2])).toEqual([3, 9]);
    expect(frames?.map((one) => one.intercept)).toEqual([-1024, 5]);
  });

  it('keeps objects without an image out of the frames but in the series', () => {
    const series = manifest({ ...CT, kind: 'pdf' }, { ...CT, sop_instance_uid: '9' }).series[0];
    expect(series?.instances).toHaveLength(2);
    expect(series?.frames.map((one) => one.instanceIndex)).toEqual([1]);
  });

  it('takes the speed from the tags', () => {
    const fps = (extra: object): number | undefined => manifest({ ...CT, ...extra }).series[0]?.frames[0]?.instance.fps;
    expect(fps({ frame_time: 40 })).toBe(25);
    expect(fps({ frame_time: 40, cine_rate: 12 })).toBe(12);
    expect(fps({})).toBeUndefined();
  });

  it('does without spacing, orientation and windows, and with the shape of the pixels instead', () => {
    const { geometry, windows } = manifest({ ...CT, pixel_spacing: ['x', 1], image_orientation_patient: [1], windows: 'none', pixel_aspect_ratio: [4, 3] }).series[0]!.frames[0]!;
    expect(geometry.spacing).toBeUndefined();
    expect(geometry.row).toBeUndefined();
    expect(geometry.aspect).toBeCloseTo(4 / 3);
    expect(windows).toEqual([]);
  });

  it('survives what is no manifest', () => {
    expect(readManifest(null).series).toEqual([]);
    expect(readManifest({ series: [null, 5] }).series).toHaveLength(2);
  });
});
