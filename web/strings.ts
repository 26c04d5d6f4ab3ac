// The English texts that the scripts say: every t('...') and tn('...', '...'). Listed in dist/strings.json, so that a page
// delivers only these of its language's catalogue; `make` extracts the same calls for the translators.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

const SRC = join(import.meta.dirname, 'src');
const CALL = /\bt\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")/g;
const PLURAL = /\btn\(\s*'((?:[^'\\]|\\.)*)'\s*,\s*'((?:[^'\\]|\\.)*)'/g;

export function strings(): string[] {
  const found = new Set<string>();
  for (const name of readdirSync(SRC, { recursive: true })
    .map(String)
    .filter((one) => one.endsWith('.ts'))) {
    const text = readFileSync(join(SRC, name), 'utf8');
    for (const match of text.matchAll(CALL)) found.add((match[1] ?? match[2] ?? '').replace(/\\(.)/g, '$1'));
    for (const match of text.matchAll(PLURAL))
      for (const one of [match[1], match[2]]) found.add((one ?? '').replace(/\\(.)/g, '$1'));
  }
  return [...found].sort();
}

export function stringsPlugin(): Plugin {
  return {
    name: 'filmroom-strings',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'strings.json', source: `${JSON.stringify(strings(), null, 1)}\n` });
    },
  };
}
