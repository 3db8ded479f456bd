/** Imports may only point along the arrows of docs/design.md; this fails where one does not. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** Room → rooms (or one file of a room) it may import from; `:types` for type imports only. */
const ARROWS = {
  errors: [],
  cost: [],
  page: ['errors'],
  ir: ['cost', 'errors'],
  trace: ['ir', 'runtime:types', 'errors'],
  definition: ['trace', 'ir', 'errors'],
  models: ['trace', 'ir', 'formats:types', 'errors'],
  passes: ['ir', 'errors'],
  codegen: ['passes', 'ir', 'cost', 'runtime:types', 'runtime/program', 'runtime/plan', 'runtime/adapterKind', 'definition/strict', 'errors'],
  compile: ['trace', 'passes', 'codegen', 'ir', 'runtime', 'errors'],
  runtime: ['cost', 'formats/ggmlBlocks', 'formats/pieces', 'errors'],
  dropbp: ['errors'],
  formats: ['errors'],
  train: ['runtime', 'dropbp', 'errors'],
  node: ['runtime', 'errors'],
  tune: ['codegen', 'ir:types', 'runtime', 'node', 'errors'],
  inspect: ['compile', 'trace', 'codegen', 'ir', 'runtime', 'dropbp', 'page', 'errors'],
  analyze: ['dropbp', 'trainer', 'formats', 'page', 'errors'],
  trainer: ['train', 'runtime', 'dropbp', 'formats', 'node', 'errors'],
  session: ['compile', 'models', 'trace', 'ir:types', 'codegen:types', 'formats', 'runtime', 'train', 'trainer', 'errors'],
  generate: ['session', 'trainer', 'compile', 'models', 'formats', 'runtime', 'dropbp', 'errors'],
  cli: '*',
  index: '*',
};

const root = resolve('src');
const room = (file) => relative(root, file).split(/[\\/]/)[0].replace(/\.ts$/, '');
const files = readdirSync(root, { recursive: true })
  .map(String)
  .filter((f) => f.endsWith('.ts'));
const wrong = [];
for (const file of files) {
  const from = room(join(root, file));
  const allowed = ARROWS[from];
  const text = readFileSync(join(root, file), 'utf8');
  for (const [, kind, names, target] of text.matchAll(/^(?:import|export)\s+(type\s)?([^'"]*?)from\s+'(\.[^']+)';/gms)) {
    const to = room(resolve(dirname(join(root, file)), target));
    if (to === from || allowed === '*') continue;
    const typesOnly =
      kind !== undefined ||
      names
        .replace(/[{}\s]/g, '')
        .split(',')
        .filter(Boolean)
        .every((n) => /\btype\s/.test(names) && names.match(new RegExp(`type\\s+${n.replace(/^type/, '')}`)));
    const targetFile = relative(root, resolve(dirname(join(root, file)), target)).replace(/\.ts$/, '');
    if (allowed === undefined || !(allowed.includes(to) || allowed.includes(targetFile) || (typesOnly && allowed.includes(`${to}:types`))))
      wrong.push(`${file}: ${from} may not import ${to} (${target})`);
    if (to === 'cli') wrong.push(`${file}: nothing imports cli`);
  }
}
if (wrong.length > 0) {
  console.error(wrong.join('\n'));
  process.exit(1);
}
console.log(`${files.length} files, every import along its arrow`);
