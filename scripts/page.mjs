/** Bundles the page of `ebb inspect --html` into dist/inspect/, where it is inlined from. */
import { build } from 'esbuild';

await build({
  entryPoints: [
    { in: 'src/inspect/page/main.ts', out: 'page' },
    { in: 'src/inspect/page/page.css', out: 'page' },
  ],
  outdir: 'dist/inspect',
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  legalComments: 'none',
  logLevel: 'warning',
});
