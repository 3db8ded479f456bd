/** @file Section 2: training steps. The losses of the first steps are compared, then steps are timed in turns. */

import { at, get } from '../../src/errors.ts';
import { startClient } from '../client.ts';
import { type Contest, inTurns, type Log } from '../contest.ts';
import { stepFlops } from '../flops.ts';
import type { StepReply } from '../protocol.ts';
import { publishedLosses } from '../spec.ts';
import { median, minimum } from '../stats.ts';
import { shown, shownMs, table } from '../table.ts';

export interface StepResult {
  readonly contestant: string;
  readonly model: string;
  readonly firstMs: number;
  readonly losses: readonly number[];
  readonly steps: readonly StepReply[];
}

const STEP = { do: 'step', drop: [], saved: false } as const;
const FIRST = { ...STEP, do: 'first' } as const;
/** A first step compiles for many seconds, in which other programs may slow the machine, so the quicker of this many counts. */
const FIRST_TURNS = 2;
/** Number of losses that are compared. */
const COMPARED = 4;
const TOLERANCE = 1e-4;
/** The contestant whose losses the others are compared with. */
const REFERENCE = 'pytorch';

/** Times the steps of a model. */
export async function steps(contest: Contest, model: string, rounds: number, limit: number, device: string, log: Log): Promise<StepResult[]> {
  const firsts = new Map<string, number>();
  for (let turn = 0; turn < FIRST_TURNS; turn++)
    await contest.each(async ({ entry }) => {
      const ms = await firstStep(entry, model, device);
      firsts.set(entry.name, Math.min(firsts.get(entry.name) ?? ms, ms));
      log(`${model}: first step of ${entry.name} ${shown(ms)} ms`);
    });
  const losses = await contest.each(async ({ ask }) => {
    await ask({ do: 'load', model, lora: 0 });
    const found = [(await ask(FIRST)).loss];
    while (found.length < COMPARED) found.push((await ask(STEP)).loss);
    return found;
  });
  // where all contestants have failed there is nothing to compare
  const expected = losses.get(REFERENCE) ?? publishedLosses(model) ?? [...losses.values()][0] ?? [];
  await contest.each(async ({ entry }) => checkLosses(entry.name, model, get(losses, entry.name), expected));
  log(`${model}: losses ${expected.map((l) => l.toFixed(6)).join(', ')}, the same of ${contest.clients.map((c) => c.entry.name).join(', ')}`);
  const done = await inTurns(contest, rounds, limit, async ({ entry, ask }, round) => {
    const reply = await quickest(() => ask({ ...STEP, saved: round === 0 }));
    log(`${model}: round ${round + 1} ${entry.name} ${shownMs(reply.ms)} ms`);
    return reply;
  });
  return [...done].map(([contestant, replies]) => ({
    contestant,
    model,
    firstMs: get(firsts, contestant),
    losses: get(losses, contestant),
    steps: replies,
  }));
}

/** A shorter step is disturbed by the turn before it (caches, clocks, the start of its process), so several are done. */
const SHORT_MS = 50;
const SEVERAL = 4;

/** Does a step `least` times, or several times if it is short, and returns the reply of the quickest. */
export async function quickest(step: () => Promise<StepReply>, least = 1): Promise<StepReply> {
  let best = await step();
  for (let again = 1; again < (best.ms < SHORT_MS ? SEVERAL : least); again++) {
    const next = await step();
    if (next.ms < best.ms) best = { ...best, ...next };
  }
  return best;
}

/** Does a first step in a new process. Returns its milliseconds. */
async function firstStep(entry: Parameters<typeof startClient>[0], model: string, device: string): Promise<number> {
  const client = await startClient(entry, device, entry.firstEnv);
  try {
    await client.ask({ do: 'load', model, lora: 0 });
    return (await client.ask(FIRST)).ms;
  } finally {
    await client.close();
  }
}

/** Checks the losses of a contestant. @throws Error where they differ from those expected, as then its times mean nothing */
function checkLosses(name: string, model: string, found: readonly number[], expected: readonly number[]): void {
  const off = found.findIndex((loss, i) => !(Math.abs(loss - at(expected, i)) <= TOLERANCE));
  if (off >= 0) throw new Error(`${name}: loss ${found[off]} in step ${off + 1} of model ${model}, expected ${expected[off]}`);
}

/** Writes the table. */
export function stepTable(results: readonly StepResult[]): string {
  const rows = results.map(({ contestant, model, firstMs, steps: timed }) => {
    const ms = timed.map((s) => s.ms);
    const last = timed.at(-1);
    const saved = timed.find((s) => s.savedBytes !== undefined)?.savedBytes;
    const js = timed.flatMap((s) => (s.jsMs === undefined ? [] : [s.jsMs]));
    return [
      contestant,
      model,
      shownMs(minimum(ms)),
      shownMs(median(ms)),
      shown(stepFlops(model, { drop: [], lora: 0 }) / minimum(ms) / 1e6, 1),
      shown(firstMs),
      shown(last?.dispatches),
      js.length > 0 ? shown(minimum(js), 1) : '–',
      saved === undefined ? '–' : shown(saved / 2 ** 20, 1),
      String(ms.length),
    ];
  });
  return table(['contestant', 'model', 'step, ms', 'median', 'GFLOP/s', 'first step, ms', 'dispatches', 'JS, ms', 'saved, MiB', 'steps timed'], rows);
}
