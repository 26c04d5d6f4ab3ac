/** Descriptions of frames whose header has look-up tables or no window: asked for once, before their first picture. */
import { readDescription, type Description } from '../appearance';
import type { Frame } from '../manifest';

const known = new Map<string, Description>();
const asked = new Map<string, Promise<Description>>();

/** Initial display of a frame, from the manifest or from the server. Rejects when the server cannot return it. */
export function describe(frame: Frame): Promise<Description> {
  const here = descriptionOf(frame);
  if (here) return Promise.resolve(here);
  const running = asked.get(frame.imageId) ?? ask(frame);
  asked.set(frame.imageId, running);
  return running;
}

/** The same where it is known already. */
export function descriptionOf(frame: Frame): Description | undefined {
  if (!frame.appearance.partial)
    return { window: frame.appearance.windows[0], modalityLut: undefined, voiLut: undefined };
  return known.get(frame.imageId);
}

export function forgetDescriptions(): void {
  known.clear();
  asked.clear();
}

async function ask(frame: Frame): Promise<Description> {
  try {
    const response = await fetch(`/api/v1/instances/${frame.instance.uid}/frames/${frame.frame}/appearance`, {
      credentials: 'same-origin',
    });
    if (!response.ok) throw new Error(`appearance answered ${response.status}`);
    const found = readDescription(await response.json());
    known.set(frame.imageId, found);
    return found;
  } finally {
    asked.delete(frame.imageId);
  }
}
