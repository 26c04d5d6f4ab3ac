import { describe, expect, it } from 'vitest';
import { Form, FrameAssembler, HEADER_BYTES, readFrames, readHeader, StreamError, type FrameHeader } from './stream';

function encode(
  frames: readonly (readonly [instance: number, frame: number, bytes: readonly number[]])[],
): Uint8Array<ArrayBuffer> {
  const parts = frames.map(([instance, frame, bytes]) => {
    const part = new Uint8Array(HEADER_BYTES + bytes.length);
    const view = new DataView(part.buffer);
    view.setUint32(0, instance, true);
    view.setUint32(4, frame, true);
    view.setUint32(8, bytes.length, true);
    view.setUint32(12, instance % 4, true);
    part.set(bytes, HEADER_BYTES);
    return part;
  });
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const FRAMES = [
  [0, 1, [1, 2, 3, 4, 5]],
  [7, 12, []],
  [3, 2, Array.from({ length: 300 }, (_, i) => i % 256)],
] as const;

function bytesIn(pieces: readonly Uint8Array<ArrayBuffer>[], type?: 'bytes'): ReadableStream<Uint8Array<ArrayBuffer>> {
  const source = {
    start(controller: ReadableStreamDefaultController | ReadableByteStreamController) {
      for (const piece of pieces) if (piece.length > 0) controller.enqueue(piece.slice());
      controller.close();
    },
  };
  return type
    ? new ReadableStream({ ...source, type } as UnderlyingByteSource)
    : new ReadableStream(source as UnderlyingDefaultSource<Uint8Array<ArrayBuffer>>);
}

function cut(whole: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer>[] {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < whole.length; at += size) pieces.push(whole.slice(at, at + size));
  return pieces;
}

async function collect(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<[FrameHeader, number[]][]> {
  const found: [FrameHeader, number[]][] = [];
  await readFrames(body, (header, bytes) => found.push([header, [...bytes]]));
  return found;
}

describe('the stream of a series', () => {
  const whole = encode(FRAMES);
  const wanted = FRAMES.map(([instance, frame, bytes]) => [
    { instance, frame, length: bytes.length, form: instance % 4 },
    [...bytes],
  ]);

  for (const size of [1, 7, HEADER_BYTES, 17, 64, whole.length]) {
    it(`comes out the same in pieces of ${size} bytes, through a byte reader and by copying`, async () => {
      expect(await collect(bytesIn(cut(whole, size), 'bytes'))).toEqual(wanted);
      expect(await collect(bytesIn(cut(whole, size)))).toEqual(wanted);
    });
  }

  it('is nothing at all for a series without frames', async () => {
    expect(await collect(bytesIn([], 'bytes'))).toEqual([]);
  });

  for (const missing of [1, 150, 305]) {
    it(`fails when ${missing} bytes are missing at the end, after handing out the whole frames`, async () => {
      const found: number[] = [];
      const reading = readFrames(bytesIn([whole.slice(0, whole.length - missing)], 'bytes'), (header) =>
        found.push(header.instance),
      );
      await expect(reading).rejects.toBeInstanceOf(StreamError);
      expect(found).toEqual(missing < 301 ? [0, 7] : [0]);
    });
  }

  it('refuses a form it does not know instead of reading rubbish', () => {
    const header = new Uint8Array(HEADER_BYTES);
    new DataView(header.buffer).setUint32(12, 256, true);
    expect(() => new FrameAssembler(() => undefined).push(header)).toThrow(StreamError);
  });

  it('gives each frame a buffer of its own that begins with its first byte', async () => {
    const buffers = new Set<ArrayBufferLike>();
    await readFrames(bytesIn([whole], 'bytes'), (_, bytes) => {
      expect(bytes.byteOffset).toBe(0);
      buffers.add(bytes.buffer);
    });
    expect(buffers.size).toBe(FRAMES.length);
  });

  it('reads a header at any offset', () => {
    const shifted = new Uint8Array(HEADER_BYTES + 5);
    shifted.set(whole.subarray(0, HEADER_BYTES), 5);
    expect(readHeader(shifted.buffer, 5)).toEqual({ instance: 0, frame: 1, length: 5, form: Form.Stored });
  });
});
