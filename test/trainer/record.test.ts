/** @file What a run records of itself: both kinds of lines, the same numbers for TensorBoard, and disks that take nothing for a while. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cutMetrics, readMetrics } from '../../src/run/metrics.ts';
import { openRecord, removeRecord } from '../../src/run/record.ts';
import type { StepMetrics } from '../../src/train/loop.ts';
import { messageOf } from '../formats/fixtureFolder.ts';
import { readEvents } from '../support/readEvents.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-record-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const line = (step: number): StepMetrics => ({
  step,
  loss: 4 / step,
  losses: [4 / step],
  lr: 0.5,
  gradNorm: 2,
  tokens: 100,
  ms: 50,
  dropped: [['a']],
  forwardFlops: 1,
  backwardFlops: 1,
  savedBytes: 1,
  peakBytes: 4096,
});
const file = (name: string): string => join(folder, name);
const lines = (): unknown[] =>
  readFileSync(file('metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text));
const events = () =>
  readEvents(
    readdirSync(folder)
      .filter((name) => name.startsWith('events.out.tfevents.'))
      .sort()
      .map((name) => readFileSync(file(name))),
  );

it('keeps steps and held-out losses, for TensorBoard too; a run that goes on has no point twice', () => {
  const said: string[] = [];
  const first = openRecord(folder, 0, 4, (text) => said.push(text));
  expect(first.lastLoss()).toBeNaN();
  first.heldOut({ step: 0, heldOut: 3.5 });
  for (const step of [1, 2, 3]) first.step(line(step));
  first.heldOut({ step: 2, heldOut: 2.5 });
  first.heldOut({ step: 3, heldOut: 2.25 });
  // killed here, with a checkpoint of step 2
  cutMetrics(folder, 2);
  const second = openRecord(folder, 2, 4, (text) => said.push(text));
  expect(second.lastLoss()).toBe(2);
  second.heldOut({ step: 2, heldOut: 2.5 });
  second.step(line(3));
  second.heldOut({ step: 3, heldOut: 2.125 });
  second.end();
  expect(said).toEqual([]);
  expect(lines()).toEqual([{ step: 0, heldOut: 3.5 }, line(1), line(2), { step: 2, heldOut: 2.5 }, line(3), { step: 3, heldOut: 2.125 }]);
  const { steps, heldOut } = readMetrics(folder);
  expect(steps.map(({ step, loss }) => [step, loss])).toEqual([1, 2, 3].map((step) => [step, 4 / step]));
  expect(heldOut.map(({ step, heldOut: loss }) => [step, loss])).toEqual([
    [0, 3.5],
    [2, 2.5],
    [3, 2.125],
  ]);
  const thrice = (value: number) => [1, 2, 3].map((step) => [step, value]);
  expect(events()).toEqual(
    new Map<string, unknown>([
      [
        'eval/loss',
        [
          [0, 3.5],
          [2, 2.5],
          [3, 2.125],
        ],
      ],
      ['train/loss', [1, 2, 3].map((step) => [step, Math.fround(4 / step)])],
      ['train/learning_rate', thrice(0.5)],
      ['train/grad_norm', thrice(2)],
      ['train/dropped_share', thrice(0.25)],
      ['train/tokens_per_second', thrice(2000)],
      ['train/activation_bytes', thrice(4096)],
    ]),
  );
  writeFileSync(file('events.out.tfevents.1.somebody'), '');
  removeRecord(folder);
  expect(readdirSync(folder)).toEqual(['events.out.tfevents.1.somebody']);
});

it('a held-out loss that is no number is kept as such; of several at a step the last counts; other lines are refused by their number', () => {
  const record = openRecord(folder, 0, 1, () => {});
  record.heldOut({ step: 0, heldOut: Number.NaN });
  record.heldOut({ step: 4, heldOut: 1 });
  record.heldOut({ step: 4, heldOut: 2 });
  expect(readMetrics(folder).heldOut).toEqual([
    { step: 0, heldOut: Number.NaN },
    { step: 4, heldOut: 2 },
  ]);
  expect(readMetrics(folder).steps).toEqual([]);
  writeFileSync(file('metrics.jsonl'), '{"step":1,"heldOut":"low"}\n{"step":1,"loss":1,"ms":2}\n');
  expect(messageOf(() => readMetrics(folder))).toMatch(
    /metrics\.jsonl: line 1: expected step, loss and ms .*, or step and heldOut .*, found \{"step":1,"heldOut":"low"\}/,
  );
  // a run goes on without what cannot be read
  cutMetrics(folder, 9);
  expect(lines()).toEqual([{ step: 1, loss: 1, ms: 2 }]);
});

it('lines that cannot be written are kept, warned of once, and written when that is possible again', () => {
  const said: string[] = [];
  mkdirSync(file('run'));
  const record = openRecord(file('run'), 0, 1, (text) => said.push(text));
  record.step(line(1));
  renameSync(file('run'), file('away'));
  record.step(line(2));
  record.step(line(3));
  expect(said.map((text) => text.replace(folder, ''))).toEqual([
    expect.stringMatching(/^\/run\/metrics\.jsonl: no such file or folder; the run goes on, and keeps its lines until they can be written$/),
    expect.stringMatching(/^\/run\/events.*: no such file or folder; the run goes on, and keeps its events/),
  ]);
  renameSync(file('away'), file('run'));
  record.step(line(4));
  record.end();
  expect(said.slice(2)).toEqual([expect.stringMatching(/metrics\.jsonl: can be written again/), expect.stringMatching(/events.*: can be written again/)]);
  expect(readMetrics(file('run')).steps.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
});

it('a disk that stays full loses lines and not the run, and the number of lines is said', () => {
  const said: string[] = [];
  const record = openRecord(folder, 0, 1, (text) => said.push(text));
  symlinkSync('/dev/full', file('metrics.jsonl'));
  for (const step of [1, 2]) record.step(line(step));
  record.end();
  record.end();
  expect(said.map((text) => text.replace(`${folder}/`, ''))).toEqual([
    'metrics.jsonl: no space left on the disk; the run goes on, and keeps its lines until they can be written',
    'metrics.jsonl: 2 lines of the run could not be written, and are lost',
  ]);
});
