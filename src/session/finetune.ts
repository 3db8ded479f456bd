/** @file `finetune`: a model, data and settings in, a trained adapter or model out. */

import { join } from 'node:path';
import type { OptionShape } from '../issues.ts';
import type { CommandDevice } from '../node/device.ts';
import { withClaim } from '../run/lock.ts';
import type { TrainReport } from '../run/openRun.ts';
import { tell, type Watch } from '../run/progress.ts';
import { trainAll } from '../run/run.ts';
import { checkRunFolder } from '../run/runFolder.ts';
import type { DispatchTime } from '../runtime/dispatchTimes.ts';
import type { RunConfig } from '../train/config.ts';
import type { StepMetrics } from '../train/loop.ts';
import { onDevice } from './device.ts';
import { GOING_ON, type OpenRunOptions } from './openRun.ts';
import { listener, whole } from './optionKinds.ts';
import { writeProfile } from './profile.ts';
import { configOf, type RunOptions } from './runOptions.ts';
import { openModelRun } from './train.ts';

/** A run, and what is done besides. */
export interface FinetuneOptions extends OpenRunOptions {
  /** Times every kernel of so many steps, from the third on: tables, and traces for chrome://tracing, in `profile/` of the run's folder. Default 0. */
  readonly profile?: number | undefined;
  /** Is told of every step, and waited for where it returns a promise; what it throws ends the run. */
  readonly onStep?: ((step: StepMetrics) => unknown) | undefined;
}

const OWN: OptionShape<Omit<FinetuneOptions, keyof RunOptions>> = { ...GOING_ON, profile: whole(0), onStep: listener };

/** Keeps the times of a run's steps, and writes them into its folder when it is over. */
function profiler({ out }: RunConfig, steps: number) {
  const kept: (readonly DispatchTime[])[] = [];
  return {
    timed: { steps, report: (_step: number, times: readonly DispatchTime[]) => void kept.push(times) },
    write: (device: CommandDevice): Promise<string> =>
      kept.length > 0 ? writeProfile(join(out, 'profile'), kept, device) : Promise.resolve('nothing was profiled: the run has fewer than 3 steps'),
  };
}

/**
 * Fine-tunes a model and writes the run's folder. An abort ends the run after the step that is under way, with a checkpoint that `resume` goes
 * on from, and `interrupted` says so; before the first step it rejects with the signal's reason.
 * @throws EbbError for options, data, a model or a device that cannot be used
 */
export async function finetune(options: FinetuneOptions): Promise<TrainReport> {
  const config = configOf('finetune()', options, OWN);
  const { onStep, resume, accept, extend, profile = 0, onProgress, signal, device = config.device, from } = options;
  const going = { resume, accept, extend };
  checkRunFolder(config, going, from);
  const watch: Watch = { signal, onProgress };
  const profiling = profile > 0 ? profiler(config, profile) : null;
  return withClaim(config.out, (claim) =>
    onDevice(device, watch, async (opened) => {
      const run = await openModelRun(config, opened, { ...watch, ...going, claim, ...(profiling ? { timed: profiling.timed } : {}) });
      const report = await trainAll(run, onStep);
      if (profiling) tell(watch, await profiling.write(opened));
      return report;
    }),
  );
}
