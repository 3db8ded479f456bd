/** @file Every command on models without their weights: what compile, inspect, plan and check make of them, and how all others refuse them. */

import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesSource } from '../../src/formats/bytes.ts';
import { parseGguf } from '../../src/formats/gguf.ts';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { headerEnd, PREFIX } from '../../src/formats/safetensorsHeader.ts';
import { type CliRun, errorsIn, ROOT, runCli, TINY_MODEL } from '../support/cli.ts';
import { runNode } from '../support/node.ts';
import { storedConfig, writeStoredGguf } from '../support/storedModels.ts';

let scratch: string;
const at = (...names: string[]): string => join(scratch, ...names);
const QUESTIONS = join(ROOT, 'examples/demo/questions.jsonl');
const MLP = join(ROOT, 'examples/mlp.ts');

/** Three models by what is there of them; the same model's files are called alike, as compiled folders name them. */
const MODELS = { 'a configuration': ['config', 'tiny'], 'a safetensors header': ['safetensors', 'tiny'], 'a GGUF header': ['gguf', 'tiny.gguf'] } as const;
type Kind = keyof typeof MODELS;
const KINDS = Object.keys(MODELS) as Kind[];
const pathOf = (kind: Kind): string => at(...MODELS[kind]);
/** What each lacks, as it is said. */
const LACKS: Readonly<Record<Kind, RegExp>> = {
  'a configuration': /config[/\\]tiny: holds no weights Ebb reads, expected model\.safetensors or model\.safetensors\.index\.json/,
  'a safetensors header': /tiny[/\\]model\.safetensors: has \d+ of \d+ bytes: the data of 56 of its 56 tensors is not all there/,
  'a GGUF header': /tiny\.gguf: has \d+ of \d+ bytes: the data of 12 of its 12 tensors is not all there/,
};

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-headers-'));
  mkdirSync(at('config', 'tiny'), { recursive: true });
  copyFileSync(join(TINY_MODEL, 'config.json'), at('config', 'tiny', 'config.json'));
  for (const name of ['whole', 'safetensors']) cpSync(TINY_MODEL, at(name, 'tiny'), { recursive: true });
  const weights = readFileSync(join(TINY_MODEL, 'model.safetensors'));
  writeFileSync(at('safetensors', 'tiny', 'model.safetensors'), weights.subarray(0, headerEnd('m', weights.length, weights.subarray(0, PREFIX))));
  const sizes = { hiddenSize: 32, headDim: 8, numHeads: 4, numKvHeads: 2, vocabSize: 37, intermediateSize: 64 };
  writeStoredGguf(at('whole', 'tiny.gguf'), storedConfig(sizes), (name) => (/norm/.test(name) ? ['f32'] : ['q8_0']));
  const gguf = readFileSync(at('whole', 'tiny.gguf'));
  const start = Math.min(...[...parseGguf(bytesSource('m', gguf)).tensors.values()].map((t) => t.byteOffset));
  mkdirSync(at('gguf'));
  writeFileSync(at('gguf', 'tiny.gguf'), gguf.subarray(0, start));
  const data = Int32Array.from({ length: 2 * 16 }, (_, i) => (i * 7) % 5);
  const tensors = ['input_ids', 'labels'].map((name) => ({ name, dtype: 'I32' as const, shape: [2, 16], data }));
  writeSafetensors(at('batch.safetensors'), tensors);
});
afterAll(() => rmSync(scratch, { recursive: true }));

function expectDone({ code, stderr }: CliRun, said: RegExp): void {
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  expect(stderr).toMatch(said);
  expect(stderr).toMatch(/; going on without weights/);
}

/** One sentence, with which it ends. */
function expectRefused({ code, stdout, stderr }: { code: number | null; stdout: string; stderr: string }, said: RegExp): void {
  const last = stderr.trim().split('\n').at(-1);
  // a trainer calls itself by its model
  const errors = ['ebb', 'tiny'].flatMap((program) => errorsIn(stderr, program));
  expect({ code, stdout, errors }).toEqual({ code: 1, stdout: '', errors: [last] });
  expect(last).toMatch(said);
}

const SIZES = ['--batch', '2', '--length', '16'];

describe.each(KINDS)('%s is enough', (kind) => {
  const compile = (model: string, out: string, ...flags: string[]): Promise<CliRun> =>
    runCli(['compile', model, '-o', at(out), '--device', 'portable', '--lora', ...SIZES, ...flags]);

  it('to compile, to the bytes that the whole model is compiled to', async () => {
    expectDone(await compile(pathOf(kind), `${kind}-part`), LACKS[kind]);
    const whole = await compile(at('whole', MODELS[kind][1]), `${kind}-whole`);
    expect({ code: whole.code, stderr: whole.stderr }).toEqual({ code: 0, stderr: '' });
    const files = (out: string): string[] =>
      readdirSync(at(out), { recursive: true, withFileTypes: true })
        .filter((e) => e.isFile())
        .map((e) => join(e.parentPath, e.name).slice(at(out).length))
        .sort();
    expect(files(`${kind}-part`)).toEqual(files(`${kind}-whole`));
    for (const file of files(`${kind}-part`))
      expect({ file, same: readFileSync(join(at(`${kind}-part`), file)).equals(readFileSync(join(at(`${kind}-whole`), file))) }).toEqual({ file, same: true });
  });

  it('to inspect', async () => {
    const run = await runCli(['inspect', pathOf(kind), '--stage', 'plan', '--lora', '--json', ...SIZES]);
    expectDone(run, LACKS[kind]);
    expect(JSON.parse(run.stdout)).toMatchObject({ pattern: { forwardFlops: expect.any(Number) } });
    const [measured, page] = [
      await runCli(['inspect', pathOf(kind), '--measure', ...SIZES]),
      await runCli(['inspect', pathOf(kind), '--html', at('page.html'), ...SIZES]),
    ];
    expectRefused(measured, LACKS[kind]);
    expectDone(page, LACKS[kind]);
  });

  it('to plan, with the memory of the whole model', async () => {
    const plan = (model: string) => runCli(['plan', '--model', model, '--data', at('batch.safetensors'), '--lora', '--steps', '3', '--json', ...SIZES]);
    const [part, whole] = [await plan(pathOf(kind)), await plan(at('whole', MODELS[kind][1]))];
    expectDone(part, LACKS[kind]);
    expect(whole.stderr).toBe('');
    expect(JSON.parse(part.stdout)).toEqual(JSON.parse(whole.stdout));
  });

  it('to check, which says what it is', async () => {
    const run = await runCli(['check', pathOf(kind)]);
    expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
    expect(run.stdout).toMatch(kind === 'a configuration' ? /: configuration only, without weights/ : /: header only, without weights: llama/);
    expect(run.stdout).toMatch(LACKS[kind]);
    expect(run.stdout).toContain('ebb compile, inspect, plan and tune can use it; train, eval, generate, forward, grad and analyze cannot');
  });

  it('for nothing else', async () => {
    const model = pathOf(kind);
    const data = ['--data', at('batch.safetensors')];
    const batch = ['--batch', at('batch.safetensors')];
    const commands = [
      ['train', '--model', model, ...data, '--out', at('never'), '--steps', '1'],
      ['analyze', '--model', model, ...data, '--steps', '8'],
      ['eval', model, ...data],
      ['generate', model, '--prompt', 'Tom'],
      ['forward', model, ...batch, '--out', at('never.safetensors')],
      ['grad', model, ...batch],
    ];
    for (const args of commands) expectRefused(await runCli(args), LACKS[kind]);
    const trainer = join(at(`${kind}-part`), 'trainer.js');
    expectRefused(await runNode(trainer, ['--weights', model, ...data, '--out', at('never')]), LACKS[kind]);
    expect([at('never'), at('never.safetensors')].filter(existsSync)).toEqual([]);
  });
});

it('a trainer compiled for another dtype than its weights have says so, one for f32 takes any', async () => {
  const compile = (dtype: string): Promise<CliRun> =>
    runCli(['compile', pathOf('a configuration'), '-o', at(dtype), '--device', 'portable', '--lora', '--dtype', dtype, ...SIZES]);
  for (const dtype of ['bfloat16', 'f32']) expectDone(await compile(dtype), /tensors are taken to be stored as b?f\d+ \(--dtype\)/);
  const train = (dtype: string) =>
    runNode(join(at(dtype), 'trainer.js'), ['--weights', TINY_MODEL, '--data', at('batch.safetensors'), '--steps', '1', '--out', at(`${dtype}-run`)]);
  expect((await train('bfloat16')).stderr).toMatch(
    /tensor model\.embed_tokens\.weight is stored as f16, the model was compiled for bf16; compile it .*--dtype f32/,
  );
  expect((await train('f32')).code).toBe(0);
});

it.each<[string, () => readonly string[], RegExp]>([
  [
    'a dtype that is none',
    () => ['inspect', pathOf('a configuration'), '--dtype', 'q8_0'],
    /--dtype <type>' argument 'q8_0' is invalid: expected one of f32, f16, bf16, float32, float16, bfloat16/,
  ],
  [
    'a dtype beside headers',
    () => ['compile', pathOf('a safetensors header'), '--dtype', 'f16', '-o', at('never')],
    /--dtype is f16, but .*tiny says itself how its tensors are stored \(f16\); leave --dtype out/,
  ],
  ['a dtype beside a whole model', () => ['plan', '--model', TINY_MODEL, '--data', QUESTIONS, '--dtype', 'f16'], /--dtype is f16, but .*model says itself/],
  [
    'a dtype of a GGUF file',
    () => ['inspect', pathOf('a GGUF header'), '--dtype', 'bf16'],
    /--dtype is bf16, but .*tiny\.gguf says itself how its tensors are stored \(f32, q8_0\)/,
  ],
  [
    'a dtype of a definition',
    () => ['compile', MLP, '--dtype', 'f16', '-o', at('never')],
    /--dtype is f16, but .*mlp\.ts is a definition, whose parameters are f32; leave --dtype out/,
  ],
  ['a dtype of a measured model', () => ['inspect', TINY_MODEL, '--measure', '--dtype', 'f16'], /--dtype: --measure runs the model with its weights/],
  [
    'a plan that has to count text without a tokenizer',
    () => ['plan', '--model', pathOf('a configuration'), '--data', QUESTIONS],
    /holds no tokenizer\.json, expected one beside the model/,
  ],
  [
    'a plan over data that is not there',
    () => ['plan', '--model', pathOf('a configuration'), '--data', at('nowhere.jsonl'), '--steps', '3'],
    /nowhere\.jsonl: no such file/,
  ],
])('%s is refused', async (_, args, message) => {
  const run = await runCli(args());
  expect(run.code).toBe(1);
  expect(run.stderr.trim().split('\n').at(-1)).toMatch(message);
  expect(run.stderr).not.toMatch(/\n\s+at /);
});

it('a plan over text counts nothing where steps are given and there is no tokenizer, and says so', async () => {
  const run = await runCli(['plan', '--model', pathOf('a configuration'), '--data', QUESTIONS, '--steps', '3', ...SIZES]);
  expectDone(run, /holds no tokenizer\.json, .*; going on without counting .*questions\.jsonl, as the steps are given/);
});
