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
  appearance: {
    slope: 1,
    intercept: -1024,
    inverted: false,
    aspect: 1,
    windows: [
      { center: 40, width: 400, function: 'SIGMOID', explanation: 'Abdomen' },
      { center: 1, width: 0 },
    ],
    spacing: { row: 0.7, column: 0.6, plane: 'detector', source: 'ImagerPixelSpacing' },
    letters: ['R', 'L', 'A', 'P'],
  },
  image_position_patient: [1, 2, 3],
  image_orientation_patient: [1, 0, 0, 0, 1, 0],
};

function manifest(...instances: object[]): ReturnType<typeof readManifest> {
  return readManifest({
    study: {
      study_instance_uid: '1',
      patient: { patient_name: 'A^B', patient_name_shown: 'A, B', patient_age: '58Y' },
    },
    series: [{ series_instance_uid: '2', modality: 'CT', series_number: 3, instances }],
  });
}

describe('the manifest', () => {
  it('gives one frame an instance, with what it needs to be shown', () => {
    const frame = manifest(CT).series[0]?.frames[0];
    expect(frame).toMatchObject({ imageId: 'filmroom:1.2.3/1', frame: 1 });
    expect(frame?.appearance).toMatchObject({
      slope: 1,
      intercept: -1024,
      windows: [{ center: 40, width: 400, function: 'SIGMOID', name: 'Abdomen' }],
    });
    expect(frame?.appearance).toMatchObject({
      spacing: { row: 0.7, column: 0.6, plane: 'detector' },
      letters: { left: 'R', right: 'L', top: 'A', bottom: 'P' },
    });
    expect(frame?.geometry).toMatchObject({ position: [1, 2, 3], row: [1, 0, 0], column: [0, 1, 0] });
    expect(frame?.instance.pixels).toMatchObject({ rows: 512, bitsStored: 12, signed: false });
  });

  it('lets a frame of a multi-frame object override its instance', () => {
    const frames = manifest({
      ...CT,
      number_of_frames: 2,
      per_frame: [{}, { image_position_patient: [0, 0, 9], appearance: { intercept: 5 } }],
    }).series[0]?.frames;
    expect(frames?.map((one) => one.geometry.position?.[2])).toEqual([3, 9]);
    expect(frames?.map((one) => one.appearance.intercept)).toEqual([-1024, 5]);
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
    const odd = {
      windows: 'none',
      spacing: { row: 'x' },
      letters: ['A'],
      regions: [{ bounds: [1] }],
      aspect: 4 / 3,
      partial: true,
    };
    const { geometry, appearance } = manifest({ ...CT, image_orientation_patient: [1], appearance: odd }).series[0]!
      .frames[0]!;
    expect(geometry.row).toBeUndefined();
    expect(appearance).toMatchObject({
      spacing: undefined,
      letters: undefined,
      regions: [],
      windows: [],
      partial: true,
      aspect: 4 / 3,
    });
  });

  it('gives the notice of a frame to that frame alone', () => {
    const frames = manifest({ ...CT, number_of_frames: 2, notices: [{ frame: 2, text: 'Incomplete.' }, 'odd'] })
      .series[0]?.frames;
    expect(frames?.map((one) => one.notice)).toEqual(['', 'Incomplete.']);
  });

  it('survives what is no manifest', () => {
    expect(readManifest(null).series).toEqual([]);
    expect(readManifest({ series: [null, 5] }).series).toHaveLength(2);
  });
});
