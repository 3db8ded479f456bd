/**
 * @file What earlier versions wrote, one folder a version: each sample is read with the values it had then, or refused in a sentence
 * that names the version found and says what to do. README.md says what the samples are.
 */

import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readCurve } from '../../src/run/readCurve.ts';
import { type Choice } from '../../src/codegen/kernel/lower/choice.ts';
import { PLAIN } from '../../src/codegen/kernel/matmul/register/schedule.ts';
import { type Schedule } from '../../src/codegen/kernel/schedules.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { readPeft } from '../../src/formats/peft.ts';
import { widen } from '../../src/formats/weights.ts';
import { openSafetensors, readFloats } from '../../src/formats/safetensors.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { printModule } from '../../src/ir/print.ts';
import { verify } from '../../src/ir/verify.ts';
import { PLAN_VERSION, type Plan } from '../../src/runtime/planFile.ts';
import { PROGRAM_VERSION } from '../../src/runtime/program.ts';
import { parseConfig } from '../../src/train/config.ts';
import { type StepMetrics } from '../../src/train/loop.ts';
import { isStep, type MetricsLine } from '../../src/run/metrics.ts';
import { readRunFile } from '../../src/run/runFile.ts';
import { filesOf, loadTrainer } from '../../src/trainer/package.ts';
import { bookChooser, emptyBook, type ScheduleBook } from '../../src/tune/book.ts';
import { openBook, readBook } from '../../src/tune/file.ts';
import { readJson, subfolders } from '../formats/fixtureFolder.ts';
import { runCli } from '../support/cli.ts';
import { expectClose } from '../support/close.ts';
import { boundsOf, linkerOf } from '../support/linkers.ts';

/** Between adapters; the samples were written on SwiftShader. */
const NEAR = 1e-4;

/**
 * Samples that are refused by now, by their path under this folder, with the words the refusal must contain: the version found, and what to
 * do. What is not listed must be read. A compiled package says itself whether it is of this version.
 */
const REFUSED: Readonly<Record<string, readonly string[]>> = {};


let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-compat-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

/** Checks a sample: `check` reads and compares it, and throws what a person would be told where it is refused. */
async function expectReadOrRefused(path: string, check: () => unknown): Promise<void> {
  const words = REFUSED[relative(__dirname, path)];
  if (words === undefined) return void (await check());
  const message = await Promise.resolve()
    .then(check)
    .then(
      () => 'nothing was refused',
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
  expect(message.split('\n')).toHaveLength(1);
  for (const word of words) expect(message).toContain(word);
}

const filesIn = (folder: string, ending: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name))
    .sort();

/** @throws Error with what the command said where it fails */
async function ran(...args: string[]): Promise<void> {
  const { code, stderr } = await runCli(args);
  if (code !== 0) throw new Error(stderr.trim());
}

const linesOf = (run: string): StepMetrics[] =>
  readFileSync(join(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as MetricsLine)
    .filter(isStep);

/** What a version read in a run file, under the names that keys have by now. It shuffled where nothing was given, which now depends on the data. */
const renamed = ({ adapter, shuffle, tune, ...rest }: { readonly adapter: string; readonly shuffle: boolean; readonly tune: unknown }): object => ({
  ...rest,
  device: adapter,
  ...(shuffle ? {} : { shuffle }),
  // the default of then
  ...(tune === 20 ? {} : { tune }),
});

/** What of a step's line is the same on every device. */
const drawn = ({ step, lr, tokens, dropped, skipped }: StepMetrics): object => ({ step, lr, tokens, dropped, skipped });

/** The folder of a run's result, which is an adapter or a model. */
const resultOf = (run: string): string => join(run, ['result', 'adapter'].find((name) => existsSync(join(run, name))) ?? 'model');

/** The tensors of a result, by name. */
function tensorsOf(result: string): Map<string, Float32Array> {
  if (existsSync(join(result, 'adapter_config.json'))) return new Map([...readPeft(result).tensors].map(([name, { read }]) => [name, read()]));
  return new Map([...openCheckpoint(result).tensors].map(([name, source]) => [name, widen(source)]));
}

function expectSameTensors(found: string, wanted: string): void {
  const [a, b] = [tensorsOf(found), tensorsOf(wanted)];
  expect([...a.keys()].sort()).toEqual([...b.keys()].sort());
  for (const [name, values] of b) expectClose(a.get(name)!, values, NEAR, name);
}

const versions = subfolders(__dirname).filter((name) => /^\d+\.\d+\.\d+$/.test(name));

it('holds samples of the version that came before the first change', () => expect(versions).toContain('0.1.0'));

describe.each(versions)('%s', (version) => {
  const folder = join(__dirname, version);
  const runs = subfolders(join(folder, 'runs')).map((name) => join(folder, 'runs', name));

  it.each(filesIn(join(folder, 'configs'), '.yaml').map((path) => [basename(path), path]))('run.yaml: %s is read as it was', (_name, path) =>
    expectReadOrRefused(path, () => {
      expect(parseConfig(readRunFile(path), path)).toMatchObject(renamed(readJson(path.replace(/yaml$/, 'json')) as Parameters<typeof renamed>[0]));
    }),
  );

  describe.each(runs.map((path) => [basename(path), path]))('run folder: %s', (name, run) => {
    // Version 0.1.0 counted steps from 0.
    const lines = linesOf(run).map((line) => ({ ...line, step: line.step + 1 }));

    it('its config is that of the run it was started with', () =>
      expectReadOrRefused(join(run, 'config.yaml'), () => {
        const started = parseConfig(readRunFile(join(folder, 'configs', `run-${name}.yaml`)), 'run.yaml');
        expect(parseConfig(readRunFile(join(run, 'config.yaml')), 'config.yaml')).toMatchObject(started);
      }));

    it('its losses are read, to be drawn beside others', () =>
      expectReadOrRefused(join(run, 'metrics.jsonl'), () => {
        expect(readCurve(run).points.map(({ step, loss }) => [step, loss])).toEqual(lines.map(({ step, loss }) => [step, loss]));
      }));

    it('goes on from its checkpoint to the losses and the result that the whole run had', () =>
      expectReadOrRefused(join(run, 'checkpoints'), async () => {
        const copy = join(scratch, `${version}-${name}`);
        cpSync(run, copy, { recursive: true });
        rmSync(resultOf(copy), { recursive: true });
        const [checkpoint, ...more] = subfolders(join(run, 'checkpoints'));
        expect(more).toEqual([]);
        const { step } = readJson(join(run, 'checkpoints', checkpoint!, 'state.json')) as { step: number };
        await ran('train', join(copy, 'config.yaml'), '--out', copy, '--resume');
        const found = linesOf(copy);
        expect(found.slice(0, step)).toEqual(lines.slice(0, step));
        expect(lines.length).toBeGreaterThan(step);
        expect(found.map(drawn)).toEqual(lines.map(drawn));
        expectClose(
          found.flatMap((line) => line.losses),
          lines.flatMap((line) => line.losses),
          NEAR,
          'losses',
        );
        expectSameTensors(resultOf(copy), resultOf(run));
      }));

    it('its result gives the logits it gave', () =>
      expectReadOrRefused(resultOf(run), async () => {
        const result = resultOf(run);
        const { lora } = parseConfig(readRunFile(join(run, 'config.yaml')), 'config.yaml');
        if (lora !== false && lora.from === undefined) {
          const { rank, alpha, useRslora, dropout } = readPeft(result);
          expect({ rank, alpha, rslora: useRslora, dropout }).toEqual({ rank: lora.rank, alpha: lora.alpha, rslora: lora.rslora, dropout: lora.dropout });
        }
        const out = join(scratch, `${version}-${name}.safetensors`);
        const model = lora === false ? [result] : [join(folder, 'model'), '--adapter', result];
        await ran('forward', ...model, '--batch', join(folder, 'data', 'probe.safetensors'), '--out', out);
        const wanted = readFloats(openSafetensors(join(folder, 'logits', `${name}.safetensors`)), 'logits');
        expectClose(readFloats(openSafetensors(out), 'logits'), wanted, NEAR, 'logits');
      }));
  });

  it('a compiled package of this version is read and links; of another it is refused with both versions', async () => {
    const stored = readJson(join(folder, 'package', 'plan.json')) as Plan;
    const load = () => loadTrainer(filesOf(pathToFileURL(`${join(folder, 'package')}/`)));
    const other = (
      [
        ['version', stored.version, PLAN_VERSION],
        ['program', stored.program, PROGRAM_VERSION],
      ] as const
    ).find(([, found, own]) => found !== own);
    if (other) {
      const [field, found, own] = other;
      await expect(load()).rejects.toMatchObject({
        name: 'EbbError',
        message: `plan.json: ${field} is ${found}, this Ebb reads ${own}; compile the model again with this Ebb`,
      });
      return;
    }
    const { program, about } = await load();
    expect({ about, calls: program.calls, params: program.params }).toEqual({ about: stored.about, calls: stored.calls, params: stored.params });
    const linker = linkerOf(program, boundsOf(program));
    const units = program.calls.filter((c) => c.unit).map((c) => c.site);
    const all = program.params.flatMap((p, i) => (p.trainable ? [i] : []));
    expect([...linker.link(new Map()).touched].sort()).toEqual(all.sort());
    for (const unit of units) {
      const { kept, touched } = linker.link(new Map([[unit, 'dropped' as const]]));
      expect(kept).not.toContain(unit);
      const own = program.calls.find((c) => c.site === unit)!.arguments.flatMap((a) => (a.kind === 'param' ? [a.param] : []));
      expect(own.filter((param) => touched.has(param))).toEqual([]);
    }
  });

  it.each(filesIn(folder, '.ebb').map((path) => [relative(folder, path), path]))('%s parses, and prints as it was', (_name, path) =>
    expectReadOrRefused(path, () => {
      const text = readFileSync(path, 'utf8');
      const module = parseModule(text, path);
      verify(module);
      expect(printModule(module, { locs: / loc\(/.test(text) }).trim()).toBe(text.trim());
    }),
  );

  const books = [...filesIn(join(folder, 'schedules'), '.json'), ...filesIn(join(folder, 'runs'), 'schedules.json')];
  it.each(books.map((path) => [relative(folder, path), path]))(
    '%s: measured schedules are read and used, but not where kernels are made in another way',
    (_name, path) =>
      expectReadOrRefused(path, () => {
        const stored = readJson(path) as StoredBook;
        const { surroundings } = stored;
        expect(stored).toMatchObject(inOldWords(readBook(path)));
        const book = openBook(surroundings, path);
        expect(book).toEqual(readBook(path));
        expect(Object.keys(book.entries)).toEqual(Object.keys(stored.entries));
        // A machine whose kernels come from another generator measures again.
        expect(openBook({ ...surroundings, generator: surroundings.generator + 1 }, path).entries).toEqual({});
        for (const [key, { kind, trials }] of Object.entries(book.entries)) {
          const choice = (schedule: Schedule): Choice => ({ schedule, lower: () => { throw new Error('nothing is lowered here'); } });
          const standard = choice(PLAIN);
          const asked = { key, kind, name: key, standard, plain: standard, candidates: [], choice };
          expect(bookChooser(book)(asked).schedule).toEqual(trials[0]!.schedule);
          expect(bookChooser(emptyBook(surroundings))(asked)).toBe(standard);
        }
      }),
  );
});

/** A book as a file has it, whatever its version. */
interface StoredBook extends Pick<ScheduleBook, 'surroundings'> {
  readonly entries: Readonly<Record<string, object>>;
}

/** A book with its schedules in the words of version 1, which had other ones for some fields. Fields that a kind had no use for are not among them. */
function inOldWords({ version: _version, ...book }: ScheduleBook): object {
  const words = (schedule: Schedule): object => {
    switch (schedule.kind) {
      case 'register': {
        const { scalarLoads, ...same } = schedule;
        return { ...same, vectorA: !scalarLoads, vectorB: !scalarLoads };
      }
      case 'subgroup':
        return { ...schedule, lanes: [schedule.lanes, 1] };
      case 'shared': {
        const { twoBuffers, ...same } = schedule;
        return { ...same, buffers: twoBuffers ? 2 : 1 };
      }
      case 'matrix': {
        const { twoBuffers, subgroups, ...same } = schedule;
        return { ...same, lanes: subgroups, buffers: twoBuffers ? 2 : 1 };
      }
      case 'spread':
        return { ...schedule, kind: 'subgroup', splits: 1, dimLanes: 1 };
      case 'rows':
        return schedule;
    }
  };
  const entries = Object.entries(book.entries).map(([key, { trials, ...entry }]) => [
    key,
    { ...entry, trials: trials.map(({ schedule, ...measured }) => ({ ...measured, schedule: words(schedule) })) },
  ]);
  return { ...book, entries: Object.fromEntries(entries) };
}

it('samples that are refused exist', () => {
  expect(Object.keys(REFUSED).filter((path) => !existsSync(join(__dirname, path)))).toEqual([]);
});
