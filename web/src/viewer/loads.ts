/** The series in memory: one load per series, the least recently shown leave first when memory gets short. */
import { attach, detach, forgetFallbacks } from './loading/image';
import { SeriesLoad } from './loading/load';
import { forgetAll, remember } from './loading/metadata';
import type { Series } from './manifest';

/** Series that are not on the screen stay for a quick return while all together stay below this. */
const KEEP_BYTES = 1.5 * 1024 ** 3;

export class Loads {
  /** In order of last use, newest last. */
  private readonly byUid = new Map<string, SeriesLoad>();

  constructor(private readonly changed: (load: SeriesLoad) => void) {}

  get(uid: string): SeriesLoad | undefined {
    return this.byUid.get(uid);
  }

  /** The load of `series`, begun at frame `from` when it is new; `shown` are the series that must not be freed. */
  open(series: Series, from: number, shown: ReadonlySet<string>): SeriesLoad {
    const known = this.byUid.get(series.uid);
    const load = known ?? new SeriesLoad(series);
    this.byUid.delete(series.uid);
    this.byUid.set(series.uid, load);
    if (!known) {
      load.onChange(() => this.changed(load));
      remember(series);
      attach(load);
      load.start(from);
    }
    this.free(new Set([...shown, series.uid]));
    return load;
  }

  close(): void {
    for (const [uid, load] of this.byUid) this.drop(uid, load);
    forgetAll();
    forgetFallbacks();
  }

  private free(keep: ReadonlySet<string>): void {
    let total = 0;
    for (const load of this.byUid.values()) total += load.received;
    for (const [uid, load] of this.byUid) {
      if (total <= KEEP_BYTES) return;
      if (keep.has(uid)) continue;
      total -= load.received;
      this.drop(uid, load);
    }
  }

  private drop(uid: string, load: SeriesLoad): void {
    load.dispose();
    detach(uid);
    this.byUid.delete(uid);
  }
}
