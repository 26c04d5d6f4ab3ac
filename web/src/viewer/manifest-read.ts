/** Turns the manifest's JSON into `Study`. Attributes that vary by frame are in `frames[n]` and override the instance's. */
import { readAppearance } from './appearance';
import { pageLocale } from './locale';
import { list, number, numbers, record, text, type Json } from './json';
import type { PixelSpec } from './loading/pixels';
import {
  imageIdOf,
  type Frame,
  type Geometry,
  type Instance,
  type Kind,
  type Series,
  type Study,
  type Vector,
} from './manifest';

const KINDS: readonly Kind[] = ['image', 'pdf', 'sr', 'waveform', 'video', 'presentation', 'other'];

export function readManifest(json: unknown): Study {
  const root = record(json);
  const study = record(root['study'] ?? root);
  const patient = record(study['patient'] ?? study);
  return {
    uid: text(study['study_instance_uid']),
    patientName: text(patient['patient_name_shown']),
    patientId: text(patient['patient_id']),
    patientSex: text(patient['patient_sex']),
    patientAge: ageWords(text(patient['patient_age'])),
    birthDate: text(patient['patient_birth_date']),
    description: text(study['study_description']),
    date: text(study['study_date']),
    time: text(study['study_time']),
    accession: text(study['accession_number']),
    institution: text(study['institution_name']),
    series: list(root['series'] ?? study['series']).map((one) => readSeries(record(one))),
  };
}

const UNITS: Readonly<Record<string, string>> = { Y: 'year', M: 'month', W: 'week', D: 'day' };

/** 58Y from the server -> "58 yrs", as on paper; a text that is not an age stays as it is. */
export function ageWords(age: string): string {
  const found = /^(\d{1,3})([YMWD])$/.exec(age);
  const unit = UNITS[found?.[2] ?? ''];
  if (!found || !unit) return age;
  return new Intl.NumberFormat(pageLocale(), { style: 'unit', unit, unitDisplay: 'short' }).format(Number(found[1]));
}

function readSeries(json: Json): Series {
  const rows = list(json['instances']).map(record);
  const instances = rows.map(readInstance);
  const frames: Frame[] = [];
  instances.forEach((instance, at) => {
    if (instance.kind !== 'image') return;
    const own = record(rows[at]);
    const perFrame = list(own['per_frame']);
    for (let n = 1; n <= instance.frames; n++)
      frames.push(readFrame(frames.length, instance, at, n, own, record(perFrame[n - 1])));
  });
  return {
    uid: text(json['series_instance_uid']),
    number: text(json['series_number']),
    modality: text(json['modality']),
    description: text(json['series_description']),
    bodyPart: text(json['body_part_examined']),
    instances,
    frames,
  };
}

function readInstance(json: Json): Instance {
  const kind = text(json['kind']) as Kind;
  const spacing = number(json['frame_time']);
  return {
    uid: text(json['sop_instance_uid']),
    sopClass: text(json['sop_class_uid']),
    sopClassName: text(json['sop_class_name']),
    kind: KINDS.includes(kind) ? kind : 'other',
    number: number(json['instance_number']),
    transferSyntax: text(json['transfer_syntax_uid']),
    native: json['native'] === true,
    frames: Math.max(1, number(json['number_of_frames']) ?? 1),
    pixels: readPixels(json),
    overlays: json['overlays'] === true,
    frameOfReference: text(json['frame_of_reference_uid']),
    fps:
      number(json['frames_per_second']) ??
      number(json['recommended_display_frame_rate']) ??
      number(json['cine_rate']) ??
      (spacing ? 1000 / spacing : undefined),
    acquired: [text(json['acquisition_date']), text(json['acquisition_time'])].join(' ').trim(),
    technique: techniqueOf(json),
  };
}

function readPixels(json: Json): PixelSpec {
  const allocated = number(json['bits_allocated']) ?? 0;
  const stored = number(json['bits_stored']) ?? allocated;
  return {
    rows: number(json['rows']) ?? 0,
    columns: number(json['columns']) ?? 0,
    samples: number(json['samples_per_pixel']) ?? 1,
    photometric: text(json['photometric_interpretation']) || 'MONOCHROME2',
    planar: number(json['planar_configuration']) === 1 ? 1 : 0,
    bitsAllocated: allocated,
    bitsStored: stored,
    highBit: number(json['high_bit']) ?? stored - 1,
    signed: number(json['pixel_representation']) === 1,
    slope: 1,
    intercept: 0,
  };
}

function readFrame(
  index: number,
  instance: Instance,
  instanceIndex: number,
  frame: number,
  own: Json,
  special: Json,
): Frame {
  const both: Json = { ...own, ...special };
  return {
    index,
    imageId: imageIdOf(instance.uid, frame),
    instance,
    instanceIndex,
    frame,
    geometry: readGeometry(both),
    appearance: readAppearance(own, special),
    notice: noticeOf(own, frame),
  };
}

/** The sentences of `notices` that belong to frame `frame` of an instance. */
function noticeOf(instance: Json, frame: number): string {
  const found = list(instance['notices'])
    .map(record)
    .filter((one) => number(one['frame']) === frame);
  return found.map((one) => text(one['text'])).join(' ');
}

function readGeometry(json: Json): Geometry {
  const orientation = numbers(json['image_orientation_patient'], 6);
  return {
    position: numbers(json['image_position_patient'], 3) as Vector | undefined,
    row: orientation?.slice(0, 3) as Vector | undefined,
    column: orientation?.slice(3, 6) as Vector | undefined,
    thickness: number(json['slice_thickness']),
  };
}

function techniqueOf(json: Json): string {
  const kv = number(json['kvp']);
  const current = number(json['x_ray_tube_current']);
  const parts = [text(json['station_name']), kv ? `${kv} kV` : '', current ? `${current} mA` : ''];
  return parts.filter(Boolean).join(' ');
}
