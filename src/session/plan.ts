/** @file `ebb plan`: computes the memory that a run takes, and the longest sequences that a memory budget allows. */

import { compileModel } from '../compile/compile.ts';
import { createDropPlan, type DropPlanConfig } from '../dropbp/plans/index.ts';
import { EbbError } from '../errors.ts';
import { pathKind } from '../formats/files.ts';
import type { StoredType } from '../formats/storedType.ts';
import type { CommandDevice } from '../node/device.ts';
import { tell, type Watch } from '../run/progress.ts';
import { lengthOf, withRunData } from '../run/runData.ts';
import { planRunMemory } from '../run/runMemory.ts';
import { requireWeights } from '../run/startingValue.ts';
import { checkFit } from '../runtime/deviceFit.ts';
import type { Program } from '../runtime/program.ts';
import type { RunConfig } from '../train/config.ts';
import { idleWork } from '../train/idleWork.ts';
import { planModel } from '../train/loop.ts';
import type { MemoryPlan } from '../train/memoryPlan.ts';
import { lengthNotes, type RunLength, runLength } from '../train/runLength.ts';
import { compileDeviceOf } from './sessionDevice.ts';
import { isDefinition, type SourceDescription } from './source.ts';
import { describeRunModel, giveWeights } from './train.ts';
import { knownSchedules, withSchedules } from './tune.ts';

/** The longest sequences that a budget allows at a drop rate, in tokens. 0: not even the shortest one that was tried fits. */
interface Longest {
  readonly rate: number;
  /** The length where backward reads everything from memory. */
  readonly saving: number;
  /** The length where units may run their forward again instead. */
  readonly again: number;
}

/** What `ebb plan --json` prints. Memory is in bytes. */
export interface PlanReport {
  readonly memory: Omit<MemoryPlan, 'fitted' | 'forms'>;
  readonly budget: number | null;
  readonly notes: readonly string[];
  /** Null where there is no budget. */
  readonly longest: {
    readonly batch: number;
    /** The lengths that were tried are whole multiples of this. */
    readonly within: number;
    readonly rates: readonly Longest[];
  } | null;
}

const RATES = [0, 0.5, 0.75, 0.875];
/** Number of draws at a rate that have to fit. Draws with a fixed budget of cost differ little, so a few say enough. */
const DRAWS = 32;
/** Number of lengths that can be the answer, at most. */
const LENGTHS = 64;

/** The sizes of a run that its data decides. */
interface RunSizes {
  readonly batch: number;
  readonly length: number;
  readonly restarts: boolean;
  readonly run: RunLength;
}

/**
 * Finds the sizes of a run. Where the model has no tokenizer and the number of steps is given, it does not count the text, and says so on stderr.
 * @throws EbbError for data that is broken, and for text without a tokenizer where its tokens have to be counted
 */
async function sizesOf(config: RunConfig, source: SourceDescription, watch: Watch): Promise<RunSizes> {
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
  return withRunData(
    config,
    { ...source, tokenizer },
    async ({ batch, length, restarts, notes, loaded }) => {
      for (const note of notes) tell(watch, note);
      const given = config.steps;
      const counted = loaded.then((data) => {
        for (const note of lengthNotes(config, data.train.source.count)) tell(watch, note);
        return lengthOf(config, data);
      });
      const run = await counted.catch((error: unknown) => {
        if (given === undefined || lacking === null || error !== lacking) throw error;
        tell(watch, `${lacking.message}; going on without counting ${config.data}, as the steps are given`);
        return runLength({ ...config, epochs: undefined }, 1);
      });
      return { batch, length, restarts, run };
    },
    watch,
  );
}

/** Plans a run of a model whose weights may be missing. @param dtype as for `describeSource` @throws EbbError */
export async function planRun(config: RunConfig, device: CommandDevice, dtype?: StoredType, watch: Watch = {}): Promise<PlanReport> {
  const run = await describeRunModel(config, dtype, watch);
  // a checkpoint has weights of its own, which may still be missing here
  if (run.lora && isDefinition(config.model)) requireWeights(config.model, { path: config.weights ?? null }, giveWeights());
  const { batch, length, restarts, run: whole } = await sizesOf(config, run.source, watch);
  watch.signal?.throwIfAborted();
  const planned = { ...device, matmulPrecision: config.matmulPrecision };
  const compiledFor = compileDeviceOf(withSchedules(planned, knownSchedules(planned)));
  const { profile } = device.device;
  const { maxBufferSize } = profile.limits;
  const programs = new Map<number, Program>();
  const programAt = (tokens: number): Program => {
    const known =
      programs.get(tokens) ?? compileModel(run.trace(batch, tokens, restarts), { device: compiledFor, optimizers: [config.optimizer.name] }).program;
    programs.set(tokens, known);
    return known;
  };
  const program = programAt(length);
  const plan = createDropPlan(config.drop, planModel({ program }, whole.steps));
  const { fitted: _fitted, forms: _forms, ...memory } = planRunMemory(config, program, plan, whole.steps, maxBufferSize);
  checkFit(program, memory.buffers, profile);
  const budget = config.memoryBudget ?? null;
  /** Whether sequences of a length fit: `saving` where no forward runs again, `again` where forwards may. */
  const fits = (length: number, rate: number): { readonly saving: boolean; readonly again: boolean } => {
    const drop: DropPlanConfig = rate === 0 ? { kind: 'none' } : { kind: 'uniform', rate, sampling: 'fixed-budget' };
    const at = programAt(length);
    try {
      const { worst, buffers } = planRunMemory(config, at, createDropPlan(drop, planModel({ program: at }, DRAWS)), DRAWS, maxBufferSize);
      checkFit(at, buffers, profile);
      return { saving: worst.again === 0, again: true };
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
  const common = { memory, budget, notes: [...(plan.notes ?? []), ...idleWork(config, program, plan, whole)] };
  if (budget === null) return { ...common, longest: null };
  const rates = RATES.map((rate): Longest => ({ rate, saving: longest((l) => fits(l, rate).saving), again: longest((l) => fits(l, rate).again) }));
  return { ...common, longest: { batch, within, rates } };
}
