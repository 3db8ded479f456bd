/** @file The training loop over an engine: one submission a step, at most two steps ahead of the device, metrics as they come back. */

import { createDropPlan, type Draw, type DropPlan, type DropPlanModel } from '../dropbp/plans/index.ts';
import { sensitivities } from '../dropbp/sensitivity.ts';
import { at, EbbError } from '../errors.ts';
import type { DispatchTime } from '../runtime/dispatchTimes.ts';
import type { Engine, MicroBatch, StepResult, Update } from '../runtime/execute.ts';
import type { Pattern } from '../runtime/link/forms.ts';
import { usersOf } from '../runtime/link/probe.ts';
import { neutralScalar } from '../runtime/scalars.ts';
import type { Batch, BatchSource } from './batches.ts';
import { blameText, stepError } from './blame.ts';
import type { RunConfig } from './config.ts';
import { unitCosts } from './costs.ts';
import { updateScalar } from './optimizer.ts';
import { drawPattern } from './patterns.ts';
import { rateFactor } from './schedule.ts';
import { type LossOver, lossShares, type StepSource, siteSeed, stepMicros, USUAL_LOSS_OVER } from './step.ts';

/** A line of metrics.jsonl. Units: ms wall time since the line before, FLOPs counted from the linked variant, bytes. */
export interface StepMetrics {
  /** Counted from 1, as terminals and checkpoints count. */
  readonly step: number;
  /** The mean over the step's tokens, or over its micro-batches (`lossOver`). */
  readonly loss: number;
  /** Of each micro-batch, where there are several. */
  readonly losses: readonly number[];
  readonly lr: number;
  /** Before clipping. */
  readonly gradNorm: number;
  readonly tokens: number;
  readonly ms: number;
  /** Dropped units of each micro-batch. */
  readonly dropped: readonly (readonly string[])[];
  /** Units of each micro-batch left out of forward too, under plans that do so. */
  readonly skipped?: readonly (readonly string[])[];
  readonly forwardFlops: number;
  readonly backwardFlops: number;
  readonly savedBytes: number;
  readonly peakBytes: number;
}

/** What a resume needs besides parameters and moments. */
export interface TrainState {
  step: number;
  /** How often each group of parameters was updated. The device counts: this is set at the end of a run, and between steps where `between` runs. */
  updates: readonly number[];
  /** By unit, where the plan had them measured. */
  sensitivities?: readonly number[] | undefined;
}

/** What of a run the loop asks for. */
export type TrainConfig = Pick<
  RunConfig,
  'optimizer' | 'schedule' | 'warmupSteps' | 'scheduleSteps' | 'accumulate' | 'lossOver' | 'clip' | 'missingGrad' | 'allDropped' | 'drop' | 'seed'
> & {
  readonly steps: number;
  /** Of the whole run: its last step may have fewer than `accumulate`. Left out: as many as in all others. */
  readonly microBatches?: number;
};

/** What `train` runs: an engine, where it stands, and what it is told and asked in between. */
export interface TrainerOptions {
  readonly engine: Engine;
  readonly config: TrainConfig;
  readonly batches: Pick<BatchSource, 'at' | 'recordsOf'>;
  readonly state: TrainState;
  /** The pattern as it is to run, of a pattern as it was drawn: to keep to a memory budget. */
  readonly fitted?: (pattern: Pattern) => Pattern;
  /** Steps whose dispatches are timed, and who is told; they run one dispatch at a time. */
  readonly timed?: { readonly when: (step: number) => boolean; readonly report: (step: number, times: readonly DispatchTime[]) => void };
  /** Called for every finished step, in order. */
  readonly onStep?: (metrics: StepMetrics) => void | Promise<void>;
  /** Told how many batches sensitivities were measured over. */
  readonly onMeasuring?: (done: number, total: number) => void;
  /** Told when sensitivities were measured, before the step of the state. */
  readonly onMeasured?: (measured: Measured) => void;
  /** Asked after each step; true ends the run early, with all steps finished. */
  readonly stop?: () => boolean;
  /** Steps that may be under way on the device while the next one is encoded; default 2. Losses come that much later, their values are the same. */
  readonly ahead?: number;
  /** Called between steps, when nothing is under way, where `when` says so. */
  readonly between?: { readonly when: (step: number) => boolean; readonly run: (state: TrainState) => Promise<void> };
}

/** The state of a run that has not begun: step 0, no updates. */
export function newState(engine: Engine): TrainState {
  return { step: 0, updates: engine.storage.groups.map(() => 0) };
}

/** Sensitivities by unit, and what measuring them took: FLOPs beside those of a forward and backward for each unit and one more. */
export interface Measured {
  readonly step: number;
  readonly units: readonly string[];
  readonly sensitivities: readonly number[];
  /** How batches were weighed, as in the loss of a step. */
  readonly lossOver: LossOver;
  readonly ms: number;
  readonly flops: number;
  readonly officialFlops: number;
}

/** One that runs and one behind it: a late timer or a slow write of metrics leaves the device with work. */
const RUN_AHEAD = 2;

interface Pending {
  readonly result: StepResult;
  readonly step: number;
  readonly lr: number;
  readonly tokens: number;
  /** Of each micro-batch. */
  readonly draws: readonly Draw[];
  readonly shares: readonly number[];
}

/** Units of the model, in order. */
export function unitsOf({ program }: Pick<Engine, 'program'>): string[] {
  return program.calls.filter((c) => c.unit).map((c) => c.site);
}

/** What a plan decides about a compiled model. */
export function planModel({ program }: Pick<Engine, 'program'>, steps: number): DropPlanModel {
  const bounds = Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));
  const scaled = program.calls.some((c) => c.unit && c.arguments.some((a) => a.kind === 'scalar' && a.name === 'branch_scale'));
  return { units: unitsOf({ program }), costs: unitCosts(program, bounds), steps, scaled };
}

export function microBatch({ sizes, inputs }: Batch, dropped: readonly string[], scalar: MicroBatch['scalar']): MicroBatch {
  return { sizes, inputs, pattern: drawPattern({ dropped }), scalar };
}

/** Runs steps from `state` to `config.steps`. @throws EbbError when a loss is not finite */
export async function train(options: TrainerOptions): Promise<TrainState> {
  for await (const _ of trainSteps(options));
  return options.state;
}

/**
 * Runs steps from `state` to `config.steps`, and gives each when it is finished; by then the next ones are under way. Whoever leaves the loop
 * early has all steps finished that were begun. @throws EbbError when a loss is not finite
 */
export async function* trainSteps(options: TrainerOptions): AsyncGenerator<StepMetrics, void> {
  const { engine, config, state, onStep, stop, between, timed, ahead = RUN_AHEAD } = options;
  const plan = createDropPlan(config.drop, planModel(engine, config.steps));
  const pending: Pending[] = [];
  const first = state.step;
  engine.writeUpdates(state.updates);
  let last = performance.now();

  const finish = async (oldest: Pending): Promise<StepMetrics> => {
    const { losses, gradNorm } = await oldest.result.read();
    if (oldest.result.times) timed?.report(oldest.step, await oldest.result.times());
    const loss = losses.reduce((sum, own, micro) => sum + own * at(oldest.shares, micro), 0);
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) throw await stepError(options, oldest, { loss, gradNorm, isFirst: oldest.step === first });
    const now = performance.now();
    const { variants, forwardFlops, backwardFlops } = oldest.result;
    const metrics: StepMetrics = {
      step: oldest.step + 1,
      loss,
      losses,
      lr: oldest.lr,
      gradNorm,
      tokens: oldest.tokens,
      ms: now - last,
      dropped: oldest.draws.map((d) => d.dropped),
      ...(oldest.draws.some((d) => d.skipped) ? { skipped: oldest.draws.map((d) => d.skipped ?? []) } : {}),
      forwardFlops,
      backwardFlops,
      savedBytes: Math.max(...variants.map((v) => v.savedBytes)),
      peakBytes: Math.max(...variants.map((v) => v.stackBytes + v.slotBytes)),
    };
    await onStep?.(metrics);
    last = now;
    return metrics;
  };
  /** Finishes the oldest steps, until `count` are under way. */
  async function* finishTo(count: number): AsyncGenerator<StepMetrics, void> {
    while (pending.length > count) {
      const oldest = pending.shift();
      if (oldest) yield await finish(oldest);
    }
  }

  let failed = false;
  try {
    while (state.step < config.steps && !stop?.()) {
      if (plan.measure && !state.sensitivities && state.step >= plan.measure.at) {
        yield* finishTo(0);
        const measured = await measureSensitivities(options, state.step, plan.measure.batches, options.onMeasuring);
        state.sensitivities = measured.sensitivities;
        options.onMeasured?.(measured);
        last = performance.now();
      }
      const submitted = submit(options, plan);
      if (submitted.result.exchanged) await submitted.result.exchanged;
      pending.push(submitted);
      yield* finishTo(ahead);
      if (between?.when(state.step)) {
        yield* finishTo(0);
        state.updates = await engine.readUpdates();
        await between.run(state);
        last = performance.now();
      }
    }
    yield* finishTo(0);
  } catch (error) {
    failed = true;
    throw error;
  } finally {
    if (!failed) {
      // whoever left the loop early takes no more of them
      for (const left of pending.splice(0)) await finish(left);
      state.updates = await engine.readUpdates();
    }
  }
}

/** Encodes and submits one step, and advances the state. */
function submit({ engine, config, batches, state, timed, fitted }: TrainerOptions, plan: DropPlan): Pending {
  const { step } = state;
  const { optimizer, accumulate, microBatches, seed } = config;
  const lr = optimizer.lr * rateFactor(config, step);
  const draws = Array.from({ length: Math.min(accumulate, (microBatches ?? Number.POSITIVE_INFINITY) - step * accumulate) }, (_, micro) =>
    plan.draw({ seed, step, micro, microBatches: accumulate, sensitivities: state.sensitivities }),
  );
  const { micros, tokens, shares } = stepMicros({ engine, config, batches }, step, draws, fitted);
  const update: Update = {
    optimizer: optimizer.name,
    maxNorm: config.clip,
    alsoUntouched: config.missingGrad === 'zeros',
    scalar: (name) => updateScalar(optimizer, lr, name),
  };
  const result = engine.step(micros, update, { timed: timed?.when(step) ?? false });
  state.step = step + 1;
  return { result, step, lr, tokens, draws, shares };
}

/**
 * Measures sensitivities over `count` batches from step `step` on, in training mode; each batch counts as in the loss of a step. The engine is
 * made with `probes`. Changes nothing. @param onBatch is told how many batches are done
 */
export async function measureSensitivities(
  source: StepSource & Pick<TrainerOptions, 'engine'>,
  step: number,
  count: number,
  onBatch: TrainerOptions['onMeasuring'] = () => {},
): Promise<Measured> {
  const started = performance.now();
  const { engine, config, batches } = source;
  const units = unitsOf(engine);
  const layout = { calls: engine.program.calls.map((c) => c.site), users: usersOf(engine.program) };
  const sums = units.map(() => 0);
  let [flops, wholeFlops] = [0, 0];
  const measured = Array.from({ length: count }, (_, k) => batches.at(step * config.accumulate + k));
  const shares = lossShares(config.lossOver, measured);
  for (const [k, batch] of measured.entries()) {
    onBatch(k, count);
    const scalar = (name: string, site: string): number => (name === 'seed' ? siteSeed(source, step, k, site) : neutralScalar(name));
    const micro = microBatch(batch, [], scalar);
    const probed = await engine.probe(micro);
    const own = sensitivities(units, probed, 'norms', layout);
    if (!own.every(Number.isFinite)) {
      const where = await blameText(engine, [micro], batches, step * config.accumulate + k);
      throw new EbbError(`the sensitivities of step ${step + 1} are not finite${where}`, 'numbers');
    }
    own.forEach((s, i) => {
      sums[i] = at(sums, i) + s * at(shares, k);
    });
    flops += probed.flops;
    wholeFlops += probed.wholeFlops;
  }
  onBatch(count, count);
  const { lossOver = USUAL_LOSS_OVER } = config;
  return { step, units, sensitivities: sums, lossOver, ms: performance.now() - started, flops, officialFlops: (units.length + 1) * wholeFlops };
}

/**
 * Mean loss over the targets of `batches` (sum of token losses ÷ number of targets), without a backward; NaN where nothing counts.
 * @throws EbbError where the loss of a batch is not finite, with the first function whose output is not
 */
export async function evaluate(engine: Engine, batches: readonly Batch[], onBatch?: (done: number, total: number) => void): Promise<number> {
  let sum = 0;
  let count = 0;
  for (const [i, batch] of batches.entries()) {
    const micro: MicroBatch = { ...microBatch(batch, [], neutralScalar), forwardOnly: true };
    onBatch?.(i, batches.length);
    const { losses } = await engine.step([micro], null).read();
    const loss = at(losses, 0);
    if (batch.counted > 0 && !Number.isFinite(loss))
      throw new EbbError(`the loss of batch ${i + 1} of ${batches.length} is ${loss}${await blameText(engine, [micro])}`, 'numbers');
    if (batch.counted > 0) sum += loss * batch.counted;
    count += batch.counted;
  }
  onBatch?.(batches.length, batches.length);
  return count > 0 ? sum / count : Number.NaN;
}
