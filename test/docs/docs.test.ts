/** @file What the documents say is so: keys, commands, files and examples exist. */

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Project, SyntaxKind } from 'ts-morph';
import { BLOCKS } from '../../src/formats/ggmlBlocks.ts';
import { runSchema } from '../../src/train/config.ts';
import { runJsonSchema } from '../../src/train/runKeys.ts';
import { ROOT } from '../support/cli.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const DOCS = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true })
    .map(String)
    .filter((f) => f.endsWith('.md'))
    .map((f) => `docs/${f}`),
];

it('docs/training.md names every key of a run', () => {
  const text = read('docs/training.md');
  for (const key of Object.keys(runSchema.shape)) expect(text).toContain(`\`${key}\``);
});

it('README.md names every type of a tensor in a GGUF file', () => {
  const text = read('README.md');
  for (const type of Object.keys(BLOCKS)) expect(text).toMatch(new RegExp(`\\b${type.toUpperCase()}\\b`));
});

it('docs/plan.md names every key of a plan, and every role and kind', () => {
  // what may be written, not what one plan happens to have
  const project = new Project({ skipAddingFilesFromTsConfig: true, compilerOptions: { strict: true } });
  const stored = ['src/runtime/planFile.ts', 'src/runtime/program.ts', 'src/cost.ts', 'src/formats/layout.ts'].map((file) =>
    project.addSourceFileAtPath(join(ROOT, file)),
  );
  // pieces that are no part of the file: a program's version is its `program`, kernels lie beside it, groups are made when a run begins
  const elsewhere = ['LoadedPlan', 'ParamGroup', 'GridAxis', 'ExpectedTensor', 'Layout', 'Described'];
  const declared = stored.flatMap((file) => [...file.getInterfaces(), ...file.getTypeAliases()].filter((d) => !elsewhere.includes(d.getName())));
  const keys = declared.flatMap((d) => d.getDescendantsOfKind(SyntaxKind.PropertySignature).map((p) => p.getName()));
  const words = declared.flatMap((d) => d.getDescendantsOfKind(SyntaxKind.StringLiteral).map((s) => s.getLiteralText()));
  const text = read('docs/plan.md');
  const named = new Set([...text.matchAll(/`([^`]+)`/g)].flatMap(([, code]) => code!.match(/[A-Za-z]\w*/g) ?? []));
  // dtypes and accesses say themselves; the keys of `Omit<…>` are no words of the file
  const plain = ['f32', 'i32', 'u32', 'read', 'read_write', 'pipelines', 'version', 'code'];
  expect([...new Set([...keys, ...words])].filter((key) => !named.has(key) && !plain.includes(key))).toEqual([]);
  expect(keys.length).toBeGreaterThan(60);
});

it.each(DOCS)('%s links to files that exist', (doc) => {
  for (const [, target] of read(doc).matchAll(/\]\((?!https?:)([^)#]+)\)/g))
    expect({ target, exists: existsSync(join(ROOT, dirname(doc), target!)) }).toEqual({ target, exists: true });
});

it('the rooms of docs/design.md are the folders of src/', () => {
  const text = read('docs/design.md');
  for (const name of readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((e) => e.isDirectory())) expect(text).toContain(`\`${name.name}/`);
});

it('the package holds what the demo reads', () => {
  const { files } = JSON.parse(read('package.json')) as { files: string[] };
  const packed = (path: string): boolean => files.some((f) => path === f || path.startsWith(`${f}/`));
  const used = ['demo/questions.jsonl', 'demo/held-out.jsonl', ...['config.json', 'model.safetensors', 'tokenizer.json'].map((f) => `tiny-llama/model/${f}`)];
  for (const path of used.map((f) => `examples/${f}`)) expect({ path, there: existsSync(join(ROOT, path)) && packed(path) }).toEqual({ path, there: true });
});

it('schema/run.json is what the schema of a run says', () => {
  expect(JSON.parse(read('schema/run.json'))).toEqual(JSON.parse(JSON.stringify(runJsonSchema())));
});

const losses = async (example: string, cwd: string): Promise<number[]> => {
  const { stdout } = await promisify(execFile)(join(ROOT, 'node_modules/.bin/tsx'), [join(ROOT, 'examples', example)], { cwd });
  return [...stdout.matchAll(/^step \d+:? loss ([\d.]+)/gm)].map((m) => Number(m[1]));
};

it('examples/engine.ts trains', async () => {
  const found = await losses('engine.ts', ROOT);
  expect(found[0]).toBeGreaterThan(4);
  expect(found.at(-1)).toBeLessThan(0.5);
});

it('examples/library.ts trains, in thirty lines', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ebb-example-'));
  const found = await losses('library.ts', folder);
  expect(found).toHaveLength(30);
  expect(found.at(-1)).toBeLessThan(found[0]! - 1);
  expect(existsSync(join(folder, 'runs/library/result/adapter_model.safetensors'))).toBe(true);
  rmSync(folder, { recursive: true });
  const lines = read('examples/library.ts').split('*/\n')[1]!.trim().split('\n');
  expect(lines.length).toBeLessThanOrEqual(30);
});
