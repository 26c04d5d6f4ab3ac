/** One series on its way into memory: the stream in the background, single frames ahead of it when someone waits for them. */
import type { Frame, Series } from '../manifest';
import { readForm, readFrames, type Form, type FrameData } from './stream';

/** A frame this far ahead of the stream is worth its own request; nearer ones arrive sooner by themselves. */
const NEAR = 8;
/** Times a broken stream is taken up again where it stopped. */
const RETRIES = 3;
/** Milliseconds between two notices of progress. */
const TELL_EVERY = 120;

export type LoadState = 'loading' | 'loaded' | 'failed';

interface Waiting {
  readonly promise: Promise<FrameData>;
  readonly resolve: (data: FrameData) => void;
  readonly reject: (reason: Error) => void;
}

export class SeriesLoad {
  state: LoadState = 'loading';
  loaded = 0;
  /** Bytes that have arrived; encapsulated frames count as they are stored. */
  received = 0;
  private readonly frames: (FrameData | undefined)[];
  private readonly byKey = new Map<string, number>();
  private readonly waiting = new Map<number, Waiting>();
  private readonly listeners = new Set<() => void>();
  private readonly abort = new AbortController();
  /** Index of the frame that the stream brought last. */
  private streamAt = 0;
  private started = false;
  private telling: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly series: Series) {
    this.frames = new Array<FrameData | undefined>(series.frames.length);
    for (const [at, frame] of series.frames.entries()) this.byKey.set(`${frame.instanceIndex}/${frame.frame}`, at);
  }

  get total(): number {
    return this.series.frames.length;
  }

  has(index: number): boolean {
    return this.frames[index] !== undefined;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Begins to load, the frame `from` first, then on to the end and round to the rest. */
  start(from: number): void {
    if (this.started || this.total === 0) return;
    this.started = true;
    this.streamAt = from;
    void this.run(from);
  }

  /** The bytes of a frame, fetched before its turn when the stream is far from it. */
  frame(index: number): Promise<FrameData> {
    const here = this.frames[index];
    if (here) return Promise.resolve(here);
    const running = this.waiting.get(index);
    if (running) return running.promise;
    const waiting = defer();
    this.waiting.set(index, waiting);
    if (this.state !== 'loading' || !this.started || !this.soon(index)) void this.fetchOne(index);
    return waiting.promise;
  }

  /** Frees everything; waiting callers are rejected. */
  dispose(): void {
    this.abort.abort();
    clearTimeout(this.telling);
    this.frames.length = 0;
    for (const one of this.waiting.values()) one.reject(new DOMException(CLOSED, 'AbortError'));
    this.waiting.clear();
    this.listeners.clear();
  }

  private soon(index: number): boolean {
    const ahead = (index - this.streamAt + this.total) % this.total;
    return ahead <= NEAR;
  }

  private async run(from: number): Promise<void> {
    let start = from;
    for (let attempt = 0; attempt <= RETRIES; attempt++) {
      const before = this.loaded;
      let whole = true;
      try {
        await this.stream(start);
      } catch {
        if (this.abort.signal.aborted) return;
        whole = false;
      }
      if (this.loaded === this.total) return this.finish('loaded');
      // The server leaves out frames it cannot read: asking again would bring the same.
      if (whole && (this.loaded === before || attempt > 0)) break;
      for (const index of this.waiting.keys()) void this.fetchOne(index);
      start = this.firstMissing(this.streamAt);
      await pause(200 * 2 ** attempt, this.abort.signal);
      if (this.abort.signal.aborted) return;
    }
    await this.oneByOne();
    if (!this.abort.signal.aborted) this.finish(this.loaded === this.total ? 'loaded' : 'failed');
  }

  /** The slow way, when the stream does not come or leaves frames out. */
  private async oneByOne(): Promise<void> {
    for (let index = 0; index < this.total; index++) {
      if (this.abort.signal.aborted) return;
      if (!this.frames[index]) await this.fetchOne(index);
    }
  }

  private async stream(from: number): Promise<void> {
    const url = `/api/v1/series/${this.series.uid}/frames?from=${from}`;
    const response = await fetch(url, { signal: this.abort.signal, cache: 'no-store', credentials: 'same-origin' });
    if (!response.ok || !response.body) throw new Error(`series stream answered ${response.status}`);
    await readFrames(response.body, (header, bytes) => {
      const index = this.byKey.get(`${header.instance}/${header.frame}`);
      if (index === undefined) return;
      this.streamAt = index;
      this.keep(index, header.form, bytes as Uint8Array<ArrayBuffer>);
    });
  }

  private async fetchOne(index: number): Promise<void> {
    const frame = this.series.frames[index] as Frame;
    try {
      const url = `/api/v1/instances/${frame.instance.uid}/frames/${frame.frame}?form=viewer`;
      const response = await fetch(url, { signal: this.abort.signal, cache: 'no-store', credentials: 'same-origin' });
      if (!response.ok) throw new Error(`frame answered ${response.status}`);
      this.keep(
        index,
        readForm(Number(response.headers.get('x-frame-form') ?? NaN)),
        new Uint8Array(await response.arrayBuffer()),
      );
    } catch (reason) {
      this.waiting.get(index)?.reject(reason instanceof Error ? reason : new Error(String(reason)));
      this.waiting.delete(index);
    }
  }

  private keep(index: number, form: Form, bytes: Uint8Array<ArrayBuffer>): void {
    if (this.frames[index] || this.abort.signal.aborted) return;
    const data = { form, bytes };
    this.frames[index] = data;
    this.loaded += 1;
    this.received += bytes.byteLength;
    this.waiting.get(index)?.resolve(data);
    this.waiting.delete(index);
    if (this.loaded === this.total) this.finish('loaded');
    else this.tellSoon();
  }

  private finish(state: LoadState): void {
    if (this.state === state) return;
    this.state = state;
    this.tell();
  }

  private firstMissing(near: number): number {
    for (let step = 0; step < this.total; step++) {
      const index = (near + step) % this.total;
      if (!this.frames[index]) return index;
    }
    return 0;
  }

  /** A thousand frames a second must not mean a thousand changes of the page. */
  private tellSoon(): void {
    if (this.telling !== undefined) return;
    this.telling = setTimeout(() => this.tell(), TELL_EVERY);
  }

  private tell(): void {
    clearTimeout(this.telling);
    this.telling = undefined;
    for (const listener of this.listeners) listener();
  }
}

const CLOSED = 'The series was closed';

/** Whether a load was cancelled because its series was closed: leaving while images arrive is not an error. */
export function isClosed(fault: unknown): boolean {
  return fault instanceof DOMException && fault.name === 'AbortError' && fault.message === CLOSED;
}

function defer(): Waiting {
  let resolve!: (data: FrameData) => void;
  let reject!: (reason: Error) => void;
  const promise = new Promise<FrameData>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
