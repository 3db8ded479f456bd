/** @file What a run is about to do, before its first step: what is learnt, what is trained, for how long, in what memory. It is said, and kept as summary.json. */

import type { Engine } from '../runtime/execute.ts';
import type { RunConfig } from '../train/config.ts';
import { unitsOf } from '../train/loop.ts';
import type { RunLength } from '../train/runLength.ts';
import { type DataReport, summaryOf } from './dataReport.ts';

/** The file in a run's folder that holds its account. */
export const SUMMARY = 'summary.json';

/** A run as it begins. */
export interface RunAccount {
  /** What became of the records; null for ready batches. */
  readonly data: ReturnType<typeof summaryOf> | null;
  readonly evalData: ReturnType<typeof summaryOf> | null;
  /** Numbers that are trained, and all of the model's. */
  readonly trains: { readonly kind: 'adapter' | 'model'; readonly parameters: number; readonly of: number; readonly units: number };
  readonly steps: number;
  readonly epochs: number;
  readonly warmupSteps: number;
  /** Sequences of a whole step. */
  readonly sequencesAStep: number;
  /** Tokens that bring loss in a step, in the mean; null where that is not known before the run. */
  readonly learntAStep: number | null;
  readonly drop: RunConfig['drop'];
  /** Bytes on the device. */
  readonly memory: number;
}

/** What an account is made of. */
export interface AccountParts {
  readonly config: RunConfig;
  readonly engine: Pick<Engine, 'program' | 'memory'>;
  readonly isAdapter: boolean;
  readonly length: RunLength;
  /** Micro-batches in an epoch. */
  readonly count: number;
  readonly data: DataReport | undefined;
  readonly evalData: DataReport | undefined;
}

/** The account of a run. */
export function runAccount({ config, engine, isAdapter, length, count, data, evalData }: AccountParts): RunAccount {
  const { params } = engine.program;
  const sizes = params.filter(({ table }) => !table).map(({ shape, trainable }) => ({ trainable, size: shape.reduce((a, b) => a * b, 1) }));
  const sum = (some: readonly { readonly size: number }[]): number => some.reduce((total, { size }) => total + size, 0);
  const epochs = length.microBatches / count;
  return {
    data: data ? summaryOf(data) : null,
    evalData: evalData ? summaryOf(evalData) : null,
    trains: {
      kind: isAdapter ? 'adapter' : 'model',
      parameters: sum(sizes.filter(({ trainable }) => trainable)),
      of: sum(sizes),
      units: unitsOf(engine).length,
    },
    steps: length.steps,
    epochs,
    warmupSteps: config.warmupSteps,
    sequencesAStep: config.batch * config.accumulate,
    learntAStep: data ? (data.learnt * epochs) / length.steps : null,
    drop: config.drop,
    memory: Object.values(engine.memory).reduce((total, bytes) => total + bytes, 0),
  };
}

const shortNumber = (n: number): string =>
  n >= 1e9 ? `${(n / 1e9).toFixed(2)} G` : n >= 1e6 ? `${(n / 1e6).toFixed(2)} M` : n >= 1e3 ? `${(n / 1e3).toFixed(1)} k` : String(n);

/** The account in lines; what became of records is said by their own. @param takesTokens whether the model is given sequences of tokens */
export function accountLines({ data, trains, steps, epochs, warmupSteps, learntAStep, drop, memory }: RunAccount, takesTokens: boolean): string[] {
  const what = trains.kind === 'adapter' ? 'a low-rank adapter' : 'the model';
  const long = `${steps} step${steps === 1 ? '' : 's'} (${Number(epochs.toPrecision(3))} epoch${epochs === 1 ? '' : 's'})`;
  const learnt = learntAStep === null ? '' : `, ${shortNumber(Math.round(learntAStep))} tokens learnt in each`;
  const warm = warmupSteps > 0 ? `, ${warmupSteps} of them warm up` : '';
  return [
    ...(data === null && takesTokens ? ['ready batches begin and end as they are: nothing is put around their sequences'] : []),
    `trains ${what}: ${shortNumber(trains.parameters)} of ${shortNumber(trains.of)} parameters, ${trains.units} units (drop: ${drop.kind}), in ${(memory / 2 ** 20).toFixed(0)} MiB on the device`,
    `${long}${warm}${learnt}`,
  ];
}
