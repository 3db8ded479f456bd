/** @file What runs' folders say: states, best and last held-out losses, speed; folders that hold no run, or a broken one; a run that is followed while it is written. */

import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runsText } from '../../src/cli/text/runs.ts';
import { screen } from '../../src/cli/text/watch.ts';
import { listRuns, serveRun, watchRun } from '../../src/index.ts';
import { followMetrics } from '../../src/run/followMetrics.ts';
import { columnsOf } from '../../src/terminal/width.ts';
import { readView } from '../../src/watch/readRun.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ebb-runs-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const step = (n: number): object => ({ step: n, loss: 8 / n, ms: 250, tokens: 100, lr: 0.001, gradNorm: 2, dropped: [['a'], []], peakBytes: 2048 });
const heldOut = (n: number, loss: number | null): object => ({ step: n, heldOut: loss });
const text = (lines: readonly object[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

interface Folder {
  readonly steps?: number;
  readonly lines?: readonly object[];
  readonly checkpoint?: number;
  readonly result?: string;
  /** Whether a process of another machine holds it. */
  readonly isHeld?: boolean;
}

/** Writes the folder of a run, as runs leave it. */
function writeRun(name: string, { steps = 4, lines = [], checkpoint, result, isHeld = false }: Folder): string {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.yaml'), `model: models/some/tiny\nsteps: ${steps}\nlossOver: tokens\ndrop: { kind: uniform, rate: 0.5 }\n`);
  writeFileSync(join(folder, 'summary.json'), '{"trains":{"units":2}}');
  writeFileSync(join(folder, 'metrics.jsonl'), text(lines));
  if (checkpoint !== undefined) mkdirSync(join(folder, 'checkpoints', `step-${String(checkpoint).padStart(8, '0')}`), { recursive: true });
  if (result !== undefined) mkdirSync(join(folder, result));
  if (isHeld) {
    mkdirSync(join(folder, '.lock'));
    writeFileSync(
      join(folder, '.owner.json'),
      JSON.stringify({ id: 'a', folder: String(statSync(folder).ino), pid: 1, host: 'elsewhere', space: '', processStart: '', since: 'now' }),
    );
  }
  return folder;
}
const firstSteps = (count: number): object[] => Array.from({ length: count }, (_, i) => step(i + 1));

it('says of each run how it stands, its losses and its speed', () => {
  writeRun('runs/done', { lines: [heldOut(0, 9), ...firstSteps(4), heldOut(2, 1.5), heldOut(4, 2)], checkpoint: 4, result: 'adapter' });
  writeRun('runs/stopped', { lines: [...firstSteps(2), heldOut(2, null)], checkpoint: 2 });
  writeRun('runs/killed', { lines: firstSteps(3), checkpoint: 2 });
  writeRun('goes-on', { steps: 12, lines: firstSteps(3), isHeld: true });
  // a config need not name what has a default
  writeFileSync(join(writeRun('begins', { isHeld: true }), 'config.yaml'), 'model: m\n');
  const { runs, problems } = listRuns([root]);
  expect(problems).toEqual([]);
  expect(runs.map(({ folder, state }) => [folder.slice(root.length + 1), state])).toEqual([
    ['begins', 'running'],
    ['goes-on', 'running'],
    ['runs/done', 'done'],
    ['runs/killed', 'failed'],
    ['runs/stopped', 'interrupted'],
  ]);
  const [begins, goesOn, done, , stopped] = runs;
  expect(done).toEqual({
    folder: join(root, 'runs/done'),
    state: 'done',
    model: 'models/some/tiny',
    drop: 'uniform, rate 0.5',
    steps: { done: 4, of: 4 },
    latest: { loss: 2, smoothed: (8 + 4 + 8 / 3 + 2) / 4, lr: 0.001, gradNorm: 2, dropped: 0.25, activationBytes: 2048 },
    heldOut: { best: { step: 2, loss: 1.5 }, last: { step: 4, loss: 2 } },
    kept: { result: null, best: null },
    seconds: 1,
    secondsLeft: null,
    tokensPerSecond: 400,
  });
  expect(stopped!.heldOut).toEqual({ best: null, last: { step: 2, loss: Number.NaN } });
  expect(goesOn).toMatchObject({ secondsLeft: 9 * 0.25, heldOut: null });
  expect(begins).toMatchObject({ drop: 'none', steps: { done: 0, of: null }, latest: null, seconds: 0, tokensPerSecond: null, secondsLeft: null });
  // the first steps compile, and say nothing of the speed of a longer run
  const slow = [{ ...step(1), ms: 9e9 }, ...firstSteps(8).slice(1)];
  expect(listRuns([writeRun('slow', { lines: slow })]).runs[0]!.tokensPerSecond).toBe(400);
});

it('fits the terminal, however narrow, and says everything where there is none', () => {
  writeRun('a-run-in-a-folder-whose-name-is-long/first', { lines: [...firstSteps(4), heldOut(4, 2)], result: 'model' });
  writeRun('two', { lines: firstSteps(4) });
  const { runs } = listRuns([root]);
  const lines = (columns: number): string[] => runsText(runs, columns).split('\n');
  expect(lines(Number.POSITIVE_INFINITY)).toHaveLength(3);
  expect(lines(Number.POSITIVE_INFINITY)[1]).toMatch(/is-long\/first +done +4\/4 +2\.0000 @4 +2\.0000 +2\.0000 +1 s +400 +some\/tiny +uniform, rate 0\.5$/);
  expect(lines(80)).toHaveLength(5);
  expect(lines(80)[1]).toMatch(/^….*first +done/);
  for (const columns of [80, 60, 30]) for (const line of lines(columns)) expect(columnsOf(line)).toBeLessThanOrEqual(columns);
});

it('draws a run within its screen', () => {
  const view = readView(writeRun('run', { steps: 300, lines: [heldOut(0, 9), ...firstSteps(200), heldOut(200, 1)], isHeld: true }));
  for (const [columns, rows] of [
    [80, 23],
    [40, 12],
    [20, 4],
  ] as const) {
    const lines = screen(view, columns, rows);
    expect(lines.length).toBeLessThanOrEqual(rows);
    for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(columns);
  }
  const drawn = screen(view, 60, 23);
  expect(drawn.slice(1, 5)).toEqual([
    'step 200/300               50 s of training, about 25 s left',
    `${'█'.repeat(40)}${'░'.repeat(20)}`,
    'loss 0.0400  mean 0.0420  held-out 1.0000',
    '400 tok/s  dropped 25 %  lr 0.00100  gradient norm 2.00  ac…',
  ]);
  // the line falls from the first row to the last one, and held-out losses lie over it
  expect(drawn[6]).toMatch(/^ *9\.00 ┤o/);
  expect(drawn.at(-2)).toMatch(/┤.*⣀$/);
  expect(drawn.at(-1)).toMatch(/^ +0 +200$/);
  expect(screen(readView(writeRun('none', { isHeld: true })), 60, 23).at(-1)).toBe('no step yet');
});

it('refuses what holds no run; a broken run is told beside the others, and refused where it is named', () => {
  expect(messageOf(() => listRuns([root]))).toMatch(/holds no run, nor do folders up to 2 levels below; a run's folder holds config\.yaml and metrics\.jsonl/);
  expect(messageOf(() => listRuns([join(root, 'none')]))).toMatch(/none: no such file or folder$/);
  const broken = writeRun('broken', { lines: firstSteps(2) });
  appendFileSync(join(broken, 'metrics.jsonl'), `{"step":"3"}\n${text([step(4)])}`);
  writeRun('whole', { lines: firstSteps(2) });
  const wanted = /broken\/metrics\.jsonl: line 3: expected step, loss and ms of a step, .* found \{"step":"3"\}$/;
  expect(listRuns([root])).toMatchObject({ runs: [{ folder: join(root, 'whole') }], problems: [expect.stringMatching(wanted)] });
  expect(messageOf(() => listRuns([broken]))).toMatch(wanted);
  const without = writeRun('without', {});
  rmSync(join(without, 'config.yaml'));
  expect(messageOf(() => listRuns([without]))).toMatch(/without\/config\.yaml: no such file/);
  expect(messageOf(() => watchRun(root))).toMatch(
    /is not the folder of a run, which holds config\.yaml and metrics\.jsonl; ebb runs .* looks for runs below it/,
  );
});

it('reads runs of an earlier version, which kept no account and counted steps from 0', () => {
  cpSync(join(__dirname, '../compat/0.1.0/runs'), root, { recursive: true });
  const { runs, problems } = listRuns([root]);
  expect(problems).toEqual([]);
  expect(runs.map(({ drop, steps, latest, heldOut: losses }) => ({ drop, steps, dropped: latest?.dropped, losses }))).toEqual([
    { drop: expect.stringMatching(/^dropbp, rate 0\.4/), steps: { done: 6, of: 6 }, dropped: null, losses: null },
    { drop: expect.stringMatching(/^uniform, rate 0\.5/), steps: { done: 6, of: 6 }, dropped: null, losses: null },
    { drop: 'layerdrop, rate 0.3', steps: { done: 6, of: 6 }, dropped: null, losses: null },
  ]);
});

it('follows metrics: each line once, the half of a line when it is whole, and a file that was written anew from its start', () => {
  const folder = writeRun('run', {});
  const file = join(folder, 'metrics.jsonl');
  rmSync(file);
  const next = followMetrics(folder);
  const steps = (): number[] | undefined => next()?.steps.map((line) => line.step);
  expect(steps()).toBeUndefined();
  writeFileSync(file, text([step(1)]));
  expect(steps()).toEqual([1]);
  expect(steps()).toBeUndefined();
  const whole = text([step(2), step(3)]);
  appendFileSync(file, whole.slice(0, -9));
  expect(steps()).toEqual([1, 2]);
  appendFileSync(file, whole.slice(-9));
  expect(steps()).toEqual([1, 2, 3]);
  // as a run does that goes on from a checkpoint
  rmSync(file);
  writeFileSync(`${file}.new`, readFileSync(join(folder, 'config.yaml')));
  writeFileSync(file, text([step(1), step(2)]));
  expect(steps()).toEqual([1, 2]);
  appendFileSync(file, '{"step":3}\n');
  expect(messageOf(() => next())).toMatch(/metrics\.jsonl: line 3: expected/);
});

it('watches until the run ends; one that has ended is given once, and not served', async () => {
  const folder = writeRun('run', { lines: firstSteps(3), isHeld: true });
  const seen: [number, string][] = [];
  for await (const { steps, state } of watchRun(folder, { everyMs: 10 })) {
    seen.push([steps.done, state]);
    if (steps.done < 4) appendFileSync(join(folder, 'metrics.jsonl'), text([step(4)]));
    else {
      mkdirSync(join(folder, 'checkpoints/step-00000004'), { recursive: true });
      rmSync(join(folder, '.lock'), { recursive: true, force: true });
    }
  }
  expect(seen).toEqual([
    [3, 'running'],
    [4, 'running'],
    [4, 'done'],
  ]);
  for await (const { state } of watchRun(folder)) seen.push([0, state]);
  expect(seen.slice(3)).toEqual([[0, 'done']]);
  await expect(serveRun(folder)).rejects.toThrow(/has ended \(done\); .* makes its page/);
  await expect(serveRun(folder, { port: 70000 })).rejects.toThrow(/^serveRun\(\): port: is 70000, expected at most 65535/);
});
