/** @file `ebb plan`: a run's memory by its config, and the longest sequences that its budget holds. */

import { compileModel } from '../compile/compile.ts';
import { createDropPlan, type DropPlanConfig } from '../dropbp/plans/index.ts';
import { EbbError } from '../errors.ts';
import { pathKind } from '../formats/files.ts';
import type { StoredType } from '../formats/storedType.ts';
import type { CommandDevice } from '../node/device.ts';
import { stepsOf, withRunData } from '../run/run.ts';
import { memoryText, planRunMemory } from '../run/runMemory.ts';
import type { Program } from '../runtime/program.ts';
import { compileDeviceOf } from '../session.ts';
import { say } from '../terminal/options.ts';
import type { RunConfig } from '../train/config.ts';
import { planModel } from '../train/loop.ts';
import type { MemoryPlan } from '../train/memoryPlan.ts';
import type { SourceDescription } from './source.ts';
import { describeRunModel } from './train.ts';
import { knownSchedules, withSchedules } from './tune.ts';

/** The longest sequences that a budget holds at a drop rate; 0 where not even the shortest looked at fits. */
interface Longest {
  readonly rate: number;
  /** Where patterns save all that they read. */
  readonly saving: number;
  /** Where units may run their forward again. */
  readonly again: number;
}

/** What `ebb plan --json` prints; bytes. */
export interface PlanReport {
  readonly memory: Omit<MemoryPlan, 'fitted' | 'forms'>;
  readonly budget: number | null;
  readonly notes: readonly string[];
  /** Only under a budget. */
  readonly longest: {
    readonly batch: number /** Lengths looked at are whole multiples of this. */;
    readonly within: number;
    readonly rates: readonly Longest[];
  } | null;
}

const RATES = [0, 0.5, 0.75, 0.875];
/** Draws of a rate that have to fit: with a fixed budget of cost they differ little. */
const DRAWS = 32;
/** Lengths that are told apart, at most. */
const LENGTHS = 64;

/** What of a run its data decides. */
interface RunSizes {
  readonly batch: number;
  readonly length: number;
  readonly steps: number;
}

/**
 * The sizes of a run. Where the model brings no tokenizer and steps are given, text is not counted, which is said on stderr.
 * @throws EbbError for data that is broken, and for text that nothing can tokenise where its tokens have to be counted
 */
async function sizesOf(config: RunConfig, source: SourceDescription): Promise<RunSizes> {
  pathKind(config.data);
  let lacking: EbbError | null = null;
  const tokenizer = (): string => {
    try {
      return source.tokenizer();
    } catch (error) {
      if (error instanceof EbbError) lacking = error;
      throw error;
    }
  };
  return withRunData(config, { ...source, tokenizer }, async ({ batch, length, notes, loaded }) => {
    for (const note of notes) say(note);
    const given = config.steps;
    const counted = loaded.then((data) => stepsOf(config, data));
    const steps = await counted.catch((error: unknown) => {
      if (given === undefined || lacking === null || error !== lacking) throw error;
      say(`${lacking.message}; going on without counting ${config.data}, as the steps are given`);
      return given;
    });
    return { batch, length, steps };
  });
}

/** Plans a run of a model whose weights may be missing. @param dtype as for `describeSource` @throws EbbError */
export async function planRun(config: RunConfig, device: CommandDevice, dtype?: StoredType): Promise<PlanReport> {
  const run = await describeRunModel(config, dtype);
  const { batch, length, steps } = await sizesOf(config, run.source);
  const compiledFor = compileDeviceOf(withSchedules(device, knownSchedules(device)));
  const { maxBufferSize } = device.device.profile.limits;
  const programs = new Map<number, Program>();
  const programAt = (tokens: number): Program => {
    const known = programs.get(tokens) ?? compileModel(run.trace(batch, tokens), { device: compiledFor, optimizers: [config.optimizer.name] }).program;
    programs.set(tokens, known);
    return known;
  };
  const program = programAt(length);
  const plan = createDropPlan(config.drop, planModel({ program }, steps));
  const { fitted: _fitted, forms: _forms, ...memory } = planRunMemory(config, program, plan, steps, maxBufferSize);
  const budget = config.memoryBudget ?? null;
  /** Whether it fits, and whether nothing runs again then. */
  const fits = (length: number, rate: number): { readonly saving: boolean; readonly again: boolean } => {
    const drop: DropPlanConfig = rate === 0 ? { kind: 'none' } : { kind: 'uniform', rate, sampling: 'fixed-budget' };
    const at = programAt(length);
    try {
      const { worst, buffers } = planRunMemory(config, at, createDropPlan(drop, planModel({ program: at }, DRAWS)), DRAWS, maxBufferSize);
      const made = Object.values(buffers).every((pages) => pages.every((bytes) => bytes <= maxBufferSize));
      return { saving: made && worst.again === 0, again: made };
    } catch (error) {
      if (error instanceof EbbError) return { saving: false, again: false };
      throw error;
    }
  };
  const most = run.source.maxPosition ?? 8 * length;
  const within = Math.max(1, Math.floor(most / LENGTHS));
  const longest = (ok: (length: number) => boolean): number => {
    let [low, high] = [0, Math.floor(most / within) + 1];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (ok(middle * within)) low = middle;
      else high = middle;
    }
    return low * within;
  };
  const common = { memory, budget, notes: plan.notes ?? [] };
  if (budget === null) return { ...common, longest: null };
  const rates = RATES.map((rate): Longest => ({ rate, saving: longest((l) => fits(l, rate).saving), again: longest((l) => fits(l, rate).again) }));
  return { ...common, longest: { batch, within, rates } };
}

/** The report as a person reads it. */
export function planText({ memory, budget, notes, longest }: PlanReport): string {
  const lines = [...notes, memoryText(memory, budget)];
  if (!longest) return [...lines, 'with --memory-budget it also says how long sequences can be'].join('\n');
  return [
    ...lines,
    `longest sequences within it at batch ${longest.batch}, in steps of ${longest.within} tokens, with draws of fixed budget:`,
    `  ${'drop rate'.padEnd(12)}${'all saved'.padStart(12)}${'forwards run again'.padStart(22)}`,
    ...longest.rates.map(({ rate, saving, again }) => `  ${String(rate).padEnd(12)}${String(saving).padStart(12)}${String(again).padStart(22)}`),
  ].join('\n');
}
