/** @file The package as others get it: packed, installed from its tarball into a project of its own, type-checked there, and run. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../support/cli.ts';

const VERSIONS = ['5.7', '5.9', '7'] as const;
const QUIET = ['--prefer-offline', '--no-audit', '--no-fund'];

/** What a person writes who trains, loads and defines models, runs a compiled one, and adds an op. */
const USE = `
import { compile, defineModel, EbbError, finetune, linear, listAdapters, loadModel, makeOp, mseLoss, openDevice, openSession, silu, type TrainReport, unit } from 'ebb';
import { createEngine, type Device, openAdapter, type Program, webgpuDevice } from 'ebb/runtime';
import { openRun, type TrainerPackage, type TrainerRun, trainInPage } from 'ebb/trainer';

export async function tuned(): Promise<string> {
  const report: TrainReport = await finetune({ model: 'm', data: 'd.jsonl', lora: { rank: 4 }, drop: 0.5, onStep: ({ loss }) => console.log(loss.toFixed(3)) });
  const model = await loadModel('m', { adapter: report.out });
  let text = '';
  for await (const piece of model.generate('Tom has', { maxNewTokens: 3 })) text += piece;
  model.close();
  return text;
}
export const small = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 8] }, y: { dtype: 'f32', shape: ['B', 1] } },
  dims: { B: 4 },
  build: ({ x, y }) => mseLoss(linear('head', unit('layer', x, (z) => silu(linear('up', z, { inputs: 8, outputs: 8 }))), { inputs: 8, outputs: 1 }), y),
});
export const half = makeOp({
  name: 'half',
  kind: 'pointwise',
  operands: { x: 'f32' },
  infer: ({ x }) => x,
  evaluate: ({ x }) => ({ ...x, data: x.data.map((v) => v / 2) }),
  samples: [{ types: [{ dtype: 'f32', shape: [2] }] }],
});
export async function step(trainer: TrainerPackage): Promise<number> {
  const run: TrainerRun = await openRun(trainer, { data: 'b.safetensors', steps: 1 });
  for await (const { loss } of run.steps(run.batches)) return loss;
  return Number.NaN;
}
export const all = [compile, EbbError, listAdapters, openDevice, openSession, createEngine, openAdapter, webgpuDevice, trainInPage];
export type Both = readonly [Device, Program];
`;

const TSCONFIG = {
  compilerOptions: {
    noEmit: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: 'nodenext',
    target: 'es2023',
    types: [],
  },
  files: ['use.ts'],
};

jest.setTimeout(600_000);

let folder: string;
let project: string;
/** @throws Error with all that the command printed where it fails */
function run(command: string, args: readonly string[], cwd = project): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-package-'));
  project = join(folder, 'project');
  mkdirSync(project);
  // dist/ was built before the tests
  run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], ROOT);
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  expect(tarball).toBe(`ebb-${manifest.version}.tgz`);
  const devDependencies = Object.fromEntries(VERSIONS.map((version) => [`typescript-${version}`, `npm:typescript@~${version}`]));
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'project', private: true, type: 'module', devDependencies }));
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  writeFileSync(join(project, 'use.ts'), USE);
  run('npm', ['install', join(folder, tarball ?? ''), ...QUIET]);
});
afterAll(() => rmSync(folder, { recursive: true }));

it('prints its version', () => expect(run('npx', ['ebb', '--version']).trim()).toBe(manifest.version));

it.each(VERSIONS)('has types that TypeScript %s checks, all of them, without types of WebGPU or Node', (version) => {
  run(process.execPath, [join(project, 'node_modules', `typescript-${version}`, 'bin/tsc'), '-p', '.']);
});

it('holds the examples, the schema of run files, and what its messages refer to', () => {
  const installed = join(project, 'node_modules/ebb');
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const pages = sources.flatMap((name) => [...readFileSync(join(ROOT, 'src', name), 'utf8').matchAll(/(?<![\w/])docs\/[\w-]+\.md/g)].map(([page]) => page));
  expect(pages.length).toBeGreaterThan(5);
  for (const name of ['examples/mlp.ts', 'examples/library.ts', 'examples/demo/questions.jsonl', 'schema/run.json', ...pages])
    expect({ name, there: existsSync(join(installed, name)) }).toEqual({ name, there: true });
});

it('compiles trainers that run at once, and that npm installs and checks', () => {
  run('npx', ['ebb', 'compile', 'node_modules/ebb/examples/mlp.ts', '-o', 'trainer', '--target', 'portable']);
  const trainer = join(project, 'trainer');
  const links = readdirSync(trainer, { recursive: true, withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
  expect(links).toEqual([]);
  expect(run(process.execPath, ['trainer.js', '--help'], trainer)).toMatch(/trains mlp: 4 units/);
  run('npm', ['install', ...QUIET], trainer);
  run('npm', ['run', 'types'], trainer);
  expect(run(process.execPath, ['trainer.js', '--help'], trainer)).toMatch(/trains mlp: 4 units/);
});
