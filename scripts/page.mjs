/** Bundles the pages of `ebb inspect --html`, `ebb analyze --html`, `ebb runs --html` and `ebb watch --html` into dist/, from where they are inlined, with the licences of the bundled packages. */
import { readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { licenceComment } from '../dist/session/licences.js';

for (const room of ['inspect', 'analyze', 'watch']) {
  const { metafile } = await build({
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
    metafile: true,
  });
  const script = `dist/${room}/page.js`;
  writeFileSync(script, `${licenceComment(Object.keys(metafile.inputs), '.')}${readFileSync(script, 'utf8')}`);
}
