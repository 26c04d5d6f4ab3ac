/**
 * The single stream of a series: `GET /api/v1/series/{uid}/frames`.
 *
 * Per frame a header of 16 bytes, little endian (uint32 index of the instance in the series, uint32 frame number from 1,
 * uint32 length, uint32 form), then that many bytes. The server sends a frame as it is stored only where the decoders of
 * the browser are proven to give the right values, else decoded (app/imaging/browser.py).
 * One response instead of one request per frame: 1000 CT frames take 0.8 to 1.2 s that way, 5 to 9.5 s one by one.
 */
export const HEADER_BYTES = 16;

/** How the bytes of a frame are to be read: `Form` of app/imaging/browser.py. */
export enum Form {
  /** Native in little endian, or one encapsulated frame. */
  Stored = 0,
  /** Stored values, little endian, as many bytes each as they need. */
  Integers = 1,
  /** The same as floats of 32 bits. */
  Floats = 2,
  /** 8 bits by pixel. */
  Rgb = 3,
}

export interface FrameData {
  readonly form: Form;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface FrameHeader {
  readonly instance: number;
  readonly frame: number;
  readonly length: number;
  readonly form: Form;
}

export type FrameSink = (header: FrameHeader, bytes: Uint8Array) => void;

export class StreamError extends Error {
  override readonly name = 'StreamError';
}

/** Reads one header. `at` is the offset of its first byte. */
export function readHeader(buffer: ArrayBuffer, at: number): FrameHeader {
  const view = new DataView(buffer, at, HEADER_BYTES);
  const form = readForm(view.getUint32(12, true));
  return { instance: view.getUint32(0, true), frame: view.getUint32(4, true), length: view.getUint32(8, true), form };
}

/** Throws for what this page does not know: the server may be newer, or the stream is damaged. */
export function readForm(form: number): Form {
  if (!Number.isInteger(form) || form < Form.Stored || form > Form.Rgb)
    throw new StreamError(`unknown form ${form} of a frame`);
  return form;
}

/**
 * Puts frames together from pieces of any size. The caller asks `wanted()` for the region to fill next and reports with
 * `filled(view)`. Each frame gets a buffer of its own, so a frame can be freed alone; the header of the next frame is read
 * into the same buffer behind the pixels, which saves one read per frame.
 */
export class FrameAssembler {
  private buffer = new ArrayBuffer(HEADER_BYTES);
  private at = 0;
  private header: FrameHeader | undefined;

  constructor(private readonly sink: FrameSink) {}

  /** The free rest of the present buffer, never empty. */
  wanted(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.buffer, this.at);
  }

  /** `view` lies where `wanted()` pointed and holds what came; its buffer may be another object (a BYOB reader moves it). */
  filled(view: Uint8Array<ArrayBuffer>): void {
    this.buffer = view.buffer;
    this.at += view.byteLength;
    if (this.at === this.buffer.byteLength) this.complete();
  }

  /** Copies a piece that lies elsewhere (browsers without byte streams). */
  push(piece: Uint8Array): void {
    let from = 0;
    while (from < piece.byteLength) {
      const target = this.wanted();
      const take = Math.min(target.byteLength, piece.byteLength - from);
      target.set(piece.subarray(from, from + take));
      this.filled(target.subarray(0, take));
      from += take;
    }
  }

  /** The stream has ended: hands out the last frame; throws when it broke off inside one. */
  end(): void {
    const { header } = this;
    if (!header && this.at === 0) return;
    if (header && this.at === header.length) {
      this.header = undefined;
      this.at = 0;
      this.sink(header, new Uint8Array(this.buffer, 0, header.length));
      this.buffer = new ArrayBuffer(HEADER_BYTES);
      return;
    }
    throw new StreamError('the stream broke off inside a frame');
  }

  private complete(): void {
    const done = this.header;
    const bytes = this.buffer;
    const next = readHeader(bytes, done?.length ?? 0);
    this.header = next;
    this.buffer = new ArrayBuffer(next.length + HEADER_BYTES);
    this.at = 0;
    if (done) this.sink(done, new Uint8Array(bytes, 0, done.length));
  }
}

/** Reads a whole response into frames, with a byte reader where the browser has one (Chromium, Firefox), else by copying. */
export async function readFrames(body: ReadableStream<Uint8Array<ArrayBuffer>>, sink: FrameSink): Promise<void> {
  const assembler = new FrameAssembler(sink);
  let reader: ReadableStreamBYOBReader;
  try {
    reader = body.getReader({ mode: 'byob' });
  } catch {
    return readByCopy(body, assembler);
  }
  for (;;) {
    const { done, value } = await reader.read(assembler.wanted());
    // Also an empty view must come back: reading has moved the buffer into it.
    if (value) assembler.filled(value);
    if (done) {
      assembler.end();
      return;
    }
  }
}

async function readByCopy(body: ReadableStream<Uint8Array<ArrayBuffer>>, assembler: FrameAssembler): Promise<void> {
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      assembler.end();
      return;
    }
    assembler.push(value);
  }
}
