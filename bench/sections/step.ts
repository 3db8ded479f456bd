/** @file Section 2: training steps. Losses are compared first, then steps are timed in turns. */

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
/** Compiling takes many seconds, in which a machine may be slow: the quicker of two counts. */
const FIRST_TURNS = 2;
const COMPARED = 4;
const TOLERANCE = 1e-4;
const REFERENCE = 'pytorch';

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
  const expected = losses.get(REFERENCE) ?? publishedLosses(model) ?? [...losses.values()][0] ?? [];
  await contest.each(async ({ entry }) => checkLosses(entry.name, model, losses.get(entry.name) ?? [], expected));
  log(`${model}: losses ${expected.map((l) => l.toFixed(6)).join(', ')}, the same of ${contest.clients.map((c) => c.entry.name).join(', ')}`);
  const done = await inTurns(contest, rounds, limit, async ({ entry, ask }, round) => {
    const reply = await quickest(() => ask({ ...STEP, saved: round === 0 }));
    log(`${model}: round ${round + 1} ${entry.name} ${shownMs(reply.ms)} ms`);
    return reply;
  });
  return [...done].map(([contestant, replies]) => ({
    contestant,
    model,
    firstMs: firsts.get(contestant) ?? Number.NaN,
    losses: losses.get(contestant) ?? [],
    steps: replies,
  }));
}

/** A step shorter than this is disturbed by the turn before (caches, clocks, the start of its process): several are done. */
const SHORT_MS = 50;
const SEVERAL = 4;

/** Does a step, or more of them, several of short ones: the quickest counts. */
export async function quickest(step: () => Promise<StepReply>, least = 1): Promise<StepReply> {
  let best = await step();
  for (let again = 1; again < (best.ms < SHORT_MS ? SEVERAL : least); again++) {
    const next = await step();
    if (next.ms < best.ms) best = { ...best, ...next };
  }
  return best;
}

/** The first step in a process of its own. */
async function firstStep(entry: Parameters<typeof startClient>[0], model: string, device: string): Promise<number> {
  const client = await startClient(entry, device, entry.firstEnv);
  try {
    await client.ask({ do: 'load', model, lora: 0 });
    return (await client.ask(FIRST)).ms;
  } finally {
    await client.close();
  }
}

/** @throws Error for losses that are not those of the others: its times would say nothing */
function checkLosses(name: string, model: string, found: readonly number[], expected: readonly number[]): void {
  const off = found.findIndex((loss, i) => !(Math.abs(loss - (expected[i] ?? Number.NaN)) <= TOLERANCE));
  if (off >= 0) throw new Error(`${name}: loss ${found[off]} in step ${off + 1} of model ${model}, expected ${expected[off]}`);
}

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
