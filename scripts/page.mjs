/** Bundles the pages of `ebb inspect --html` and `ebb analyze --html` into dist/, where they are inlined from, with the licences of what is bundled. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

for (const room of ['inspect', 'analyze']) {
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
  const notices = licences(Object.keys(metafile.inputs));
  if (notices !== '') writeFileSync(script, `/*!\n${notices}*/\n${readFileSync(script, 'utf8')}`);
}

/** The licence of every package that a bundle holds files of, each text once; pages are copies of them, and carry what they ask for. */
function licences(inputs) {
  const packages = new Set(inputs.map((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean));
  const texts = new Map();
  for (const folder of packages) {
    const file = readdirSync(folder).find((name) => /^licen[cs]e(\.\w+)?$/i.test(name));
    if (file === undefined) throw new Error(`${folder}: has no licence file, and a page holds a part of it`);
    const text = readFileSync(`${folder}/${file}`, 'utf8').trim();
    texts.set(text, [...(texts.get(text) ?? []), folder.replace(/^.*node_modules\//, '')]);
  }
  return [...texts].map(([text, names]) => `${names.join(', ')}:\n${text}\n\n`).join('');
}
