/** User Timing marks and `document.body.dataset.viewer`: what outside checks measure (DESIGN part 2). */
export type ViewerState = 'loading' | 'image' | 'loaded' | 'failed';

type MarkName = 'filmroom:preview' | 'filmroom:first-image' | 'filmroom:all-loaded';

const MARKS: readonly MarkName[] = ['filmroom:preview', 'filmroom:first-image', 'filmroom:all-loaded'];

export function say(state: ViewerState): void {
  document.body.dataset['viewer'] = state;
}

export function silence(): void {
  delete document.body.dataset['viewer'];
}

/** Each mark once per opened series. */
export function mark(name: MarkName, at?: number): void {
  if (performance.getEntriesByName(name, 'mark').length > 0) return;
  performance.mark(name, at === undefined ? {} : { startTime: at });
}

export function clearMarks(): void {
  for (const name of MARKS) performance.clearMarks(name);
}

/** Marks `filmroom:preview` when the picture in the page has been painted; exactly so where the browser reports it. */
export function markPreview(picture: HTMLImageElement | null): void {
  if (!picture) return;
  const arrived = (): void => {
    const entry = performance.getEntriesByName(picture.currentSrc, 'resource').at(-1) as
      | PerformanceResourceTiming
      | undefined;
    mark('filmroom:preview', entry && entry.responseEnd > 0 ? entry.responseEnd : undefined);
  };
  if (picture.complete && picture.naturalWidth > 0) arrived();
  else picture.addEventListener('load', arrived, { once: true });
}
