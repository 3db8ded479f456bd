/**
 * @file Trials of a run that meets mishaps: it is killed at a random moment, its disk fills or becomes read-only, another run wants its folder. After each, the
 * folder is looked at, and the run goes on to what an undisturbed one comes to. The test does a few of each; scripts/mishaps.ts hundreds.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors, writeSafetensors } from '../../src/formats/safetensors.ts';
import { readMetrics } from '../../src/run/metrics.ts';
import { trainedMoment } from '../../src/run/results.ts';
import { type Mishap, mishapAt } from './mishaps.ts';

/** A small model of tokens, so that a run takes no time but that of starting. */
const NET = `import { crossEntropy, defineModel, embedding, linear, param, tanh, unit } from 'ebb';

export const model = defineModel({
  inputs: { words: { dtype: 'i32', shape: ['B', 'T'] }, wanted: { dtype: 'i32', shape: ['B', 'T'] } },
  dims: { B: 2, T: 4 },
  build: ({ words, wanted }) => {
    let x = embedding(param('embed', [12, 8]), words);
    for (let i = 0; i < 2; i++) x = unit(\`layers.\${i}\`, x, (y) => tanh(linear(\`layers.\${i}.w\`, y, { inputs: 8, outputs: 8 })));
    return crossEntropy(linear('head', x, { inputs: 8, outputs: 9 }), wanted);
  },
});
`;

const STEPS = 6;
const FLAGS = ['--save-every', '1', '--eval-every', '2', '--lr', '0.1', '--drop-rate', '0.5'];

/** A run as it ended. */
interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** A place with a compiled trainer, its data, and what an undisturbed run comes to. */
export interface TrialGround {
  readonly folder: string;
  /** The hash of the result after each step. */
  readonly results: ReadonlyMap<number, string>;
  /** Calls that write in an undisturbed run's folder. */
  readonly calls: number;
  /** Starts a run in a folder. */
  start(out: string, env?: NodeJS.ProcessEnv, resume?: boolean, steps?: number): { readonly child: ChildProcess; readonly ended: Promise<Ended> };
}

const hashOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
const weightsOf = (out: string, name = 'result'): string => join(out, name, 'model.safetensors');
const losses = (out: string) => readMetrics(out).steps.map(({ step, loss }) => ({ step, loss }));

/** Compiles the trainer, and trains it undisturbed. @param cli the built command line */
export async function trialGround(folder: string, cli: string): Promise<TrialGround> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'net.ts'), NET);
  const ids = (of: number) => Int32Array.from({ length: STEPS * 8 }, (_, i) => (i * 5 + (i >> 3)) % of);
  const tensors = Object.entries({ words: ids(12), wanted: ids(9) });
  writeSafetensors(
    join(folder, 'steps.safetensors'),
    tensors.map(([name, data]) => ({ name, dtype: 'I32', shape: [STEPS, 2, 4], data })),
  );
  const compiled = spawnSync(process.execPath, [cli, 'compile', 'net.ts', '--out', 'trainer', '--device', 'portable'], { cwd: folder, encoding: 'utf8' });
  if (compiled.status !== 0) throw new Error(compiled.stderr);
  const start: TrialGround['start'] = (out, env = {}, resume = false, steps = STEPS) => {
    const data = ['--data', join(folder, 'steps.safetensors'), '--eval-data', join(folder, 'steps.safetensors')];
    const args = [join(folder, 'trainer/trainer.js'), ...data, ...FLAGS, '--steps', String(steps), ...(resume ? ['--resume'] : []), '--out', out];
    const child = spawn(process.execPath, args, { cwd: folder, env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr?.on('data', (text: Buffer) => {
      stderr += text.toString();
    });
    return { child, ended: new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, stderr }))) };
  };
  const results = new Map<number, string>();
  const stepwise = join(folder, 'stepwise');
  for (let step = 1; step <= STEPS; step++) {
    const { code, stderr } = await start(stepwise, {}, true, step).ended;
    if (code !== 0) throw new Error(stderr);
    results.set(step, hashOf(weightsOf(stepwise)));
  }
  const counted = join(folder, 'counted');
  const whole = join(folder, 'whole');
  const { code, stderr } = await start(whole, mishapAt({ path: whole, nth: 1 }, { kind: 'count', into: counted })).ended;
  if (code !== 0) throw new Error(stderr);
  if (hashOf(weightsOf(whole)) !== results.get(STEPS)) throw new Error('a run in parts is another than the whole one');
  return { folder, results, calls: Number(readFileSync(counted, 'utf8')), start };
}

/** What is wrong with a folder as a mishap left it: a result that is none, or not that of its step. */
function wrongIn({ results, folder }: TrialGround, out: string): string[] {
  const wrong: string[] = [];
  for (const name of ['result', 'best']) {
    const file = weightsOf(out, name);
    if (!existsSync(file)) continue;
    const moment = trainedMoment(join(out, name));
    if (moment === null) wrong.push(`${name} does not say its step`);
    else if (name === 'result' && hashOf(file) !== results.get(moment.step)) wrong.push(`result of step ${moment.step} is not what an undisturbed run has`);
    else openSafetensors(file);
  }
  if (existsSync(join(out, 'metrics.jsonl'))) {
    const own = losses(out);
    const whole = losses(join(folder, 'whole'));
    if (JSON.stringify(own) !== JSON.stringify(whole.slice(0, own.length))) wrong.push(`metrics are ${JSON.stringify(own)}`);
  }
  return wrong;
}

/** Goes on with a run, and says what is wrong with what it comes to. */
async function wrongInTheEnd(ground: TrialGround, out: string): Promise<string[]> {
  const { code, stderr } = await ground.start(out, {}, true).ended;
  if (code !== 0) return [`going on ended with ${code}: ${stderr}`];
  const same = hashOf(weightsOf(out)) === ground.results.get(STEPS);
  return [...wrongIn(ground, out), ...(same ? [] : ['the result is another']), ...(losses(out).length === STEPS ? [] : ['steps are missing'])];
}

/** Whether a run that failed said why, in a sentence. */
const isTold = ({ code, stderr }: Ended): boolean => code === 0 || (code === 1 && !/\n {4}at /.test(stderr));

/** A kind of trial: what is wrong after it, nothing where all is well. @param random a number below 1 */
export type Trial = (ground: TrialGround, out: string, random: number) => Promise<string[]>;

async function withMishap(ground: TrialGround, out: string, random: number, mishap: Mishap): Promise<string[]> {
  const nth = 1 + Math.floor(random * ground.calls);
  const ended = await ground.start(out, mishapAt({ path: out, nth, torn: nth % 2 === 0 }, mishap)).ended;
  const said =
    mishap.kind === 'kill' ? (ended.signal === 'SIGKILL' ? [] : ['was not killed']) : isTold(ended) ? [] : [`ended with ${ended.code}: ${ended.stderr}`];
  const at = `at call ${nth} of ${ground.calls}`;
  return [...said, ...wrongIn(ground, out), ...(await wrongInTheEnd(ground, out))].map((text) => `${at}: ${text.replace(/data:text\S*/g, 'the hook')}`);
}

/** Kills a run after a time. */
async function killedAfter(ground: TrialGround, out: string, ms: number): Promise<string[]> {
  const { child, ended } = ground.start(out);
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  await ended;
  clearTimeout(timer);
  return [...wrongIn(ground, out), ...(await wrongInTheEnd(ground, out))];
}

/** The least digits of a random number, as another one. */
const other = (random: number): number => (random * 997) % 1;

/** The trials, by name. */
export const TRIALS: Readonly<Record<string, Trial>> = {
  'is killed': (ground, out, random) =>
    other(random) < 0.7 ? withMishap(ground, out, random, { kind: 'kill' }) : killedAfter(ground, out, 100 + random * 2000),
  'has a disk that is full, for good or for a while': (ground, out, random) =>
    withMishap(ground, out, random, { kind: 'fail', code: 'ENOSPC', calls: other(random) < 0.5 ? 1e9 : Math.ceil(20 * other(random)) }),
  'has a folder that becomes read-only': (ground, out, random) => withMishap(ground, out, random, { kind: 'fail', code: 'EROFS', calls: 1e9 }),
  async 'shares its folder with another run'(ground, out, random) {
    const one = ground.start(out);
    await new Promise((resolve) => setTimeout(resolve, random * 300));
    const both = await Promise.all([one.ended, ground.start(out).ended]);
    const codes = both.map(({ code }) => code).sort();
    const refused = both.filter(({ stderr }) => /another run is going on in it|holds a run already|another run has taken/.test(stderr));
    const said = codes.join() === '0,1' && refused.length === 1 ? [] : [`ended with ${JSON.stringify(both)}`];
    return [...said, ...wrongIn(ground, out), ...(await wrongInTheEnd(ground, out))];
  },
};

/** Does one trial in a new folder, which is removed where all is well. */
export async function tryOnce(ground: TrialGround, name: string, number: number, random: number): Promise<string[]> {
  const out = join(ground.folder, `run-${Object.keys(TRIALS).indexOf(name)}-${number}`);
  const wrong = (await TRIALS[name]?.(ground, out, random)) ?? [`there is no trial ${name}`];
  if (wrong.length === 0) rmSync(out, { recursive: true, force: true });
  return wrong;
}

/** A run on a disk that is too small, and then goes on when there is room. @param makeRoom makes the disk larger */
export async function fullDisk(ground: TrialGround, out: string, makeRoom: () => unknown): Promise<string[]> {
  const ended = await ground.start(out).ended;
  const wrong = [...(isTold(ended) ? [] : [`ended with ${ended.code}: ${ended.stderr}`]), ...wrongIn(ground, out)];
  makeRoom();
  return [...wrong, ...(await wrongInTheEnd(ground, out))];
}
