/** @file `ebb train`: a run from a config to its folder. */

import { EbbError } from '../errors.ts';
import { openCheckpoint } from '../formats/checkpoint.ts';
import { trainingMode } from '../models/inputs.ts';
import { type LoraOptions, openSession, type Session } from '../session.ts';
import type { Batch } from '../train/batches.ts';
import type { RunConfig } from '../train/config.ts';
import { evaluate, newState, type StepMetrics, train, unitsOf } from '../train/loop.ts';
import { type LoadedAdapter, loadAdapter } from './adapter.ts';
import { loadData } from './data.ts';
import type { CommandDevice } from './device.ts';
import { modelPath } from './model.ts';
import { openRunFolder, writeResult } from './runFolder.ts';

export interface TrainReport {
  readonly out: string;
  readonly steps: number;
  readonly loss: number;
  readonly heldOut: { readonly before: number; readonly after: number } | null;
  readonly interrupted: boolean;
}

export interface TrainHooks {
  readonly onStep?: (metrics: StepMetrics, total: number, units: number) => void;
  readonly say?: (line: string) => void;
  readonly stop?: () => boolean;
  readonly resume?: boolean;
}

function loraOf(config: RunConfig, adapter: LoadedAdapter | null): LoraOptions | null {
  if (config.lora === false) return null;
  return adapter ? { ...adapter.lora, dropout: config.lora.dropout } : config.lora;
}

/** Most positions a batch may have: the model's own limit. */
function checkLength(length: number, limit: number, what: string): void {
  if (length > limit) throw new EbbError(`${what} is ${length} tokens, the model has positions for ${limit}; lower the length`);
}

export async function runTraining(config: RunConfig, device: CommandDevice, hooks: TrainHooks = {}): Promise<TrainReport> {
  const say = hooks.say ?? ((): void => {});
  const path = await modelPath(config.model);
  const checkpoint = openCheckpoint(path);
  const { vocabSize, maxPosition } = checkpoint.config;
  const adapter = config.lora !== false && config.lora.from !== undefined ? loadAdapter(config.lora.from) : null;
  const common = { batch: config.batch, length: config.length, seed: config.seed, vocabSize, fields: config.fields };
  const data = loadData(config.data, checkpoint.tokenizer, { ...common, shuffle: config.shuffle });
  const held = config.evalData === undefined ? null : loadData(config.evalData, checkpoint.tokenizer, { ...common, shuffle: false, limit: config.evalLimit });
  checkLength(data.length, maxPosition, `${config.data}: a sequence`);
  const steps = config.steps ?? Math.max(1, Math.floor(((config.epochs ?? 1) * data.source.count) / config.accumulate));
  const lora = loraOf(config, adapter);
  const length = Math.max(data.length, held?.length ?? 0);
  const session = await openSession(path, device, {
    mode: trainingMode(length),
    dims: { B: Math.max(data.batch, held?.batch ?? 0), T: length },
    lora,
    trains: lora ? 'adapter' : 'full',
    micros: config.accumulate,
    optimizer: config.optimizer.name,
    decay: config.decay,
    seed: config.seed,
    ...(adapter ? { adapterWeights: adapter.weights } : {}),
  });
  const { engine } = session;
  say(
    `${config.model}: ${unitsOf(engine).length} units, ${engine.program.pipelines.length} kernels; compiled in ${session.timing.compileMs.toFixed(0)} ms, driver ${session.timing.driverMs.toFixed(0)} ms; on ${device.opened.name}`,
  );
  const folder = openRunFolder(config.out, hooks.resume ?? false);
  folder.writeConfig({ ...config, steps });
  const state = (hooks.resume ? folder.resume(engine) : null) ?? newState(engine);
  if (hooks.resume) say(`resumed at step ${state.step}`);
  const heldBatches = held ? held.source.all() : [];
  const before = held ? await evaluate(engine, heldBatches) : Number.NaN;
  if (held) say(`held-out loss before: ${before.toFixed(4)}`);
  let last = Number.NaN;
  let interrupted = false;
  const units = unitsOf(engine).length;
  await train({
    engine,
    state,
    batches: data.source,
    config: { ...config, steps },
    onStep: (metrics) => {
      last = metrics.loss;
      folder.appendMetrics(metrics);
      hooks.onStep?.(metrics, steps, units);
    },
    stop: () => {
      interrupted = hooks.stop?.() ?? false;
      return interrupted;
    },
    between: {
      when: (step) => dueAt(step, config.saveEvery) || (held !== null && dueAt(step, config.evalEvery)),
      run: async (now) => {
        if (dueAt(now.step, config.saveEvery)) await folder.saveCheckpoint(engine, now);
        if (held && dueAt(now.step, config.evalEvery)) say(`step ${now.step}: held-out loss ${(await evaluate(engine, heldBatches)).toFixed(4)}`);
      },
    },
  });
  await folder.saveCheckpoint(engine, state);
  const report = await conclude(session, config, lora, heldBatches, interrupted, say);
  engine.destroy();
  return { out: config.out, steps: state.step, loss: last, heldOut: held ? { before, after: report } : null, interrupted };
}

async function conclude(
  session: Session,
  config: RunConfig,
  lora: LoraOptions | null,
  held: readonly Batch[],
  interrupted: boolean,
  say: (line: string) => void,
): Promise<number> {
  const after = held.length > 0 && !interrupted ? await evaluate(session.engine, held) : Number.NaN;
  if (held.length > 0 && !interrupted) say(`held-out loss after: ${after.toFixed(4)}`);
  const result = `${config.out}/${lora ? 'adapter' : 'model'}`;
  if (!interrupted) {
    await writeResult(result, session, lora);
    say(`written: ${result}`);
  }
  return after;
}

const dueAt = (step: number, every: number): boolean => every > 0 && step % every === 0;
