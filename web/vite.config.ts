import { resolve } from 'node:path';
import { defineConfig } from 'vite';
import { cspPlugin } from './csp.ts';
import { spritePlugin } from './sprite.ts';
import { stringsPlugin } from './strings.ts';

// Two entries: the shell (every page) and the viewer (loaded in idle time, kept warm). app/http/assets.py reads the manifest.
export default defineConfig({
  base: '/static/',
  worker: { format: 'es' },
  plugins: [spritePlugin(), stringsPlugin(), cspPlugin()],
  build: {
    target: 'es2022',
    // light-dark() must reach the browser as it is: compiled away, it is fixed at the root and a dark part of a light page stays light.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    assetsInlineLimit: 0,
    manifest: 'manifest.json',
    chunkSizeWarningLimit: 8000,
    rollupOptions: {
      input: {
        shell: resolve(import.meta.dirname, 'src/shell/main.ts'),
        viewer: resolve(import.meta.dirname, 'src/viewer/main.ts'),
      },
      preserveEntrySignatures: 'strict',
    },
  },
});
