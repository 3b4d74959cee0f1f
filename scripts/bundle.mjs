// Joins what the compiler wrote into few files, so that a command starts sooner: half of what `anyhop run` takes to load goes into finding
// and reading some 500 modules. dist/anyhop.js becomes dist/main.js; what only some commands need lies beside it, in parts.
//
// The compiler's own files stay: worker threads start from them, and tests import them. A module that asks where it lies
// (import.meta.url) is told the place of its own file.
import { readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

const DIST = resolve('dist');
/** They hold native code, or find files of their own. */
const APART = ['ffi-rs', 'cap', 'raw-socket', 'pino', 'pino-pretty', 'echarts', 'etcd3'];

const ownPlace = {
  name: 'own-place',
  setup({ onLoad }) {
    onLoad({ filter: /\/dist\/.*\.js$/ }, ({ path }) => {
      const place = `new URL('./${relative(DIST, path)}', import.meta.url).href`;
      return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', place) };
    });
  },
};

const { metafile } = await build({
  entryPoints: { main: 'dist/anyhop.js' },
  outdir: DIST,
  chunkNames: 'part-[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: APART,
  plugins: [ownPlace],
  metafile: true,
  logLevel: 'warning',
  // Modules of npm that are written for `require` ask for it.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
  },
});
// Only now, so that a program that runs from here finds its parts for as long as it can.
const written = new Set(Object.keys(metafile.outputs).map((path) => basename(path)));
for (const name of await readdir(DIST))
  if (/^part-.*\.js$/.test(name) && !written.has(name)) await rm(join(DIST, name));
