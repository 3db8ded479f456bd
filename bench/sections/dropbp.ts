/** @file Section 3: the speed-up from leaving out the backward of units, compared with what the FLOPs promise. */

import { at, get } from '../../src/errors.ts';
import { createDropPlan } from '../../src/index.ts';
import type { Client } from '../client.ts';
import { type Contest, inTurns, type Log } from '../contest.ts';
import { stepFlops, unitsOfModel } from '../flops.ts';
import { mean, median } from '../stats.ts';
import { shown, shownMs, table } from '../table.ts';
import { quickest } from './step.ts';

/** A step with the FLOPs of its pattern. */
interface TimedStep {
  readonly ms: number;
  readonly flops: number;
  /** NaN where the contestant does not tell. */
  readonly savedBytes: number;
  /** The share of units that were dropped. */
  readonly dropped: number;
}

export interface DropResult {
  readonly contestant: string;
  readonly model: string;
  readonly lora: number;
  readonly rate: number;
  readonly steps: readonly TimedStep[];
}

/** The drop rates that are measured. */
export const RATES = [0, 0.5, 0.75, 0.875] as const;
/** The rank of low-rank adapters. */
export const RANK = 8;

/** The units that are dropped in a round: a pure function of the rate and the round, so that all contestants drop the same ones. */
export function dropPattern(units: readonly string[], rate: number, round: number): readonly string[] {
  const plan = createDropPlan({ kind: 'uniform', rate }, { units, costs: units.map(() => 1), steps: 1, scaled: false });
  return plan.draw({ seed: Math.round(rate * 1000), step: round, micro: 0, microBatches: 1 }).dropped;
}

/**
 * Times steps. Every turn does a step with nothing dropped, which the others are compared with, and one of each rate, so that what slows the
 * machine down slows them all. Rate 0 has a second step of its own; the distance of its speed-up from 1 is the noise.
 */
export async function dropping(contest: Contest, model: string, lora: number, patterns: number, limit: number, log: Log): Promise<DropResult[]> {
  const units = unitsOfModel(model);
  await contest.each(async ({ ask }) => {
    await ask({ do: 'load', model, lora });
    await ask({ do: 'first', drop: [], saved: false });
    for (const rate of RATES) await ask({ do: 'step', drop: dropPattern(units, rate, patterns), saved: false });
  });
  const done = await inTurns(contest, patterns, limit, async (client, round) => {
    const turn = new Map<number, TimedStep>();
    for (const i of TURN.keys()) {
      const rate = at(TURN, (i + round) % TURN.length);
      turn.set(rate, await measured(client, model, lora, rate === REFERENCE_RATE ? [] : dropPattern(units, rate, round)));
    }
    const times = TURN.map((rate) => shownMs(get(turn, rate).ms));
    log(`${model}${lora > 0 ? ' LoRA' : ''}: ${round + 1} ${client.entry.name} ${times.join(', ')} ms`);
    return turn;
  });
  return [...done].flatMap(([contestant, turns]) => TURN.map((rate) => ({ contestant, model, lora, rate, steps: turns.map((turn) => get(turn, rate)) })));
}

/** Stands for the steps that the others are compared with, in the place of a rate. */
const REFERENCE_RATE = -1;
/** The steps of a turn. Each turn begins with another one, because a processor that has rested is faster for a while. */
const TURN = [REFERENCE_RATE, ...RATES] as const;

async function measured({ ask }: Client, model: string, lora: number, drop: readonly string[]): Promise<TimedStep> {
  // a disturbance of a second would change a mean, but hardly hits the same step twice
  const reply = await quickest(() => ask({ do: 'step', drop, saved: true }), 2);
  return {
    ms: reply.ms,
    flops: reply.flops ?? stepFlops(model, { drop, lora }),
    savedBytes: reply.savedBytes ?? Number.NaN,
    dropped: drop.length / unitsOfModel(model).length,
  };
}

/** A line of the table, which is a point of the plot. */
export interface DropSummary {
  readonly contestant: string;
  readonly model: string;
  readonly lora: number;
  readonly rate: number;
  readonly realised: number;
  readonly ms: number;
  readonly speedUp: number;
  readonly ideal: number;
  /** The median over patterns of the speed-up in the pattern's own turn divided by its ideal. One disturbed step does not change it. */
  readonly ofIdeal: number;
  readonly savedMiB: number;
  readonly patterns: number;
}

/** Summarises the steps of each contestant, model and rate. */
export function summarise(results: readonly DropResult[]): DropSummary[] {
  return results.flatMap(({ steps, ...which }) => {
    if (which.rate === REFERENCE_RATE) return [];
    const reference = results.find((r) => r.rate === REFERENCE_RATE && r.contestant === which.contestant && r.model === which.model && r.lora === which.lora);
    if (!reference) return [];
    const shares = steps.map(({ ms, flops }, i) => {
      const full = at(reference.steps, i);
      return full.ms / ms / (full.flops / flops);
    });
    const average = (list: readonly TimedStep[], of: keyof TimedStep): number => mean(list.map((s) => s[of]));
    return [
      {
        ...which,
        realised: average(steps, 'dropped'),
        ms: average(steps, 'ms'),
        speedUp: average(reference.steps, 'ms') / average(steps, 'ms'),
        ideal: average(reference.steps, 'flops') / average(steps, 'flops'),
        ofIdeal: median(shares),
        savedMiB: average(steps, 'savedBytes') / 2 ** 20,
        patterns: steps.length,
      },
    ];
  });
}

/** Writes the table. */
export function dropTable(summaries: readonly DropSummary[]): string {
  const rows = summaries.map((s) => [
    s.contestant,
    `${s.model} ${s.lora > 0 ? `LoRA r=${s.lora}` : 'full'}`,
    `${s.rate} / ${s.realised.toFixed(3)}`,
    shownMs(s.ms),
    s.speedUp.toFixed(2),
    s.ideal.toFixed(2),
    (s.speedUp / s.ideal).toFixed(2),
    s.ofIdeal.toFixed(2),
    shown(s.savedMiB, 1),
    String(s.patterns),
  ]);
  return table(
    ['contestant', 'model', 'p asked / realised', 'step, mean ms', 'speed-up', 'ideal', 'of ideal', 'median of patterns', 'saved, mean MiB', 'patterns'],
    rows,
  );
}
