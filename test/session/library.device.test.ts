/** @file The library: what a program fine-tunes, loads and saves; how it is told, and how it ends early. */

import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, type FinetuneOptions, finetune, inspect, loadModel, type Progress, plan } from '../../src/index.ts';
import { loadAdapter } from '../../src/run/adapter.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';
import { ROOT } from '../support/cli.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

const model = join(ROOT, 'examples/tiny-llama/model');
const data = join(ROOT, 'examples/demo/questions.jsonl');
let device: TestDevice;
let folder: string;
beforeAll(async () => {
  device = await openTestDevice();
  folder = mkdtempSync(join(tmpdir(), 'ebb-library-'));
});
afterAll(() => {
  device.device.destroy();
  rmSync(folder, { recursive: true });
});

const options = (more: Partial<FinetuneOptions> = {}): FinetuneOptions => ({
  model,
  data,
  device: { ...device, why: 'the test' },
  out: join(folder, 'run'),
  lora: { rank: 4 },
  optimizer: { lr: 3e-3 },
  steps: 4,
  batch: 2,
  length: 64,
  saveEvery: 2,
  tune: 'off',
  ...more,
});

it('fine-tunes, is told of every step, and its adapter is found by the run, a checkpoint and its own folder', async () => {
  const losses: number[] = [];
  const told: Progress['kind'][] = [];
  const report = await finetune(options({ drop: 0.5, onStep: ({ step, loss }) => (losses[step] = loss), onProgress: ({ kind }) => void told.push(kind) }));
  expect(Object.keys(losses)).toEqual(['1', '2', '3', '4']);
  expect(report).toMatchObject({ steps: 4, interrupted: false, loss: losses[4], result: `${join(folder, 'run')}/result` });
  expect(told.filter((kind) => kind === 'step')).toHaveLength(4);
  expect(told).toContain('note');

  const [whole, own] = [loadAdapter(report.out), loadAdapter(report.result!)];
  expect(whole.file).toBe(own.file);
  const checkpoint = loadAdapter(join(report.out, 'checkpoints/step-00000004'));
  expect(checkpoint.settings).toEqual(own.settings);
  expect([...checkpoint.weights.keys()].sort()).toEqual([...own.weights.keys()].sort());
  for (const [name, read] of own.weights) expect(checkpoint.weights.get(name)!()).toEqual(read());

  // Before its end a run stands for its newest checkpoint.
  const unfinished = join(folder, 'unfinished');
  cpSync(report.out, unfinished, { recursive: true });
  rmSync(join(unfinished, 'result'), { recursive: true });
  expect(loadAdapter(unfinished).path).toBe(join(unfinished, 'checkpoints/step-00000004/result'));

  const loaded = await loadModel(model, { device: { ...device, why: 'the test' }, adapter: report.out });
  const plain = await loadModel(model, { device: { ...device, why: 'the test' } });
  const [tuned, before] = [await loaded.evaluate(data, { limit: 8, length: 64 }), await plain.evaluate(data, { limit: 8, length: 64 })];
  expect(tuned.loss).toBeLessThan(before.loss);

  const pieces: string[] = [];
  for await (const piece of loaded.generate('Tom has', { maxNewTokens: 12 })) pieces.push(piece);
  expect(pieces.length).toBeGreaterThan(1);
  expect(await loaded.generate('Tom has', { maxNewTokens: 12 }).text()).toBe(pieces.join(''));

  const copy = join(folder, 'copy');
  await loaded.save(copy);
  expect(readdirSync(copy).sort()).toEqual(readdirSync(report.result!).sort());
  expect(readFileSync(join(copy, 'adapter_model.safetensors'))).toEqual(readFileSync(own.file));
  expect(await rejectionOf(loaded.save(copy))).toMatch(/is there already, and not empty; give a new folder/);
  loaded.close();
  plain.close();
});

it('an abort ends a run after its step, with a checkpoint; before the first step it rejects with the reason', async () => {
  const stop = new AbortController();
  const out = join(folder, 'aborted');
  const report = await finetune(options({ out, steps: 9, saveEvery: 0, signal: stop.signal, onStep: () => stop.abort(new Error('enough')) }));
  expect(report).toMatchObject({ interrupted: true, result: expect.stringMatching(/result$/) });
  expect(report.steps).toBeLessThan(9);
  expect(existsSync(join(out, 'checkpoints', `step-${String(report.steps).padStart(8, '0')}`))).toBe(true);
  await expect(finetune(options({ out: join(folder, 'never'), signal: stop.signal }))).rejects.toThrow('enough');
  expect(existsSync(join(folder, 'never'))).toBe(false);
  const resumed = await finetune(options({ out, steps: 9, saveEvery: 0, resume: true }));
  expect(resumed).toMatchObject({ steps: 9, interrupted: false });
});

it('an answer ends at its signal, and a prompt that does not fit is refused', async () => {
  const loaded = await loadModel(model, { device: { ...device, why: 'the test' }, contextLength: 24 });
  const stop = new AbortController();
  const seen: string[] = [];
  const answer = (async () => {
    for await (const piece of loaded.generate('Tom has', { maxNewTokens: 16, signal: stop.signal })) {
      seen.push(piece);
      stop.abort(new Error('enough'));
    }
  })();
  await expect(answer).rejects.toThrow('enough');
  expect(seen.length).toBeGreaterThan(0);
  await expect(loaded.generate('Tom has '.repeat(40)).text()).rejects.toThrow(/the context holds 24; shorten the prompt or ask for fewer tokens/);
  loaded.close();
});

it('answers that are asked for at once are made one after the other, and a longer one takes no room from another', async () => {
  const loaded = await loadModel(model, { device: { ...device, why: 'the test' } });
  const alone = (prompt: string) => loaded.generate(prompt, { maxNewTokens: 8 }).text();
  const [a, b] = [await alone('Tom has'), await alone('The king')];
  expect(await Promise.all([alone('Tom has'), alone('The king')])).toEqual([a, b]);
  const stream = loaded.generate('Tom has', { maxNewTokens: 8 })[Symbol.asyncIterator]();
  const first = await stream.next();
  const long = await loaded.generate('Tom has '.repeat(120), { maxNewTokens: 2 }).text();
  expect(long.length).toBeGreaterThan(0);
  let rest = String(first.value);
  for (let next = await stream.next(); !next.done; next = await stream.next()) rest += next.value;
  expect(rest).toBe(a);
  loaded.close();
});

it('a call that fails leaves the model usable, a text is read once, and a closed model says so', async () => {
  const loaded = await loadModel(model, { device: { ...device, why: 'the test' } });
  for (const wrong of [{ maxNewTokens: Number.NaN }, { temperature: -1 }, { topP: 0 }, { seed: 1.5 }, { topK: 3 }, { tempature: 1 }] as object[])
    expect(() => loaded.generate('Tom has', wrong)).toThrow(/^(an answer: .*(maxNewTokens|temperature|topP|seed|tempature)|topK \(3\): at temperature 0)/);
  expect(() => loaded.generate(5 as never)).toThrow('the prompt is 5, expected a text');
  expect(() => loaded.chat([])).toThrow('expected a list of messages');
  await expect(loaded.generate('Tom '.repeat(2000)).text()).rejects.toThrow('shorten the prompt');
  const answer = loaded.generate('Tom has', { maxNewTokens: 2, temperature: undefined });
  expect((await answer.text()).length).toBeGreaterThan(0);
  await expect(answer.text()).rejects.toThrow('the text was read already');
  await expect(loaded.evaluate(data, { limit: 0 })).rejects.toThrow(/limit: is 0, expected at least 1/);
  loaded.close();
  loaded.close();
  expect(() => loaded.generate('Tom has')).toThrow('the model is closed');
  await expect(loaded.evaluate(data)).rejects.toThrow('the model is closed');
});

it('the adapter of a checkpoint is saved as PEFT writes one', async () => {
  const out = join(folder, 'kept');
  await finetune(options({ out, steps: 2, saveEvery: 1 }));
  const path = join(out, 'checkpoints/step-00000002');
  const loaded = await loadModel(model, { device: { ...device, why: 'the test' }, adapter: path });
  const copy = join(folder, 'of-checkpoint');
  await loaded.save(copy);
  loaded.close();
  const [saved, trained] = [loadAdapter(copy), loadAdapter(join(out, 'result'))];
  expect(saved.settings).toEqual(trained.settings);
  for (const [name, read] of trained.weights) expect(saved.weights.get(name)!()).toEqual(read());
});

it('values of options are checked by name', async () => {
  const stopped = AbortSignal.abort(new Error('enough'));
  await expect(loadModel(model, { signal: stopped })).rejects.toThrow('enough');
  await expect(loadModel(model, { contextLength: 1e9 })).rejects.toThrow('contextLength is 1000000000, and the model was made for 512 positions');
  await expect(loadModel(model, null as never)).rejects.toMatchObject({ name: 'EbbError' });
  await expect(finetune(undefined as never)).rejects.toThrow('finetune(): is given undefined, expected the keys of a run');
  await expect(finetune(options({ resume: 'false' as never }))).rejects.toThrow('finetune(): resume: is "false", expected true or false');
  await expect(finetune(options({ adapter: 'runs/base' } as object))).rejects.toThrow('a run goes on with a PEFT adapter by lora: { from: … }');
  await expect(compile(model, { dropRate: 2 })).rejects.toThrow('compile(): dropRate: is 2, expected at most 1');
  await expect(compile(model, { batch: Number.NaN })).rejects.toThrow('compile(): batch: is NaN, expected a number');
  await expect(inspect(model, { stage: 'nope' as never })).rejects.toThrow(/^inspect\(\): stage: is "nope", expected "trace"/);
});

it('other work ends at its signal, and nothing is written', async () => {
  const stopped = AbortSignal.abort(new Error('enough'));
  const out = join(folder, 'package');
  await expect(compile(model, { out, device: 'portable', signal: stopped })).rejects.toThrow('enough');
  expect(existsSync(out)).toBe(false);
  await expect(plan(options({ signal: stopped }))).rejects.toThrow('enough');
  await expect(inspect(model, { device: { ...device, why: 'the test' }, signal: stopped })).rejects.toThrow('enough');
});

it('errors have a code, and name what is wrong', async () => {
  const wrong = finetune({ ...options(), warmup: 3 } as FinetuneOptions);
  await expect(wrong).rejects.toMatchObject({ code: 'config', message: expect.stringMatching(/^finetune\(\): unknown key warmup/) });
  await expect(loadModel(join(folder, 'none'))).rejects.toMatchObject({ name: 'EbbError' });
});

it('plans and inspects without training', async () => {
  const { memory } = await plan(options({ out: join(folder, 'planned') }));
  expect(memory.total).toBeGreaterThan(0);
  const { text } = await inspect(model, { device: { ...device, why: 'the test' }, stage: 'trace', lora: true, length: 16, batch: 1 });
  expect(text).toContain('lora_A');
});

it('what goes on knows what is done: nothing is left for the same steps, and fewer are refused', async () => {
  const out = join(folder, 'goes-on');
  const first = await finetune(options({ out, steps: 2 }));
  const again: string[] = [];
  const note = ({ kind, ...rest }: Progress) => void (kind === 'note' && again.push(JSON.stringify(rest)));
  expect(await finetune(options({ out, steps: 2, resume: true, onProgress: note }))).toEqual({ ...first, out });
  expect(again.join()).toContain('all 2 steps are done already');
  expect(await rejectionOf(finetune(options({ out, steps: 1, resume: true })))).toMatch(
    /its newest checkpoint is of step 2, and the run is to have 1; give more steps/,
  );
});

it('waits for its listener, and ends with what that throws', async () => {
  const told: number[] = [];
  const onStep = async ({ step }: { step: number }) => {
    await new Promise((done) => setTimeout(done, 5));
    told.push(step);
    if (step === 2) throw new Error('enough');
  };
  await expect(finetune(options({ out: join(folder, 'listened'), onStep }))).rejects.toThrow('enough');
  expect(told).toEqual([1, 2]);
});

it('names all files that are not there, and options as a program writes them', async () => {
  const missing = { data: join(folder, 'a.jsonl'), evalData: join(folder, 'b.jsonl') };
  expect((await rejectionOf(finetune(options(missing)))).split('\n')).toEqual([
    'finetune(): 2 keys are wrong; paths are relative to the folder in which the program runs',
    `  data: ${missing.data}: no such file or folder`,
    `  evalData: ${missing.evalData}: no such file or folder`,
  ]);
  expect(await rejectionOf(finetune(options({ out: join(folder, 'goes-on') })))).toMatch(/go on with it \(resume\), or choose another folder \(out\)$/);
});
