/** Words of the viewer go through here; the page delivers the catalog of its language as JSON in `#i18n`. */
let catalog: Record<string, string> | undefined;

export function t(english: string, values: Record<string, string | number> = {}): string {
  catalog ??= readCatalog();
  const template = catalog[english] ?? english;
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

function readCatalog(): Record<string, string> {
  const source = document.getElementById('i18n')?.textContent;
  return source ? (JSON.parse(source) as Record<string, string>) : {};
}
