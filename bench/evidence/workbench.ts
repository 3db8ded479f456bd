/** @file One device, and for each program one engine that all runs use in turn: a driver compiles a kernel once. */

import { openRunModel } from '../../src/cli/train.ts';
import { compileModel } from '../../src/compile/compile.ts';
import { scalesBranches } from '../../src/dropbp/plans/index.ts';
import type { DropPlanConfig } from '../../src/index.ts';
import type { CommandDevice } from '../../src/node/device.ts';
import { loadParams, startEngine, startsOf } from '../../src/run/engine.ts';
import { withRunData } from '../../src/run/run.ts';
import type { Engine } from '../../src/runtime/execute.ts';
import { compileDeviceOf, trainableModel } from '../../src/session.ts';
import type { Batch, BatchSource } from '../../src/train/batches.ts';
import { parseConfig, type RunConfig } from '../../src/train/config.ts';
import type { Subject } from './subjects.ts';

export interface EvidenceData {
  readonly train: BatchSource;
  readonly heldOut: readonly Batch[];
  /** As many examples of the training data as are held out. */
  readonly slice: readonly Batch[];
}

/** Mean losses with nothing dropped. */
export interface Losses {
  readonly heldOut: number;
  /** Of as many examples of the training data. */
  readonly train: number;
}

export interface Workbench {
  readonly subject: Subject;
  readonly device: CommandDevice;
  /** The engine of a plan's program, with every parameter and moment as a run of `seed` starts. */
  engineAt(drop: DropPlanConfig, seed: number): Promise<Engine>;
  /** In the order of `seed`. */
  dataAt(seed: number): Promise<EvidenceData>;
  /** What `measure` gives before the first step: the same for every setting of a seed, so measured once. */
  startingLosses(seed: number, measure: () => Promise<Losses>): Promise<Losses>;
}

/** A run's config: what the subject gives, and what a setting and a seed do. */
export function configOf(
  subject: Subject,
  given: { readonly drop: DropPlanConfig; readonly seed: number; readonly out: string; readonly lr?: number; readonly steps: number },
): RunConfig {
  const { lr = subject.lr, ...rest } = given;
  const { evalEvery, saveEvery } = subject;
  return parseConfig({ ...subject.config, ...rest, optimizer: { name: 'adamw', lr }, evalEvery, saveEvery, tune: 'off' }, 'bench/evidence');
}

interface Bench {
  readonly engine: Engine;
  reset(seed: number): Promise<void>;
}

async function openBench(subject: Subject, { device, traits }: CommandDevice, drop: DropPlanConfig, probes: boolean): Promise<Bench> {
  const config = configOf(subject, { drop, seed: 0, out: 'unused', steps: 1 });
  const { source, lora, trace } = await openRunModel(config);
  const traced = trace(config.batch, config.length);
  const compiled = compileModel(traced, { device: compileDeviceOf({ device, traits }), optimizers: ['adamw'] });
  const model = trainableModel(traced, compiled, source.about(traced, lora));
  const weights = { ...source.weights, adapter: null };
  const { optimizer, decay } = config;
  const engine = await startEngine(device, model, weights, { micros: 1, optimizer: optimizer.name, decay, seed: 0, probes: probes ? 'norms' : undefined });
  return {
    engine,
    async reset(seed) {
      const starts = startsOf(model, weights).map((start, i) => (engine.program.params[i]?.trainable ? start : null));
      await loadParams(engine, starts, seed);
      for (const [i, p] of engine.program.params.entries()) {
        if (!p.trainable) continue;
        for (const kind of ['m', 'v'] as const) engine.writeMoment(i, kind, new Float32Array(p.shape.reduce((a, b) => a * b, 1)));
      }
    },
  };
}

async function openData(subject: Subject, seed: number): Promise<EvidenceData> {
  const config = configOf(subject, { drop: { kind: 'none' }, seed, out: 'unused', steps: 1 });
  const { source } = await openRunModel(config);
  const of = (evalData: string) => withRunData({ ...config, evalData }, source, ({ loaded }) => loaded);
  const [{ train, held }, { held: slice }] = [await of(subject.config.evalData), await of(config.data)];
  return { train: train.source, heldOut: held?.source.all() ?? [], slice: slice?.source.all() ?? [] };
}

/** What is known of `key`, made the first time. */
function kept<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  const value = known.get(key) ?? make();
  known.set(key, value);
  return value;
}

export function openWorkbench(subject: Subject, device: CommandDevice): Workbench {
  const benches = new Map<boolean, Promise<Bench>>();
  const data = new Map<number, Promise<EvidenceData>>();
  const starts = new Map<number, Promise<Losses>>();
  return {
    subject,
    device,
    async engineAt(drop, seed) {
      const scales = scalesBranches(drop);
      const { engine, reset } = await kept(benches, scales, () => openBench(subject, device, drop, !scales));
      await reset(seed);
      return engine;
    },
    dataAt: (seed) => kept(data, seed, () => openData(subject, seed)),
    startingLosses: (seed, measure) => kept(starts, seed, measure),
  };
}
