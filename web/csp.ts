// Cornerstone styles its texts with setAttribute('style', ...), which our CSP refuses; through CSSOM the same is allowed.
import type { Plugin } from 'vite';

const ATTRIBUTE = /(\w+)\.setAttribute\('style', (\w+)\);/g;

export function cspPlugin(): Plugin {
  return {
    name: 'filmroom-csp',
    transform(code, id) {
      if (!id.includes('@cornerstonejs/tools') || !code.includes("setAttribute('style'")) return undefined;
      return { code: code.replace(ATTRIBUTE, '$1.style.cssText = $2;'), map: null };
    },
  };
}
