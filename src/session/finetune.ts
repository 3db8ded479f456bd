/** @file `finetune`: a model, data and settings in, a trained adapter or model out. */

import { join } from 'node:path';
import type { OptionShape } from '../issues.ts';
import type { CommandDevice } from '../node/device.ts';
import { tell, type Watch } from '../run/progress.ts';
import type { TrainHooks, TrainReport } from '../run/run.ts';
import { checkRunFolder } from '../run/runFolder.ts';
import type { DispatchTime } from '../runtime/dispatchTimes.ts';
import type { RunConfig } from '../train/config.ts';
import type { StepMetrics } from '../train/loop.ts';
import { onDevice } from './device.ts';
import { flag, listener, whole } from './optionKinds.ts';
import { writeProfile } from './profile.ts';
import { configOf, type RunOptions } from './runOptions.ts';
import { trainModel } from './train.ts';

/** A run, and what is done besides. */
export interface FinetuneOptions extends RunOptions {
  /** Whether the run goes on from the newest checkpoint in its folder. */
  readonly resume?: boolean | undefined;
  /** Times every kernel of so many steps, from the third on: tables, and traces for chrome://tracing, in `profile/` of the run's folder. Default 0. */
  readonly profile?: number | undefined;
  /** Is told of every step. */
  readonly onStep?: ((step: StepMetrics) => void) | undefined;
}

const OWN: OptionShape<Omit<FinetuneOptions, keyof RunOptions>> = { resume: flag, profile: whole(0), onStep: listener };

/** Trains, and times the kernels of some steps. */
async function profiled(config: RunConfig, opened: CommandDevice, count: number, hooks: TrainHooks): Promise<TrainReport> {
  const steps: (readonly DispatchTime[])[] = [];
  const report = await trainModel(config, opened, { ...hooks, timed: { steps: count, report: (_step, times) => void steps.push(times) } });
  tell(hooks, steps.length > 0 ? await writeProfile(join(config.out, 'profile'), steps, opened) : 'nothing was profiled: the run has fewer than 3 steps');
  return report;
}

/**
 * Fine-tunes a model and writes the run's folder. An abort ends the run after the step that is under way, with a checkpoint that `resume` goes
 * on from, and `interrupted` says so; before the first step it rejects with the signal's reason.
 * @throws EbbError for options, data, a model or a device that cannot be used
 */
export async function finetune(options: FinetuneOptions): Promise<TrainReport> {
  const config = configOf('finetune()', options, OWN);
  const { onStep, resume = false, profile = 0, onProgress, signal, device, from } = options;
  checkRunFolder(config.out, resume, config, from);
  const watch: Watch = {
    signal,
    onProgress(progress) {
      onProgress?.(progress);
      if (progress.kind === 'step') onStep?.(progress.metrics);
    },
  };
  const hooks: TrainHooks = { ...watch, resume };
  return onDevice(typeof device === 'object' ? device : config.device, watch, (opened) =>
    profile > 0 ? profiled(config, opened, profile, hooks) : trainModel(config, opened, hooks),
  );
}
