// Calls of the REST interface: CSRF, problems (RFC 9457), and what happens when the session is locked or gone.

export interface Problem {
  type?: string;
  title?: string;
  status: number;
  detail?: string;
  hint?: string;
  code?: string;
}

export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title ?? `HTTP ${problem.status}`);
  }
}

export function csrf(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content ?? '';
}

type Listener = (problem: Problem) => void;
const refused: Listener[] = [];

/** Called when the session is locked or has ended. */
export function onRefused(listener: Listener): void {
  refused.push(listener);
}

export async function problemOf(response: Response): Promise<Problem> {
  try {
    const body = (await response.json()) as Partial<Problem>;
    return { ...body, status: response.status };
  } catch {
    return { status: response.status, title: response.statusText };
  }
}

export function announce(problem: Problem): void {
  for (const listener of refused) listener(problem);
}

export function isLocked(problem: Problem): boolean {
  return problem.status === 423 || (problem.type ?? '').includes('locked');
}

/** background: true for requests without user input (SEC-3). */
export async function request(
  method: string,
  url: string,
  body?: unknown,
  options: { background?: boolean; signal?: AbortSignal } = {},
): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', 'X-CSRF-Token': csrf() };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (options.background) headers['X-Background'] = '1';
  const init: RequestInit = { method, headers, credentials: 'same-origin' };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (options.signal) init.signal = options.signal;
  const response = await fetch(url, init);
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (isLocked(problem) || problem.status === 401) announce(problem);
  throw new ProblemError(problem);
}

export async function json<T>(
  method: string,
  url: string,
  body?: unknown,
  options: { background?: boolean } = {},
): Promise<T> {
  const response = await request(method, url, body, options);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** A fragment of a page. */
export async function html(url: string, background = false): Promise<string> {
  const headers: Record<string, string> = { Accept: 'text/html', 'HX-Request': 'true', 'HX-Request-Type': 'partial' };
  if (background) headers['X-Background'] = '1';
  const response = await fetch(url, { headers, credentials: 'same-origin' });
  if (!response.ok) {
    const problem: Problem = { status: response.status };
    if (isLocked(problem) || problem.status === 401) announce(problem);
    throw new ProblemError(problem);
  }
  return response.text();
}

interface Job {
  id: string;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  progress?: { done: number; total: number };
  error?: string | { detail?: string; title?: string } | null;
}

/** Follows long work (202 + Location) until it ends; `step` hears every change. */
export async function follow<T extends Job>(location: string, step: (job: T) => void): Promise<T> {
  for (let pause = 150; ; pause = Math.min(pause * 1.4, 2000)) {
    const job = await json<T>('GET', location, undefined, { background: true });
    step(job);
    if (job.state !== 'queued' && job.state !== 'running') return job;
    await new Promise((done) => setTimeout(done, pause));
  }
}

export function reason(job: Pick<Job, 'error'>): string {
  if (!job.error) return '';
  return typeof job.error === 'string' ? job.error : (job.error.detail ?? job.error.title ?? '');
}
