/** @file `ebb compile` and the folders it writes, as a person uses them: the same bytes twice, strict types, no compiler inside, the losses of `ebb train`. */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { build } from 'esbuild';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { ROOT, runCli, TINY_MODEL } from '../support/cli.ts';
import { type NodeRun, runNode } from '../support/node.ts';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-compile-'));
  const ids = Int32Array.from({ length: 4 * 2 * 24 }, (_, i) => (i * 37 + (i >> 3)) % 1024);
  const entry = (name: string) => ({ name, dtype: 'I32' as const, shape: [4, 2, 24], data: ids });
  writeSafetensors(at('batches.safetensors'), [entry('input_ids'), entry('labels')]);
  writeFileSync(
    at('tokens.bin'),
    Int32Array.from({ length: 3 * 2 * 25 }, (_, i) => (i * 11) % 1024),
  );
});
afterAll(() => rmSync(scratch, { recursive: true }));

const at = (name: string): string => join(scratch, name);
const BOUNDS = ['--batch', '2', '--length', '24'];

async function compile(out: string, ...flags: string[]): Promise<void> {
  const run = await runCli(['compile', TINY_MODEL, '-o', at(out), ...BOUNDS, ...flags]);
  expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
}

const runTrainer = (folder: string, ...args: string[]): Promise<NodeRun> => runNode(join(at(folder), 'trainer.js'), args);

interface Line {
  readonly loss: number;
  readonly losses: readonly number[];
  readonly gradNorm: number;
  readonly dropped: readonly (readonly string[])[];
}
const metrics = (folder: string): Line[] =>
  readFileSync(join(at(folder), 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const { loss, losses, gradNorm, dropped } = JSON.parse(line) as Line;
      return { loss, losses, gradNorm, dropped };
    });

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => relative(folder, join(e.parentPath, e.name)))
    .sort();
}

const RUN = `
steps: 4
accumulate: 2
optimizer: { name: adamw, lr: 0.001 }
schedule: cosine
warmupSteps: 1
clip: 0.5
drop: { kind: uniform, rate: 0.5 }
seed: 3
`;

describe('a full trainer', () => {
  beforeAll(() => compile('full'));

  it('is the same bytes for the same input', async () => {
    await compile('again');
    const names = filesIn(at('full'));
    expect(names).toEqual(expect.arrayContaining(['trainer.ts', 'trainer.js', 'plan.json', 'README.md', 'package.json', 'ir/1-trace.ebb', 'ir/4-fuse.ebb']));
    expect(filesIn(at('again'))).toEqual(names);
    for (const name of names)
      expect({ name, same: readFileSync(join(at('again'), name)).equals(readFileSync(join(at('full'), name))) }).toEqual({ name, same: true });
  });

  it('type-checks under the strictest settings', () => {
    execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', at('full')], { stdio: 'pipe' });
  });

  it('holds nothing that traces, passes or generates code', async () => {
    const { metafile } = await build({
      entryPoints: [join(at('full'), 'trainer.js')],
      bundle: true,
      write: false,
      metafile: true,
      format: 'esm',
      platform: 'node',
      external: ['webgpu', 'koffi', '@sparticuz/chromium'],
      outdir: at('bundle'),
    });
    const rooms = new Set(Object.keys(metafile.inputs).flatMap((path) => /dist\/([a-zA-Z]+)\//.exec(path)?.[1] ?? []));
    expect([...rooms]).toEqual(expect.arrayContaining(['trainer', 'train', 'runtime']));
    for (const room of ['trace', 'passes', 'codegen', 'compile', 'ir', 'models', 'definition', 'inspect', 'cli']) expect(rooms).not.toContain(room);
    expect(Object.keys(metafile.inputs).filter((path) => path.includes('ts-morph') || path.includes('esbuild'))).toEqual([]);
  });

  it('names kernels after what they do, and says above each what it computes, from where, at which cost, and what it is given', () => {
    const fuse = readFileSync(join(at('full'), 'ir/4-fuse.ebb'), 'utf8').split('\n');
    const kernels = readdirSync(join(at('full'), 'kernels'));
    expect(kernels).toEqual(expect.arrayContaining(['attn.fwd.attention.wgsl', 'mlp.bwd.dot_d_down_proj.wgsl']));
    for (const kernel of kernels) {
      const text = readFileSync(join(at('full'), 'kernels', kernel), 'utf8');
      const [, fn, from, to] = /^\/\/ @([\w.]+), ir\/4-fuse\.ebb:(\d+)-(\d+): .*(FLOP).* bytes bound$/m.exec(text)!;
      expect(text).toMatch(/^\/\/ (Computes|Adds up the partial sums for|Writes zeros to) /);
      expect(text).toMatch(/^\/\/ Part of (the (forward|backward) of [\w.]+( and \d+ more calls?)?(, from [\w.:, ]+)?|the update \w+)\.$/m);
      const [comments = '', code = ''] = text.split(/^(?=@group\(0\) @binding\(0\))/m);
      const found = (inText: string, pattern: RegExp): string[] => [...new Set([...inText.matchAll(pattern)].map(([, what]) => what!))].sort();
      expect(found(comments, /^\/\/ (params\[\d+\]\[\d+\]) is /gm)).toEqual(found(code.replaceAll('params[15][3]', ''), /(params\[\d+\]\[\d+\])/g));
      const bound = found(code, /@binding\(([1-9])\)/g);
      expect(found(comments, /^\/\/ binding (\d+): \w+, .*(?:read|written|added to)/gm)).toEqual(bound);
      expect(kernel.startsWith(`${fn}.`)).toBe(true);
      expect(fuse[Number(from) - 1]).toMatch(/fused \{/);
      expect(fuse[Number(to) - 1]).toBe('  }');
    }
  });

  it('has the losses of ebb train bit for bit, over accumulation, schedule, clipping and drop patterns, and resumes', async () => {
    writeFileSync(at('run.yaml'), RUN);
    const common = ['--data', at('batches.safetensors')];
    const own = await runTrainer('full', '--weights', TINY_MODEL, '--config', at('run.yaml'), ...common, '--out', at('own'), '--json');
    expect({ code: own.code, stderr: own.code === 0 ? '' : own.stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(own.stdout)).toMatchObject({ steps: 4, interrupted: false });
    const trained = await runCli(['train', at('run.yaml'), '--model', TINY_MODEL, ...common, '--out', at('train')]);
    expect(trained.code).toBe(0);
    expect(metrics('own')).toEqual(metrics('train'));
    const models = ['own', 'train'].map((run) => readFileSync(join(at(run), 'result', 'model.safetensors')));
    expect(models[0]!.equals(models[1]!)).toBe(true);
    // the same run, cut in two
    writeFileSync(at('half.yaml'), RUN.replace('steps: 4', 'steps: 4\nsaveEvery: 2'));
    cpSync(at('own'), at('cut'), { recursive: true });
    rmSync(join(at('cut'), 'checkpoints', 'step-00000004'), { recursive: true });
    const saved = await runTrainer('full', '--weights', TINY_MODEL, '--config', at('half.yaml'), ...common, '--out', at('half'));
    expect(saved.code).toBe(0);
    rmSync(join(at('half'), 'checkpoints', 'step-00000004'), { recursive: true });
    const resumed = await runTrainer('full', '--weights', TINY_MODEL, '--config', at('half.yaml'), ...common, '--out', at('half'), '--resume');
    expect(resumed.stderr).toMatch(/resumed at step 2/);
    expect(metrics('half')).toEqual(metrics('own'));
  });

  it('is a program of its own: a run is opened, its steps are looped over, and what is saved is what the command line saves', async () => {
    writeFileSync(
      join(at('full'), 'own.mjs'),
      `import { openRun } from 'ebb/trainer';
       import { PARAMETERS, trainer, UNITS } from './trainer.js';
       const run = await openRun(trainer, JSON.parse(process.argv[2]));
       const losses = [];
       for await (const { step, loss, dropped } of run.steps(run.batches)) {
         if (!dropped.flat().every((unit) => UNITS.includes(unit))) throw new Error('not a unit');
         losses.push(loss);
         if (step === Number(process.argv[3])) break;
       }
       const sizes = await Promise.all(Object.entries(PARAMETERS).map(async ([name, shape]) => (await run.read(name)).length === shape.reduce((a, b) => a * b, 1)));
       const report = await run.save();
       run.close();
       console.log(JSON.stringify({ losses, fits: sizes.every(Boolean), total: run.total, ...report }));`,
    );
    const options = { weights: TINY_MODEL, data: at('batches.safetensors'), steps: 4, seed: 3, drop: { kind: 'uniform', rate: 0.5 } };
    const own = async (out: string, last: number) => {
      const run = await runNode(join(at('full'), 'own.mjs'), [JSON.stringify({ ...options, out: at(out) }), String(last)]);
      expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
      return JSON.parse(run.stdout) as { losses: number[]; fits: boolean; total: number; result: string; steps: number };
    };
    const whole = await own('own-loop', 4);
    expect(whole).toMatchObject({ fits: true, total: 4, steps: 4, result: `${at('own-loop')}/result` });
    const flags = ['--weights', TINY_MODEL, '--data', at('batches.safetensors'), '--steps', '4', '--seed', '3', '--drop-rate', '0.5'];
    expect((await runTrainer('full', ...flags, '--out', at('by-flags'))).code).toBe(0);
    expect(whole.losses).toEqual(metrics('by-flags').map(({ loss }) => loss));
    const models = ['own-loop', 'by-flags'].map((run) => readFileSync(join(at(run), 'result', 'model.safetensors')));
    expect(models[0]!.equals(models[1]!)).toBe(true);
    // steps that were under way when the loop was left are finished, written down and in the checkpoint
    const cut = await own('cut-short', 1);
    expect(cut.losses).toHaveLength(1);
    expect(metrics('cut-short')).toEqual(metrics('by-flags').slice(0, cut.steps));
    expect(existsSync(join(at('cut-short'), 'checkpoints', `step-${String(cut.steps).padStart(8, '0')}`))).toBe(true);
  }, 120_000);

  it('takes int32 tokens, and draws its parameters where no weights are given', async () => {
    const run = await runTrainer('full', '--data', at('tokens.bin'), '--steps', '3', '--lr', '1e-3', '--drop-rate', '0.5', '--seed', '1', '--out', at('bin'));
    expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
    const [first, , last] = metrics('bin');
    expect(Math.abs(first!.loss - Math.log(1024))).toBeLessThan(1);
    expect(last!.loss).toBeLessThan(first!.loss);
    expect(existsSync(join(at('bin'), 'result', 'model.safetensors'))).toBe(true);
  });

  it.each([
    [['--batch', '3'], /a batch has 3 sequences, this trainer was compiled for at most 2/],
    [['--batch', '1', '--length', '49'], /a sequence has 49 tokens, this trainer was compiled for at most 24/],
    [['--weights', 'examples/demo'], /config\.json/],
    [['--steps', 'many'], /--steps.*expected a number/],
  ])('refuses %j in one sentence', async (flags, message) => {
    const run = await runTrainer('full', '--data', at('tokens.bin'), '--out', at('never'), ...flags);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(message);
    expect(run.stderr).not.toMatch(/\n\s+at /);
    expect(existsSync(at('never'))).toBe(false);
  });

  it('refuses a run that asks for another trainer, and a plan of another version', async () => {
    writeFileSync(at('lora.yaml'), `${RUN}\nlora: { rank: 4 }\n`);
    const run = await runTrainer('full', '--config', at('lora.yaml'), '--data', at('tokens.bin'), '--out', at('never'));
    expect(run.stderr).toMatch(/lora\.yaml: lora is \{"rank":4\}, this trainer was compiled for false/);
    writeFileSync(at('f16.yaml'), `${RUN}\nmatmulPrecision: f16\n`);
    const rounded = await runTrainer('full', '--config', at('f16.yaml'), '--data', at('tokens.bin'), '--out', at('never'));
    expect(rounded.stderr).toMatch(/f16\.yaml: matmulPrecision is "f16", this trainer was compiled for "f32"/);
    cpSync(at('full'), at('future'), { recursive: true });
    writeFileSync(join(at('future'), 'plan.json'), readFileSync(join(at('full'), 'plan.json'), 'utf8').replace('"version": 1', '"version": 2'));
    const future = await runTrainer('future', '--data', at('tokens.bin'), '--out', at('never'));
    expect(future.stderr).toMatch(/plan\.json: version is 2, this Ebb reads 1/);
  });
});

describe('what is asked for is checked before anything is written', () => {
  it.each([
    [['--batch', '0'], /--batch .*expected a whole number, 1 or more/],
    [['--length', '0'], /--length .*expected a whole number, 1 or more/],
    [['--length', '9999'], /--length is 9999, but the model has positions for 512/],
    [['--rank', '0'], /--rank .*expected a whole number, 1 or more/],
    [['--alpha', '-1'], /--alpha .*expected a number above 0/],
    [['--target', 'portable'], /--device portable: --target portable compiles for any device; leave one of the two out/],
    [['--target', 'wasm'], /target wasm: there is no such target; there are wgsl/],
    [['--drop-rate', '2'], /--drop-rate .*expected a number from 0 to 1/],
    [['--lora-dropout', '1'], /--lora-dropout .*expected a number from 0 to 0\.99/],
    [['--matmul-precision', 'f16'], /--matmul-precision f16 needs the matrices of a device, .*name one by --device/],
    [['--adapter', 'mine', '--rank', '4'], /--rank: the adapter of --adapter \(mine\) has its own layers, ranks and scales; leave --rank out/],
    [['--adapter', 'mine', '--lora-layers', '*'], /--lora-layers: the adapter of --adapter \(mine\) has its own/],
  ])('%j', async (flags, message) => {
    const run = await runCli(['compile', TINY_MODEL, '-o', at('wrong'), '--device', 'portable', ...flags]);
    expect(run.code).toBe(1);
    expect(run.stderr.trim()).toMatch(message);
    expect(run.stderr.trim()).not.toContain('\n');
    expect(existsSync(at('wrong'))).toBe(false);
  });

  it('a folder of other files is left alone, and so is a file', async () => {
    mkdirSync(join(at('mine'), 'node_modules/own'), { recursive: true });
    writeFileSync(join(at('mine'), 'package.json'), '{}');
    const run = await runCli(['compile', TINY_MODEL, '-o', at('mine'), '--device', 'portable']);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/mine: is a folder with other files \(node_modules, package\.json\); give a new folder \(-o\)/);
    expect(readdirSync(at('mine'), { recursive: true }).sort()).toEqual(['node_modules', 'node_modules/own', 'package.json']);
    const file = await runCli(['compile', TINY_MODEL, '-o', at('tokens.bin'), '--device', 'portable']);
    expect(file.stderr).toMatch(/tokens\.bin: a part of the path is a file/);
  });
});

describe('for a device that is described', () => {
  /** No adapter of this machine is called so: whoever opens one fails. */
  const noAdapter = { EBB_DEVICE: 'none of this machine' };
  const compileFor = async (device: string, out: string): Promise<string> => {
    const run = await runCli(['compile', TINY_MODEL, '-o', at(out), ...BOUNDS, '--device', device], undefined, noAdapter);
    expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
    return run.stdout;
  };
  const planOf = (folder: string) => JSON.parse(readFileSync(join(at(folder), 'plan.json'), 'utf8')) as { requires: Record<string, unknown> };

  it('opens no adapter, says what it was compiled for, and refuses a device that lacks something by name', async () => {
    expect(await compileFor('nvidia', 'nvidia')).toMatch(/kernels for nvidia \(NVIDIA, profile of Turing and newer\); compiled in/);
    expect(planOf('nvidia').requires).toMatchObject({ kind: 'nvidia', device: 'NVIDIA, profile of Turing and newer', subgroupSize: 32 });
    expect(readFileSync(join(at('nvidia'), 'README.md'), 'utf8')).toContain('for nvidia (NVIDIA, profile of Turing and newer)');
    const args = ['--weights', TINY_MODEL, '--data', at('batches.safetensors'), '--steps', '1', '--out', at('never')];
    const { code, stderr } = await runTrainer('nvidia', ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /the trainer was compiled for nvidia \(NVIDIA, .*\), and this device, .*, has subgroups of \d lanes, not of 32; compile the model for this device/,
    );
    expect(existsSync(at('never'))).toBe(false);
  });

  it('takes what ebb doctor --profile prints, to the same trainer as on the device itself', async () => {
    const { code, stdout, stderr } = await runCli(['doctor', '--profile']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    writeFileSync(at('profile.json'), stdout);
    await compileFor(at('profile.json'), 'described');
    const here = await runCli(['compile', TINY_MODEL, '-o', at('here'), ...BOUNDS, '--device', 'auto'], undefined, { EBB_TUNE: 'off' });
    expect({ code: here.code, stderr: here.stderr }).toEqual({ code: 0, stderr: '' });
    const own = filesIn(at('here')).filter((name) => !name.startsWith('node_modules'));
    expect(filesIn(at('described')).filter((name) => !name.startsWith('node_modules'))).toEqual(own);
    for (const name of own)
      expect({ name, same: readFileSync(join(at('described'), name)).equals(readFileSync(join(at('here'), name))) }).toEqual({ name, same: true });
  });
});

describe('a LoRA trainer', () => {
  beforeAll(() => compile('lora', '--rank', '4', '--alpha', '8', '--lora-layers', '*.q_proj,*.down_proj', '--drop-rate', '0.5'));

  it('trains the adapter with the losses of ebb train, at the drop rate it was compiled with', async () => {
    const data = ['--data', at('batches.safetensors'), '--steps', '3', '--lr', '1e-2', '--seed', '5'];
    const own = await runTrainer('lora', '--weights', TINY_MODEL, ...data, '--out', at('lora-own'));
    expect({ code: own.code, stderr: own.code === 0 ? '' : own.stderr }).toEqual({ code: 0, stderr: '' });
    writeFileSync(at('adapter.yaml'), 'lora: { rank: 4, alpha: 8, layers: ["*.q_proj", "*.down_proj"] }\ndrop: { kind: uniform, rate: 0.5 }\n');
    const trained = await runCli(['train', at('adapter.yaml'), '--model', TINY_MODEL, ...data, '--out', at('lora-train')]);
    expect(trained.code).toBe(0);
    expect(metrics('lora-own')).toEqual(metrics('lora-train'));
    expect(metrics('lora-own').some((line) => line.dropped.flat().length > 0)).toBe(true);
    const file = 'result/adapter_model.safetensors';
    expect(readFileSync(join(at('lora-own'), file)).equals(readFileSync(join(at('lora-train'), file)))).toBe(true);
    expect(readFileSync(join(at('lora-own'), 'result/adapter_config.json'), 'utf8')).toBe(
      readFileSync(join(at('lora-train'), 'result/adapter_config.json'), 'utf8'),
    );
  });
});

describe('a standalone trainer', () => {
  beforeAll(() => compile('alone', '--standalone'));

  it('is the same bytes in another folder', async () => {
    await compile('elsewhere', '--standalone');
    for (const name of filesIn(at('alone')).filter((f) => !f.startsWith('node_modules')))
      expect({ name, same: readFileSync(join(at('elsewhere'), name)).equals(readFileSync(join(at('alone'), name))) }).toEqual({ name, same: true });
  });

  it('leaves nothing behind in a trainer that is compiled in its place', async () => {
    cpSync(at('alone'), at('over'), { recursive: true, verbatimSymlinks: true });
    writeFileSync(join(at('over'), 'run.yaml'), RUN);
    await compile('over', '--device', 'portable');
    await compile('fresh', '--device', 'portable');
    const own = (folder: string): string[] => filesIn(at(folder)).filter((f) => !f.startsWith('node_modules'));
    expect(own('over')).toEqual([...own('fresh'), 'run.yaml'].sort());
    expect(readdirSync(join(at('over'), 'node_modules'))).toEqual(['ebb']);
  });

  it('runs in Node with webgpu alone', async () => {
    expect(JSON.parse(readFileSync(join(at('alone'), 'package.json'), 'utf8')).dependencies).toEqual({ webgpu: expect.any(String) });
    expect(readdirSync(join(at('alone'), 'node_modules'))).toEqual(['webgpu']);
    expect(readFileSync(join(at('alone'), 'trainer.js'), 'utf8')).not.toMatch(/from ['"](?:node:|ebb)/);
    const args = ['--weights', TINY_MODEL, '--data', at('batches.safetensors'), '--steps', '2', '--lr', '1e-3', '--out', at('alone-run')];
    const run = await runTrainer('alone', ...args);
    expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
    expect(metrics('alone-run')).toHaveLength(2);
  });

  it('tokenises in a worker that is made of its one file', async () => {
    const args = ['--weights', TINY_MODEL, '--data', join(ROOT, 'examples/demo/questions.jsonl'), '--steps', '2', '--out', at('alone-text')];
    const run = await runTrainer('alone', ...args);
    expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
    expect(metrics('alone-text').map(({ loss }) => Number.isFinite(loss))).toEqual([true, true]);
  });
});
