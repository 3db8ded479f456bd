/** Bundles the pages of `ebb inspect --html` and `ebb analyze --html` into dist/, where they are inlined from. */
import { build } from 'esbuild';

for (const room of ['inspect', 'analyze'])
  await build({
    entryPoints: [
      { in: `src/${room}/page/main.ts`, out: 'page' },
      { in: `src/${room}/page/page.css`, out: 'page' },
    ],
    outdir: `dist/${room}`,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    legalComments: 'none',
    logLevel: 'warning',
  });
