/** @file One end-to-end run of every command as it is installed, on the bundled model. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writePeft } from '../../src/formats/peft.ts';
import { openSafetensors, readFloats } from '../../src/formats/safetensors.ts';
import type { HeldOutMetrics } from '../../src/run/metrics.ts';
import { type CliRun, errorsIn, ROOT, runCli, TINY_MODEL } from '../support/cli.ts';

const QUESTIONS = join(ROOT, 'examples/demo/questions.jsonl');
const HELD_OUT = join(ROOT, 'examples/demo/held-out.jsonl');
let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-e2e-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

const at = (name: string): string => join(scratch, name);
function ok(run: CliRun): CliRun {
  expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
  return run;
}
interface Line {
  readonly step: number;
  readonly loss: number;
  readonly gradNorm: number;
  readonly dropped: readonly (readonly string[])[];
}
const allLinesOf = (folder: string): (Line | HeldOutMetrics)[] =>
  readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line | HeldOutMetrics);
const metricsOf = (folder: string): Line[] => allLinesOf(folder).flatMap((line) => ('heldOut' in line ? [] : [line]));

const RUN = `
model: ${TINY_MODEL}
data: ${QUESTIONS}
evalData: ${HELD_OUT}
evalLimit: 4
steps: 6
batch: 2
length: 48
accumulate: 2
lora: { rank: 4, alpha: 8, dropout: 0.1, layers: ["*.q_proj", "*.v_proj", "*.down_proj"] }
optimizer: { name: adamw, lr: 0.003 }
schedule: cosine
warmupSteps: 2
drop: { kind: uniform, rate: 0.5 }
seed: 7
`;

describe('train', () => {
  it('writes a run folder: config, metrics, checkpoints, a PEFT adapter', async () => {
    writeFileSync(at('run.yaml'), RUN);
    const run = ok(await runCli(['train', at('run.yaml'), '--out', at('whole'), '--json']));
    expect(JSON.parse(run.stdout)).toMatchObject({ steps: 6, interrupted: false });
    const lines = metricsOf(at('whole'));
    expect(lines.map((l) => l.step)).toEqual([1, 2, 3, 4, 5, 6]);
    for (const line of lines) {
      expect(Object.keys(line)).toEqual(
        expect.arrayContaining(['step', 'loss', 'lr', 'gradNorm', 'tokens', 'ms', 'dropped', 'forwardFlops', 'backwardFlops', 'savedBytes', 'peakBytes']),
      );
      expect(line.dropped).toHaveLength(2);
    }
    expect(readFileSync(join(at('whole'), 'config.yaml'), 'utf8')).toMatch(/missingGrad: skip/);
    expect(readdirSync(join(at('whole'), 'result')).sort()).toEqual(expect.arrayContaining(['adapter_config.json', 'adapter_model.safetensors']));
    // held-out losses are told, and kept
    const heldOut = allLinesOf(at('whole')).flatMap((line) => ('heldOut' in line ? [line] : []));
    expect(heldOut.map(({ step }) => step)).toEqual([0, 6]);
    for (const [i, when] of ['before', 'after'].entries()) expect(run.stderr).toContain(`held-out loss ${when}: ${heldOut[i]!.heldOut.toFixed(4)}`);
  });

  it('takes the memory that ebb plan says, within its budget', async () => {
    const planned = JSON.parse(ok(await runCli(['plan', at('run.yaml'), '--json'])).stdout);
    expect(planned.longest).toBeNull();
    const roomy = JSON.parse(ok(await runCli(['plan', at('run.yaml'), '--json', '--memory-budget', String(planned.memory.total)])).stdout);
    expect(roomy.memory.total).toBeLessThan(planned.memory.total);
    const budget = roomy.memory.total - Math.round(0.1 * roomy.memory.activations.stackBytes);
    const flags = ['--memory-budget', String(budget)];
    const within = JSON.parse(ok(await runCli(['plan', at('run.yaml'), '--json', ...flags])).stdout);
    expect(within.memory.total).toBeLessThanOrEqual(budget);
    expect(within.memory.worst.again).toBeGreaterThan(0);
    for (const { saving, again } of within.longest.rates) expect(again).toBeGreaterThanOrEqual(saving);
    expect(within.longest.rates.at(-1).again).toBeGreaterThan(within.longest.rates[0].again);
    const run = ok(await runCli(['train', at('run.yaml'), '--out', at('budget'), ...flags]));
    expect(run.stderr).toMatch(new RegExp(`total +[\\d.]+ MiB +${within.memory.total} B`));
    // recomputing changes no bit
    expect(metricsOf(at('budget')).map((l) => l.loss)).toEqual(metricsOf(at('whole')).map((l) => l.loss));
  });

  it('stops at Ctrl-C with a checkpoint, refuses to overwrite the run, and resumes to the losses of the whole run', async () => {
    const slow = RUN.replace('steps: 6', 'steps: 6\nsaveEvery: 1');
    writeFileSync(at('slow.yaml'), slow);
    let sent = false;
    const stopped = await runCli(['train', at('slow.yaml'), '--out', at('part')], (text, child) => {
      if (sent || !/held-out loss before/.test(text)) return;
      sent = true;
      setTimeout(() => child.kill('SIGINT'), 300);
    });
    expect(stopped.code).toBe(130);
    expect(stopped.stdout).toMatch(/stopped after [1-5] steps/);
    expect(existsSync(join(at('part'), 'result', 'adapter_model.safetensors'))).toBe(true);
    const again = await runCli(['train', at('slow.yaml'), '--out', at('part')]);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/holds a run already.*--resume/);
    const other = await runCli(['train', at('slow.yaml'), '--out', at('part'), '--resume', '--seed', '8']);
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/seed is 8, the run to resume was started with 7/);
    // what process managers send does the same
    let ended = false;
    const terminated = await runCli(['train', at('slow.yaml'), '--out', at('part'), '--resume'], (text, child) => {
      if (!ended && /resumed at step/.test(text)) ended = child.kill('SIGTERM');
    });
    expect({ code: terminated.code, signal: terminated.signal, told: /SIGTERM again ends at once/.test(terminated.stderr) }).toEqual({
      code: 143,
      signal: null,
      told: true,
    });
    ok(await runCli(['train', at('slow.yaml'), '--out', at('part'), '--resume']));
    const fields = ({ step, loss, gradNorm, dropped }: Line): Line => ({ step, loss, gradNorm, dropped });
    expect(metricsOf(at('part')).map(fields)).toEqual(metricsOf(at('whole')).map(fields));
    const adapters = ['part', 'whole'].map((name) => readFileSync(join(at(name), 'result', 'adapter_model.safetensors')));
    expect(adapters[0]!.equals(adapters[1]!)).toBe(true);
  });

  it('a second Ctrl-C ends it at once, with whole lines on stderr and nothing on stdout', async () => {
    writeFileSync(at('twice.yaml'), RUN.replace('steps: 6', 'steps: 100000'));
    let sent = 0;
    const ended = await runCli(['train', at('twice.yaml'), '--out', at('twice')], (text, child) => {
      const due = /^stopping after this step.*$/m.test(text) ? 2 : /^held-out loss before/m.test(text) ? 1 : 0;
      if (due > sent) child.kill('SIGINT');
      sent = Math.max(sent, due);
    });
    expect(ended).toMatchObject({ code: null, signal: 'SIGINT', stdout: '' });
    expect(ended.stderr).toMatch(/^stopping after this step; --resume goes on from it \(Ctrl-C again ends at once\)\n/m);
    expect(ended.stderr).toMatch(/\n$/);
  });

  it('fine-tunes everything and writes a model that loads', async () => {
    ok(
      await runCli([
        'train',
        '--model',
        TINY_MODEL,
        '--data',
        QUESTIONS,
        '--out',
        at('full'),
        '--steps',
        '2',
        '--batch',
        '1',
        '--length',
        '24',
        '--lr',
        '1e-4',
        '--drop-rate',
        '0.75',
      ]),
    );
    const check = ok(await runCli(['check', join(at('full'), 'result')]));
    expect(check.stdout).toMatch(/llama/);
  });

  it.each([
    [['--steps', 'many'], /--steps.*expected a number/],
    [['--steps', '0'], /--steps.*1 or more/],
    [['--batch', '0'], /--batch.*1 or more/],
    [['--rank', '0'], /--rank.*1 or more/],
    [['--lr', '-1'], /--lr.*0 or more/],
    [['--drop-rate', '1.5'], /drop\.rate/],
    [['--model', '/nowhere'], /\/nowhere/],
    [['--device', 'abacus'], /device abacus: this machine has no such device; there are/],
    [['--adapter', 'abacus'], /abacus: no such file or folder; expected a PEFT adapter, a run's folder or a checkpoint of it \(--device names a device\)/],
    [['--adapter', 'gpu', '--device', 'gpu'], /give --device alone/],
  ])('refuses %j in one sentence', async (args, message) => {
    const run = await runCli(['train', '--model', TINY_MODEL, '--data', QUESTIONS, '--out', at('never'), ...args]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(message);
    expect(run.stderr).not.toMatch(/\n\s+at /);
    expect(existsSync(at('never'))).toBe(false);
  });

  it.each([
    ['drop: { kind: fixed, patterns: [["layers.77.attn"]] }', /drop\.patterns: unknown unit layers\.77\.attn/],
    ['lora: { layers: ["*.q_proj", "*.qproj"] }', /lora\.layers: \*\.qproj matches no linear layer/],
    ['lora: { layers: "*.q_proj" }', /lora\.layers: is "\*\.q_proj", expected a list/],
    ['lora: { layers: [] }', /lora\.layers: expected at least one glob/],
  ])('refuses %s before the run folder is there', async (key, message) => {
    writeFileSync(at('wrong.yaml'), `model: ${TINY_MODEL}\ndata: ${QUESTIONS}\nevalData: ${HELD_OUT}\nsteps: 2\nlength: 24\n${key}\n`);
    const run = await runCli(['train', at('wrong.yaml'), '--out', at('never')]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(message);
    expect(run.stderr).not.toMatch(/held-out loss/);
    expect(existsSync(at('never'))).toBe(false);
  });

  it('names an unknown key of a run file', async () => {
    writeFileSync(at('typo.yaml'), `${RUN}\nlearningRate: 3\n`);
    const run = await runCli(['train', at('typo.yaml'), '--out', at('never')]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/typo\.yaml: .*learningRate/);
    writeFileSync(at('broken.yaml'), 'model: a\ndata: [b\nsteps: 3\n');
    const broken = await runCli(['train', at('broken.yaml'), '--out', at('never')]);
    expect(broken.code).toBe(1);
    expect(broken.stderr.trim()).toMatch(/^ebb: .*broken\.yaml: line \d+: [^\n]+$/);
  });
});

describe('options', () => {
  it.each([
    ['eval', ['--data', QUESTIONS, '--batch', '0'], /--batch.*expected a whole number, 1 or more/],
    ['eval', ['--data', QUESTIONS, '--limit', '0'], /--limit.*expected a whole number, 1 or more/],
    ['eval', ['--data', QUESTIONS, '--length', '2.5'], /--length.*expected a whole number, 1 or more/],
    ['eval', ['--data', QUESTIONS, '--fields', 'body'], /--fields.*expected pairs such as prompt=question/],
    ['eval', [], /--data.*not specified/],
    ['generate', ['--prompt', 'a', '--temperature', '-1'], /--temperature.*expected a number, 0 or more/],
    ['generate', ['--prompt', 'a', '--top-p', '0'], /--top-p.*expected a number above 0, at most 1/],
    ['generate', ['--prompt', 'a', '--top-p', '1.5'], /--top-p.*expected a number above 0, at most 1/],
    ['generate', ['--prompt', 'a', '--max-new-tokens', '0'], /--max-new-tokens.*1 or more/],
    ['generate', ['--prompt', 'a', '--top-k', '-1'], /--top-k.*0 or more/],
  ])('ebb %s %j is refused in one sentence', async (command, args, message) => {
    const run = await runCli([command, TINY_MODEL, ...args]);
    expect(run.code).toBe(1);
    expect(run.stderr.trim()).toMatch(message);
    expect(run.stderr.trim().split('\n')).toHaveLength(1);
  });
});

describe('with the trained adapter', () => {
  it('eval prints the loss, another one with the adapter', async () => {
    const evalArgs = ['eval', TINY_MODEL, '--data', HELD_OUT, '--limit', '4', '--length', '48', '--json'];
    const [plain, adapted] = [ok(await runCli(evalArgs)), ok(await runCli([...evalArgs, '--adapter', join(at('whole'), 'result')]))].map((r) =>
      JSON.parse(r.stdout),
    );
    expect(plain).toMatchObject({ examples: 4, tokens: adapted.tokens });
    expect(adapted.loss).toBeLessThan(plain.loss);
  });

  it('generate streams the same text twice when greedy', async () => {
    const args = ['generate', TINY_MODEL, '--prompt', 'ROMEO:', '--max-new-tokens', '12', '--adapter', join(at('whole'), 'result')];
    const first = ok(await runCli(args));
    expect(first.stdout.trim().length).toBeGreaterThan(3);
    expect(ok(await runCli([...args, '--temperature', '1', '--top-k', '1'])).stdout).toBe(first.stdout);
  });

  it('eval takes the names of the fields', async () => {
    writeFileSync(at('renamed.jsonl'), '{"frage":"What is 2 + 3?","antwort":"5"}\n');
    const { stdout } = ok(await runCli(['eval', TINY_MODEL, '--data', at('renamed.jsonl'), '--fields', 'prompt=frage,completion=antwort', '--json']));
    expect(JSON.parse(stdout)).toMatchObject({ examples: 1 });
  });

  it('an adapter of another model is refused by file and layer', async () => {
    writeFileSync(at('one.json'), JSON.stringify({ input_ids: [[5, 9]], labels: [[5, 9]] }));
    const foreign = async (name: string, layer: string): Promise<string> => {
      const part = (ab: string, shape: readonly number[]) => {
        const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
        return { name: `base_model.model.${layer}.lora_${ab}.weight`, dtype: 'F32' as const, shape, data };
      };
      const common = { rank: 2, alpha: 4, useRslora: false, dropout: 0, fanInFanOut: false, baseModel: null };
      await writePeft(at(name), { ...common, targetModules: [layer.split('.').slice(-1).join('')], tensors: [part('A', [2, 8]), part('B', [8, 2])] });
      return at(name);
    };
    const gpt2 = await foreign('gpt2', 'transformer.h.0.attn.c_attn');
    const narrow = await foreign('narrow', 'model.layers.0.self_attn.q_proj');
    const deep = await foreign('deep', 'model.layers.99.self_attn.q_proj');
    const file = (folder: string): string => join(folder, 'adapter_model.safetensors');
    const commands = {
      forward: ['--batch', at('one.json'), '--out', at('no.safetensors')],
      grad: ['--batch', at('one.json')],
      eval: ['--data', HELD_OUT],
      generate: ['--prompt', 'a'],
    };
    const refused = async (command: keyof typeof commands, adapter: string, message: string): Promise<void> => {
      const run = await runCli([command, TINY_MODEL, ...commands[command], '--adapter', adapter]);
      expect({ command, code: run.code, stderr: run.stderr.trim() }).toEqual({ command, code: 1, stderr: expect.stringContaining(message) });
      expect(errorsIn(run.stderr)).toHaveLength(1);
    };
    const absent = `adapter: ${file(gpt2)} adapts layer transformer.h.0.attn.c_attn, which the model does not have`;
    for (const command of ['forward', 'grad', 'eval', 'generate'] as const) await refused(command, gpt2, absent);
    await refused(
      'forward',
      narrow,
      `--adapter: ${file(narrow)} holds lora_A.weight of layer model.layers.0.self_attn.q_proj as [2, 8], the model's layer takes [2, `,
    );
    await refused('forward', deep, `--adapter: ${file(deep)} adapts layer model.layers.99.self_attn.q_proj, which the model does not have`);
    for (const [keys, message] of [
      [`from: ${gpt2}`, `lora.from: ${file(gpt2)} adapts layer`],
      [`from: ${gpt2}, rank: 8`, `lora.rank is 8, the adapter in lora.from (${gpt2}) has 2`],
      [`from: ${gpt2}, layers: ["*"]`, 'lora.layers: an adapter in lora.from'],
    ]) {
      writeFileSync(at('from.yaml'), `lora: { ${keys} }\n`);
      const run = await runCli(['train', at('from.yaml'), '--model', TINY_MODEL, '--data', QUESTIONS, '--out', at('never')]);
      expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining(message!) });
    }
    expect(existsSync(at('never'))).toBe(false);
  });

  it('forward and grad write tensors; dropped units have no gradient, with --adapter only the adapter has', async () => {
    writeFileSync(at('batch.json'), JSON.stringify({ input_ids: [[5, 9, 44, 7, 3, 99]], labels: [[-100, 9, 44, 7, 3, 99]] }));
    ok(await runCli(['forward', TINY_MODEL, '--batch', at('batch.json'), '--out', at('logits.safetensors')]));
    const logits = openSafetensors(at('logits.safetensors'));
    expect(logits.tensors.get('logits')).toMatchObject({ dtype: 'F32', shape: [1, 6, 1024] });
    const values = readFloats(logits, 'logits');
    // the loss of grad is the mean of -log softmax over the labels
    const logProb = (t: number, id: number): number => {
      const row = Array.from(values.subarray(t * 1024, (t + 1) * 1024));
      const top = Math.max(...row);
      return row[id]! - top - Math.log(row.reduce((s, x) => s + Math.exp(x - top), 0));
    };
    const expected = -[9, 44, 7, 3, 99].reduce((s, id, t) => s + logProb(t, id), 0) / 5;
    const drop = 'layers.0.attn,layers.3.mlp';
    const grad = ok(await runCli(['grad', TINY_MODEL, '--batch', at('batch.json'), '--drop', drop, '--out', at('grads.safetensors'), '--json']));
    const report = JSON.parse(grad.stdout) as { loss: number; absent: string[] };
    expect(Math.abs(report.loss - expected)).toBeLessThan(1e-4);
    const names = [...openSafetensors(at('grads.safetensors')).tensors.keys()];
    expect(names).toContain('model.layers.0.mlp.gate_proj.weight');
    for (const gone of ['model.layers.0.self_attn.q_proj.weight', 'model.layers.3.mlp.up_proj.weight']) {
      expect(names).not.toContain(gone);
      expect(report.absent).toContain(gone);
    }
    const adapted = ok(
      await runCli(['grad', TINY_MODEL, '--batch', at('batch.json'), '--adapter', join(at('whole'), 'result'), '--out', at('adapter.safetensors')]),
    );
    expect(adapted.stdout).toMatch(/loss/);
    const own = [...openSafetensors(at('adapter.safetensors')).tensors.keys()].sort();
    expect(own).toEqual([...openSafetensors(join(at('whole'), 'result', 'adapter_model.safetensors')).tensors.keys()].sort());
  });
});

describe('inspect', () => {
  it.each(['trace', 'grad', 'dropbp', 'fuse'])('prints stage %s as a dump that it reads back unchanged', async (stage) => {
    const { stdout } = ok(await runCli(['inspect', TINY_MODEL, '--stage', stage, '--locs']));
    expect(stdout).toMatch(/ loc\(llama\.ts:\d+:\d+\)/);
    writeFileSync(at(`${stage}.ebb`), stdout);
    expect(ok(await runCli(['inspect', at(`${stage}.ebb`)])).stdout).toBe(stdout);
  });

  it.each([
    ['kernel', /kernel @\w+ \{workgroup/],
    ['wgsl', /@compute @workgroup_size/],
    ['plan', /frontier/],
  ])('prints stage %s', async (stage, sign) => {
    expect(ok(await runCli(['inspect', TINY_MODEL, '--stage', stage])).stdout).toMatch(sign);
  });

  it('shows what a pattern leaves out beside the same with nothing dropped', async () => {
    const { stdout } = ok(await runCli(['inspect', TINY_MODEL, '--lora', '--drop', 'layers.0.attn,layers.0.mlp,layers.4.attn', '--json']));
    const { pattern, nothingDropped } = JSON.parse(stdout);
    expect(pattern).toMatchObject({ dropped: ['layers.0.attn', 'layers.0.mlp', 'layers.4.attn'], frontier: 'layers.1.attn' });
    for (const key of ['backwardFlops', 'bytesMoved', 'savedBytes', 'dispatches']) expect(pattern[key]).toBeLessThan(nothingDropped[key]);
    expect(pattern.forwardFlops).toBe(nothingDropped.forwardFlops);
    const drawn = ok(await runCli(['inspect', TINY_MODEL, '--drop-rate', '0.5', '--seed', '1', '--cost']));
    expect(drawn.stdout).toMatch(/nothing dropped[\s\S]*saved activations/);
  });
});

describe('about the machine and the program', () => {
  it('train --profile and inspect --measure time every kernel', async () => {
    const out = at('profiled');
    const trained = ok(
      await runCli(['train', '--model', TINY_MODEL, '--data', QUESTIONS, '--steps', '4', '--length', '16', '--lora', '--out', out, '--profile']),
    );
    expect(trained.stderr).toMatch(/unit +runs +ms[\s\S]*layers\.5\.mlp backward[\s\S]*dispatches, one at a time/);
    const { traceEvents } = JSON.parse(readFileSync(join(out, 'profile', 'trace-0.json'), 'utf8'));
    expect(traceEvents.filter((e: { tid: number; ph: string }) => e.tid === 2 && e.ph === 'X').length).toBeGreaterThan(100);
    expect(existsSync(join(out, 'profile', 'trace-1.json'))).toBe(false);
    const measured = JSON.parse(ok(await runCli(['inspect', TINY_MODEL, '--measure', '--length', '16', '--drop', 'layers.3.mlp', '--json'])).stdout);
    expect(measured.dispatches).toBeGreaterThan(100);
    const units = measured.byUnit.map((r: { name: string }) => r.name);
    expect(units).toContain('layers.3.attn backward');
    expect(units).not.toContain('layers.3.mlp backward');
    expect(measured.ms).toBeCloseTo(
      measured.byKernel.reduce((sum: number, r: { ms: number }) => sum + r.ms, 0),
      6,
    );
  });

  it('tune measures what is not known, keeps it for training and doctor, and stops at its budget', async () => {
    const env = { EBB_TUNE: 'on', XDG_CACHE_HOME: at('tune-cache') };
    const args = ['tune', TINY_MODEL, '--batch', '1', '--length', '32', '--json'];
    const first = JSON.parse(ok(await runCli([...args, '--budget', '6'], undefined, env)).stdout);
    expect(first.measured.length).toBeGreaterThan(0);
    const [entry] = first.measured;
    expect(entry.trials[0].ms).toBeLessThanOrEqual(entry.trials.at(-1).ms ?? Number.POSITIVE_INFINITY);
    const doctor = JSON.parse(ok(await runCli(['doctor', '--json'], undefined, env)).stdout);
    expect(doctor.schedules).toEqual({ file: first.file, entries: first.measured });
    const second = JSON.parse(ok(await runCli([...args, '--budget', '1'], undefined, env)).stdout);
    expect(second.measured.length + second.left).toBe(first.left);
    const off = await runCli(args);
    expect(off).toMatchObject({ code: 1, stderr: 'ebb: EBB_TUNE=off turns tuning off; unset it to measure\n' });
  });

  it('doctor names the adapters, the choice, limits and speeds', async () => {
    const report = JSON.parse(ok(await runCli(['doctor', '--json'])).stdout);
    expect(report).toMatchObject({ adapters: expect.any(Array), limits: expect.any(Object) });
    expect(JSON.stringify(report)).toMatch(/gflops/i);
  });

  it('check says what a file is and whether it can be used', async () => {
    expect(
      ok(await runCli(['check', TINY_MODEL, QUESTIONS]))
        .stdout.trim()
        .split('\n'),
    ).toHaveLength(2);
  });

  it('the demo fine-tunes, generates before and after, and closes with a table', async () => {
    const { stdout, stderr } = ok(await runCli(['demo', '--steps', '18']));
    expect(stderr).toMatch(/before, "Tom has"[\s\S]*step 18\/18[\s\S]*after:/);
    expect(stdout).toMatch(/whole\s+with DropBP\s+saved[\s\S]*time[\s\S]*backward[\s\S]*saved activations/);
    const [, before, after] = /held-out loss ([\d.]+) -> ([\d.]+)/.exec(stdout)!;
    expect(Number(after)).toBeLessThan(0.95 * Number(before));
  });

  it('helps everywhere', async () => {
    const { stdout } = ok(await runCli(['--help']));
    const commands = [...stdout.matchAll(/^ {2}(\w+) /gm)].map((m) => m[1]!).filter((name) => name !== 'help');
    expect(commands).toEqual(expect.arrayContaining(['train', 'eval', 'generate', 'forward', 'grad', 'inspect', 'check', 'doctor', 'tune', 'demo']));
    for (const command of commands) expect(ok(await runCli([command, '--help'])).stdout).toMatch(/Usage: ebb/);
    expect((await runCli(['frobnicate'])).code).toBe(1);
  });
});

it('a cache that cannot be written is gone without, or named: no command ends with a stack', async () => {
  const env = { XDG_CACHE_HOME: '/dev/null/cache', XDG_RUNTIME_DIR: undefined };
  const doctor = await runCli(['doctor'], undefined, env);
  expect(doctor.stderr).not.toMatch(/\n {4}at /);
  // SwiftShader is unpacked into the cache; other devices need none
  expect(doctor.code === 0 ? doctor.stdout : doctor.stderr).toMatch(/device|adapter/);
  const data = ok(await runCli(['data', QUESTIONS, '--model', TINY_MODEL, '--limit', '3'], undefined, env));
  expect(data.stdout).toMatch(/tokens are not kept for the next start: \/dev\/null\/cache/);
});
