// Words of the page's language. The page delivers {"English": "Español"} in #i18n; a missing word stays English.

type Catalog = Record<string, string>;

let catalog: Catalog | undefined;

function load(): Catalog {
  if (catalog) return catalog;
  const text = document.getElementById('i18n')?.textContent ?? '{}';
  catalog = JSON.parse(text) as Catalog;
  return catalog;
}

/** The phrase in the page's language; `{name}` is replaced from `values`. */
export function t(english: string, values: Record<string, string | number> = {}): string {
  const phrase = load()[english] || english;
  return phrase.replace(/\{(\w+)\}/g, (whole, key: string) => {
    const value = values[key];
    return value === undefined ? whole : typeof value === 'number' ? number(value) : value;
  });
}

/** One phrase for exactly one, another for the rest; both may use `{n}`. */
export function tn(one: string, many: string, n: number, values: Record<string, string | number> = {}): string {
  return t(n === 1 ? one : many, { n, ...values });
}

export function number(value: number): string {
  return new Intl.NumberFormat(document.documentElement.lang || 'en').format(value);
}

/** 1234567 -> "1.2 MB" (powers of ten, as disks and modalities count). */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 1 && value < 10 ? 1 : 0;
  return `${new Intl.NumberFormat(document.documentElement.lang || 'en', { maximumFractionDigits: digits }).format(value)} ${units[unit] ?? ''}`;
}

/** A moment (milliseconds since 1970) as the time of day in the time zone of the site, 18:42; never the browser's zone. */
export function siteTime(at: number): string {
  const offset = Number(document.documentElement.dataset.utcOffset ?? 0); // minutes, from the server
  return new Date(at + offset * 60_000).toISOString().slice(11, 16);
}
