/** @file One device, and one engine for each program, which all runs use in turn, so that the driver compiles each kernel once. */

import { compileModel } from '../../src/compile/compile.ts';
import { scalesBranches } from '../../src/dropbp/plans/index.ts';
import { at, invariant } from '../../src/errors.ts';
import type { DropPlanConfig } from '../../src/index.ts';
import type { CommandDevice } from '../../src/node/device.ts';
import { loadParams, startEngine, startsOf } from '../../src/run/engine.ts';
import { withRunData } from '../../src/run/run.ts';
import type { Engine } from '../../src/runtime/execute.ts';
import { compileDeviceOf, trainableModel } from '../../src/session/session.ts';
import { openRunModel } from '../../src/session/train.ts';
import type { Batch, BatchSource } from '../../src/train/batches.ts';
import { parseConfig, type RunConfig } from '../../src/train/config.ts';
import type { Subject } from './subjects.ts';

/** The data of the runs of a seed. */
export interface EvidenceData {
  readonly train: BatchSource;
  readonly heldOut: readonly Batch[];
  /** As many examples of the training data as are held out. */
  readonly slice: readonly Batch[];
}

/** Mean losses with nothing dropped, in nats a token. */
export interface Losses {
  readonly heldOut: number;
  /** The loss on as many examples of the training data. */
  readonly train: number;
}

/** What runs share. */
export interface Workbench {
  readonly subject: Subject;
  readonly device: CommandDevice;
  /** Returns the engine of a plan's program, with every parameter and moment as at the start of a run of `seed`. */
  engineAt(drop: DropPlanConfig, seed: number): Promise<Engine>;
  /** Returns the data in the order of `seed`. */
  dataAt(seed: number): Promise<EvidenceData>;
  /** Returns the losses before the first step. They are the same for every setting of a seed, so `measure` is called once for each seed. */
  startingLosses(seed: number, measure: () => Promise<Losses>): Promise<Losses>;
}

/** The config of a run, from the keys of the subject, of a setting and of a seed. */
export function configOf(
  subject: Subject,
  given: { readonly drop: DropPlanConfig; readonly seed: number; readonly out: string; readonly lr?: number; readonly steps: number },
): RunConfig {
  const { lr = subject.lr, ...rest } = given;
  const { evalEvery, saveEvery } = subject;
  return parseConfig({ ...subject.config, ...rest, optimizer: { name: 'adamw', lr }, evalEvery, saveEvery, tune: 'off' }, 'bench/evidence');
}

/** An engine, and the function that sets all its parameters and moments to the start of a run. */
interface ResettableEngine {
  readonly engine: Engine;
  reset(seed: number): Promise<void>;
}

async function startResettable(subject: Subject, { device }: CommandDevice, drop: DropPlanConfig, probes: boolean): Promise<ResettableEngine> {
  const config = configOf(subject, { drop, seed: 0, out: 'unused', steps: 1 });
  const { source, lora, trace } = await openRunModel(config);
  const traced = trace(config.batch, config.length);
  const compiled = compileModel(traced, { device: compileDeviceOf({ device }), optimizers: ['adamw'] });
  const model = trainableModel(traced, compiled, source.about(traced, lora));
  const weights = { ...source.weights, adapter: null };
  const { optimizer, decay } = config;
  const engine = await startEngine(device, model, weights, { micros: 1, optimizer: optimizer.name, decay, seed: 0, probes: probes ? 'norms' : undefined });
  return {
    engine,
    async reset(seed) {
      const starts = startsOf(model, weights).map((start, i) => (at(engine.program.params, i).trainable ? start : null));
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
  invariant(held && slice, 'a run with evalData has no held-out data');
  return { train: train.source, heldOut: held.source.all(), slice: slice.source.all() };
}

/** Returns the value under `key`, which is made the first time. */
function madeOnce<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  const value = known.get(key) ?? make();
  known.set(key, value);
  return value;
}

/** Creates a workbench. Engines and data are made when they are first asked for. */
export function openWorkbench(subject: Subject, device: CommandDevice): Workbench {
  const engines = new Map<boolean, Promise<ResettableEngine>>();
  const data = new Map<number, Promise<EvidenceData>>();
  const starts = new Map<number, Promise<Losses>>();
  return {
    subject,
    device,
    async engineAt(drop, seed) {
      const scales = scalesBranches(drop);
      const { engine, reset } = await madeOnce(engines, scales, () => startResettable(subject, device, drop, !scales));
      await reset(seed);
      return engine;
    },
    dataAt: (seed) => madeOnce(data, seed, () => openData(subject, seed)),
    startingLosses: (seed, measure) => madeOnce(starts, seed, measure),
  };
}
