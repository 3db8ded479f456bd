/** @file A run killed again and again, wherever it was, comes to what the run comes to that nobody killed: losses, patterns, adapter, sensitivities. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, runCli, TINY_MODEL } from '../support/cli.ts';
import { killedAt, type Moment } from '../support/mishaps.ts';
import { readEvents } from '../support/readEvents.ts';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-killed-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));
const at = (...names: string[]): string => join(scratch, ...names);

// the weights depend on what was measured: a plan that lost it, or measured it at another step, shows in every loss behind it
const RUN = `
model: ${TINY_MODEL}
data: ${join(ROOT, 'examples/demo/questions.jsonl')}
steps: 10
saveEvery: 2
batch: 1
length: 24
lora: { rank: 2, dropout: 0.1, layers: ["*.q_proj", "*.down_proj"] }
optimizer: { name: adamw, lr: 0.01 }
drop: { kind: dropbp, rate: 0.5, after: 0.3, batches: 1, allocation: optimal }
seed: 3
`;

/** Where the run is killed, and what it says before where it went on with something. */
const MOMENTS: readonly (readonly [string, Moment, RegExp?])[] = [
  ['in the checkpoint of step 2, behind its tensors', { call: 'openSync', path: 'step-00000002.*state.json', nth: 1 }],
  ['in the line of step 3, when sensitivities were measured', { call: 'writeSync', path: 'metrics', nth: 4, torn: true }],
  ['while metrics are cut to step 2', { call: 'renameSync', path: 'metrics', nth: 1 }],
  ['at the rename of the checkpoint of step 4', { call: 'renameSync', path: 'step-00000004.partial$', nth: 1 }, /resumed at step 2/],
  ['before the first checkpoint is removed', { call: 'rmSync', path: 'step-00000002$', nth: 1 }, /resumed at step 2/],
  ['while the adapter of step 10 becomes the result', { call: 'renameSync', path: 'killed/result/adapter_model', nth: 2 }, /resumed at step 6/],
];

interface Line {
  readonly step: number;
  readonly ms: number;
}
const linesOf = (run: string): Omit<Line, 'ms'>[] =>
  readFileSync(at(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const { ms: _ms, ...rest } = JSON.parse(line) as Line;
      return rest;
    });
const isEvents = (name: string): boolean => name.startsWith('events.out.tfevents.');
/** Where a run stood in the end, without which of the two runs it is. */
function stateOf(run: string): object {
  const { run: _run, ...state } = JSON.parse(readFileSync(at(run, 'checkpoints', 'step-00000010', 'state.json'), 'utf8')) as { readonly run: string };
  return state;
}

it('is the run that nobody killed', async () => {
  writeFileSync(at('run.yaml'), RUN);
  const train = (run: string, env: NodeJS.ProcessEnv = {}, ...flags: string[]) => runCli(['train', at('run.yaml'), '--out', at(run), ...flags], undefined, env);
  const whole = await train('whole');
  expect({ code: whole.code, stderr: whole.code === 0 ? '' : whole.stderr }).toEqual({ code: 0, stderr: '' });
  expect(whole.stderr).toMatch(/step 3: sensitivities measured/);
  for (const [name, moment, said] of MOMENTS) {
    const { signal, stderr } = await train('killed', killedAt(moment), '--resume');
    expect({ name, signal, stderr: signal === 'SIGKILL' ? '' : stderr }).toEqual({ name, signal: 'SIGKILL', stderr: '' });
    if (said) expect(stderr).toMatch(said);
  }
  const last = await train('killed', {}, '--resume');
  expect(last.stderr).toMatch(/resumed at step 10/);
  expect(linesOf('killed')).toEqual(linesOf('whole'));
  expect(linesOf('killed').map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(stateOf('killed')).toEqual(stateOf('whole'));
  const adapters = ['killed', 'whole'].map((run) => readFileSync(at(run, 'result', 'adapter_model.safetensors')));
  expect(adapters[0]!.equals(adapters[1]!)).toBe(true);
  // nothing half written is left
  const files = (run: string): string[] => readdirSync(at(run), { recursive: true }).map(String).sort();
  expect(files('killed').filter((name) => !isEvents(name))).toEqual(files('whole').filter((name) => !isEvents(name)));
  // each time the run went on with events of its own, and TensorBoard shows no step twice
  const losses = (run: string) =>
    readEvents(
      files(run)
        .filter(isEvents)
        .map((name) => readFileSync(at(run, name))),
    ).get('train/loss');
  expect(losses('whole')).toHaveLength(10);
  expect(losses('killed')).toEqual(losses('whole'));
});
