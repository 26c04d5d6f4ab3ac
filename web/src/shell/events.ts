// Live events over one WebSocket: {id, topic, at, payload}. After a break it asks for what it missed by `since`.

export interface Event {
  id: number;
  topic: string;
  at: string;
  payload: Record<string, unknown>;
}
type Handler = (event: Event) => void;

const handlers = new Map<string, Set<Handler>>();
const links = new Set<(up: boolean) => void>();
let socket: WebSocket | undefined;
let last = 0;
let pause = 500;
let wanted = false;
let timer: number | undefined;

/** topic: an exact one, or a family as "study.*", or "*". Answers the way to stop. */
export function on(topic: string, handler: Handler): () => void {
  const set = handlers.get(topic) ?? new Set<Handler>();
  set.add(handler);
  handlers.set(topic, set);
  return () => set.delete(handler);
}

/** Says true when the stream is up, false when it is down. */
export function onLink(listener: (up: boolean) => void): void {
  links.add(listener);
}

export function matches(pattern: string, topic: string): boolean {
  return pattern === '*' || pattern === topic || (pattern.endsWith('.*') && topic.startsWith(pattern.slice(0, -1)));
}

function deliver(event: Event): void {
  if (typeof event.id === 'number') {
    if (event.id <= last) return;
    last = event.id;
  }
  for (const [pattern, set] of handlers) if (matches(pattern, event.topic)) for (const handler of set) handler(event);
}

export function connect(): void {
  wanted = true;
  if (socket && socket.readyState <= WebSocket.OPEN) return;
  const url = new URL('/api/v1/events', location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  if (last) url.searchParams.set('since', String(last));
  const mine = new WebSocket(url);
  socket = mine;
  mine.onopen = () => {
    pause = 500;
    for (const listener of links) listener(true);
  };
  mine.onmessage = (message: MessageEvent<string>) => deliver(JSON.parse(message.data) as Event);
  mine.onclose = () => {
    if (socket === mine) socket = undefined;
    for (const listener of links) listener(false);
    if (wanted) timer = window.setTimeout(connect, pause);
    pause = Math.min(pause * 1.7, 15_000);
  };
}

/** While the screen is locked the stream stops (SEC-3). */
export function disconnect(): void {
  wanted = false;
  window.clearTimeout(timer);
  socket?.close();
}
