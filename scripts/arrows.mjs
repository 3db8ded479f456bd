/** Checks that imports point along the arrows of docs/design.md, and that no files import each other in a circle. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** For each room the rooms, or single files, that it may import from. `:types` allows only type imports. */
const ARROWS = {
  errors: [],
  version: [],
  cost: [],
  issues: ['errors'],
  page: ['run:types', 'run/smoothed', 'errors'],
  ir: ['cost', 'codegen/kernel/expr', 'codegen/kernel/ir', 'codegen/kernel/numerics', 'errors'],
  trace: ['ir', 'runtime:types', 'errors'],
  definition: ['trace', 'ir', 'errors'],
  models: ['trace', 'ir', 'formats', 'errors'],
  passes: ['ir', 'errors'],
  codegen: [
    'passes',
    'ir',
    'cost',
    'runtime:types',
    'runtime/program',
    'runtime/planFile',
    'runtime/adapterKind',
    'runtime/deviceProfile',
    'runtime/matrices',
    'definition/strict',
    'errors',
  ],
  compile: ['trace', 'passes', 'codegen', 'ir', 'runtime', 'formats/json', 'issues', 'errors'],
  runtime: ['cost', 'formats/ggmlBlocks', 'formats/layout', 'formats/pieces', 'errors'],
  dropbp: ['errors'],
  formats: ['errors'],
  data: ['formats', 'errors'],
  tokenizer: ['formats', 'errors'],
  train: ['runtime', 'dropbp', 'data/fieldNames', 'issues', 'errors'],
  node: ['runtime', 'errors'],
  tune: ['codegen', 'ir:types', 'runtime', 'node', 'errors'],
  inspect: ['compile', 'trace', 'codegen', 'ir', 'runtime', 'dropbp', 'page', 'errors'],
  analyze: ['dropbp', 'run', 'train', 'runtime', 'formats', 'page', 'errors'],
  watch: ['run', 'formats', 'page', 'issues', 'errors'],
  run: ['train', 'runtime', 'data', 'dropbp', 'formats', 'tokenizer', 'node', 'issues', 'errors'],
  terminal: ['train:types', 'train/runKeys', 'run/progress', 'run/droppedShare', 'formats', 'errors'],
  trainer: ['run', 'terminal', 'train', 'runtime', 'formats', 'node', 'errors'],
  session: [
    'analyze',
    'codegen',
    'compile',
    'data',
    'definition',
    'dropbp',
    'formats',
    'inspect',
    'ir',
    'models',
    'node',
    'run',
    'runtime',
    'tokenizer',
    'trace',
    'train',
    'trainer',
    'tune',
    'watch',
    'issues',
    'version',
    'errors',
  ],
  cli: '*',
  index: '*',
};

const root = resolve('src');
const room = (file) => relative(root, file).split(/[\\/]/)[0].replace(/\.ts$/, '');
const files = readdirSync(root, { recursive: true })
  .map(String)
  .filter((f) => f.endsWith('.ts'));
const wrong = [];
/** For each file the files it imports, including those it imports types from. */
const imports = new Map();
for (const file of files) {
  const from = room(join(root, file));
  const allowed = ARROWS[from];
  const text = readFileSync(join(root, file), 'utf8');
  const found = [];
  for (const [, kind, names, target] of text.matchAll(/^(?:import|export)\s+(type\s)?([^'"]*?)from\s+'(\.[^']+)';/gms)) {
    const to = room(resolve(dirname(join(root, file)), target));
    const targetFile = relative(root, resolve(dirname(join(root, file)), target));
    found.push(targetFile);
    if (to === from || allowed === '*') continue;
    const typesOnly =
      kind !== undefined ||
      names
        .replace(/[{}]/g, '')
        .split(',')
        .map((name) => name.trim())
        .filter(Boolean)
        .every((name) => name.startsWith('type '));
    const arrows = [to, targetFile.replace(/\.ts$/, ''), ...(typesOnly ? [`${to}:types`] : [])];
    if (!arrows.some((arrow) => allowed?.includes(arrow))) wrong.push(`${file}: ${from} may not import ${to} (${target})`);
    if (to === 'cli') wrong.push(`${file}: nothing imports cli`);
  }
  imports.set(file, found);
}

/** Returns circles of imports, each as its files: for every file the first circle that is reached from it. */
function circles() {
  const free = new Set();
  const reached = (file, path) => {
    if (path.includes(file)) return path.slice(path.indexOf(file));
    if (free.has(file)) return null;
    for (const next of imports.get(file) ?? []) {
      const found = reached(next, [...path, file]);
      if (found) return found;
    }
    free.add(file);
    return null;
  };
  return files.map((file) => reached(file, [])).filter((found) => found !== null);
}
for (const members of new Set(circles().map((found) => found.sort().join(', ')))) wrong.push(`a circle of imports: ${members}`);

if (wrong.length > 0) {
  console.error(wrong.join('\n'));
  process.exit(1);
}
console.log(`${files.length} files, every import along its arrow, no circle`);
