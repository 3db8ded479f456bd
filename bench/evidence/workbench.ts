/** @file What the runs of a model share: the keys of their configs, a device, and the losses before their first step. */

import {
  type DropPlanConfig,
  type OpenRun,
  openRun,
  openSession,
  type Progress,
  parseConfig,
  type RunConfig,
  type RunOptions,
  type Session,
  scalesBranches,
  trainingMode,
} from '../../src/index.ts';
import type { CommandDevice } from '../../src/node/device.ts';
import type { Subject } from './subjects.ts';

/** Mean losses with nothing dropped, in nats a token. */
export interface Losses {
  readonly heldOut: number;
  /** The loss on as many examples of the training data. */
  readonly train: number;
}

/** What tells a run from the others of its model. */
export interface RunKeys {
  readonly drop: DropPlanConfig;
  readonly seed: number;
  readonly out: string;
  readonly lr?: number;
  readonly steps: number;
}

/** What runs share. */
export interface Workbench {
  readonly subject: Subject;
  readonly device: CommandDevice;
  /** Returns the losses before the first step. They are the same for every setting of a seed, so `measure` is called once for each seed. */
  startingLosses(seed: number, measure: () => Promise<Losses>): Promise<Losses>;
}

/** The keys of a run, from those of the subject, of a setting and of a seed. The run itself holds nothing out, as two files are evaluated. */
export function keysOf(subject: Subject, { lr = subject.lr, ...given }: RunKeys): RunOptions {
  const { evalData: _evalData, ...keys } = subject.config;
  return { ...keys, ...given, optimizer: { name: 'adamw', lr }, saveEvery: subject.saveEvery, tune: 'off' };
}

/** The config of a run. */
export const configOf = (subject: Subject, given: RunKeys): RunConfig => parseConfig(keysOf(subject, given), 'bench/evidence');

/** Opens a run, which goes on from what its folder holds. */
export const openRunOf = ({ subject, device }: Workbench, given: RunKeys, onProgress: (progress: Progress) => void): Promise<OpenRun> =>
  openRun({ ...keysOf(subject, given), device, resume: true, onProgress });

/** Makes the program of a plan run, with every parameter as at the start of a run of `seed`; where its branches have no scales, sensitivities can be measured. */
export function openProgram({ subject, device }: Pick<Workbench, 'subject' | 'device'>, drop: DropPlanConfig, seed: number): Promise<Session> {
  const { model, batch: B, length: T, lora, optimizer, decay } = configOf(subject, { drop, seed, out: 'unused', steps: 1 });
  const adapter = lora === false || lora.from !== undefined ? null : lora;
  const scaledBranches = scalesBranches(drop);
  return openSession(model, device, {
    mode: trainingMode(T),
    dims: { B, T },
    lora: adapter,
    trains: adapter ? 'adapter' : 'full',
    scaledBranches,
    micros: 1,
    optimizer: optimizer.name,
    decay,
    seed,
    probes: scaledBranches ? undefined : 'norms',
  });
}

/** Creates a workbench. */
export function openWorkbench(subject: Subject, device: CommandDevice): Workbench {
  const starts = new Map<number, Promise<Losses>>();
  return {
    subject,
    device,
    startingLosses(seed, measure) {
      const losses = starts.get(seed) ?? measure();
      starts.set(seed, losses);
      return losses;
    },
  };
}
