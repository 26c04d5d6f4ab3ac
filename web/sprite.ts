// One sprite with just the icons that templates, TypeScript and pages name; an unknown name ends the build.
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Plugin } from 'vite';

const WEB = import.meta.dirname;
const ROOTS = [join(WEB, 'src'), resolve(WEB, '..', 'templates'), resolve(WEB, '..', 'app', 'pages')];
const TABLER = join(WEB, 'node_modules/@tabler/icons/icons/outline');
const OWN = join(WEB, 'icons');
// TypeScript and Python name them as icon('eye'), icon: 'eye', icon="eye"; comments may list them: icons: eye printer send.
const NAMED = /\bicon(?:_name)?\b["']?\s*[(=:]\s*["']([a-z0-9-]+)["']/g;
const LISTED = /\bicons:\s+([a-z0-9 -]+)/g;
// Templates hand them to macros: in a tag that calls one, every quoted word that is an icon counts.
const TAGS = /\{\{[\s\S]*?\}\}(?!\})|\{%[\s\S]*?%\}/g;
const CALLS = /\bui\.|\bicon\(/;
const QUOTED = /["']([a-z][a-z0-9-]+)["']/g;

function files(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => /\.(html|ts|py)$/.test(path) && statSync(path).isFile());
}

function names(): Map<string, string> {
  const found = new Map<string, string>([['filmroom', 'the brand']]);
  for (const path of ROOTS.flatMap(files)) {
    const text = readFileSync(path, 'utf8');
    for (const match of text.matchAll(NAMED)) found.set(match[1] ?? '', path);
    const tags = path.endsWith('.html') ? (text.match(TAGS) ?? []) : [];
    for (const tag of tags.filter((one) => CALLS.test(one)))
      for (const match of tag.matchAll(QUOTED))
        if (existsSync(join(TABLER, `${match[1] ?? ''}.svg`))) found.set(match[1] ?? '', path);
    for (const match of text.matchAll(LISTED))
      for (const name of (match[1] ?? '').trim().split(/\s+/)) found.set(name, path);
  }
  return found;
}

function symbol(name: string, where: string): string {
  const own = join(OWN, `${name}.svg`);
  const path = existsSync(own) ? own : join(TABLER, `${name}.svg`);
  if (!existsSync(path)) throw new Error(`There is no icon "${name}" (named in ${where}); see https://tabler.io/icons`);
  const body = /<svg[^>]*>([\s\S]*)<\/svg>/.exec(readFileSync(path, 'utf8'))?.[1] ?? '';
  const paths = body
    .replace(/<path stroke="none"[^>]*\/>/g, '')
    .replace(/\s+/g, ' ')
    .replace(/> </g, '><')
    .trim();
  return `<symbol id="${name}" viewBox="0 0 24 24">${paths}</symbol>`;
}

export function sprite(): string {
  const all = [...names()].sort(([a], [b]) => a.localeCompare(b)).map(([name, where]) => symbol(name, where));
  return `<svg xmlns="http://www.w3.org/2000/svg">${all.join('')}</svg>\n`;
}

export function spritePlugin(): Plugin {
  return {
    name: 'filmroom-sprite',
    buildStart() {
      for (const path of ROOTS.flatMap(files)) this.addWatchFile(path);
    },
    generateBundle() {
      this.emitFile({ type: 'asset', name: 'icons.svg', originalFileName: 'icons.svg', source: sprite() });
    },
  };
}
