// The page's build: hashed files below assets/, each with its .br and .gz beside it, and an
// index.html whose markers the worker fills in at each request.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const COMPRESSED = /\.(js|css|svg)$/;
const LARGE = 1 << 20; // past this the best brotli costs more seconds than it saves bytes

function precompress(): Plugin {
  let out = '';
  return {
    name: 'precompress',
    apply: 'build',
    configResolved(config) {
      out = config.build.outDir;
    },
    async closeBundle() {
      const files = await readdir(join(out, 'assets'));
      await Promise.all(
        files
          .filter((name) => COMPRESSED.test(name))
          .map(async (name) => {
            const path = join(out, 'assets', name);
            const text = await readFile(path);
            if (text.length < 1024) return;
            const quality = text.length > LARGE ? 6 : 10;
            const params = { [constants.BROTLI_PARAM_QUALITY]: quality };
            await writeFile(`${path}.br`, await promisify(brotliCompress)(text, { params }));
            await writeFile(`${path}.gz`, await promisify(gzip)(text, { level: 8 }));
          }),
      );
    },
  };
}

// KaTeX names each font in three formats; every browser that this page runs in takes the first.
function woff2Only(): Plugin {
  return {
    name: 'woff2-only',
    enforce: 'pre',
    transform(code, id) {
      if (!/katex\.min\.css/.test(id)) return undefined;
      return code.replace(/,url\([^)]*\.(woff|ttf)\) format\("\w+"\)/g, '');
    },
  };
}

// Icons that an app names come from lucide, which has some 1,700: as data, in one module for each
// letter, so that a page fetches a few kilobytes for them and not all.
const ICONS = 'virtual:icons/';

function icons(): Plugin {
  const folder = new URL('./node_modules/lucide-react/dist/esm/icons/', import.meta.url);
  const drawing = async (file: string): Promise<unknown> => {
    const alias = /export \{ default \} from '.\/(.+)'/.exec(await readFile(new URL(file, folder), 'utf8'))?.[1];
    if (alias) return drawing(alias);
    return ((await import(new URL(file, folder).href)) as { __iconData?: { node: unknown } }).__iconData?.node;
  };
  return {
    name: 'icons',
    resolveId: (id) => (id.startsWith(ICONS) ? `\0${id}` : undefined),
    async load(id) {
      if (!id.startsWith(`\0${ICONS}`)) return undefined;
      const letter = id.at(-1)!;
      if (letter === '*') {
        const entries = [...'abcdefghijklmnopqrstuvwxyz'].map((one) => `${one}: () => import('${ICONS}${one}')`);
        return `export default { ${entries.join(', ')} };`;
      }
      const files = (await readdir(folder)).filter((name) => name.startsWith(letter) && name.endsWith('.mjs'));
      const nodes = await Promise.all(files.map(async (file) => [file.slice(0, -4), await drawing(file)]));
      return `export default ${JSON.stringify(Object.fromEntries(nodes))};`;
    },
  };
}

export default defineConfig({
  plugins: [react(), icons(), woff2Only(), precompress()],
  // The client library shows toasts by sonner, which writes a style element into the page; ours
  // uses the page's own style sheet and keeps to a strict content security policy.
  // Of lodash it takes two small functions.
  resolve: {
    alias: {
      sonner: new URL('./src/toast.tsx', import.meta.url).pathname,
      lodash: new URL('./src/lodash.ts', import.meta.url).pathname,
    },
  },
  build: {
    outDir: process.env.CLRUN_UI_OUT ?? 'dist',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 6000,
    reportCompressedSize: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      // zod has comments for other bundlers, at places that Rollup does not read.
      onwarn: (warning, warn) => warning.code !== 'INVALID_ANNOTATION' && warn(warning),
      output: {
        manualChunks: (id) => (/node_modules\/(react|react-dom|scheduler|recoil)\//.test(id) ? 'react' : undefined),
      },
    },
  },
  // index.html names its files from the root, where the worker puts the root path before them; a
  // script names others from where it stands itself.
  experimental: {
    renderBuiltUrl: (_name, { hostType }) => (hostType === 'html' ? undefined : { relative: true }),
  },
});
