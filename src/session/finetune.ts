/** @file `finetune`: a model, data and settings in, a trained adapter or model out. */

import type { DropPlanConfig } from '../dropbp/plans/index.ts';
import type { Watch } from '../run/progress.ts';
import type { TrainReport } from '../run/run.ts';
import { checkRunFolder } from '../run/runFolder.ts';
import { parseConfig, type RunConfig, type RunInput } from '../train/config.ts';
import type { StepMetrics } from '../train/loop.ts';
import { type OnDevice, onDevice } from './device.ts';
import { trainModel } from './train.ts';

/** The keys of a run (docs/training.md), and how it is watched. `model` and `data` are required. */
export interface FinetuneOptions extends Omit<RunInput, '$schema' | 'drop' | 'device'>, OnDevice, Watch {
  /** A drop plan; or a rate, which is that of a uniform plan. Default: nothing is dropped. */
  readonly drop?: number | DropPlanConfig;
  /** Whether the run goes on from the newest checkpoint in its folder. */
  readonly resume?: boolean;
  /** Is told of every step. */
  readonly onStep?: (step: StepMetrics) => void;
}

const dropPlan = (drop: number | DropPlanConfig): DropPlanConfig => {
  if (typeof drop !== 'number') return drop;
  return drop === 0 ? { kind: 'none' } : { kind: 'uniform', rate: drop };
};

/** The config of a run that options ask for. @throws EbbError naming every option that is wrong */
export function configOf({ drop, device, onProgress: _onProgress, signal: _signal, resume: _resume, onStep: _onStep, ...keys }: FinetuneOptions): RunConfig {
  const given = Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined));
  return parseConfig({ ...given, ...(drop === undefined ? {} : { drop: dropPlan(drop) }), ...(typeof device === 'string' ? { device } : {}) }, 'finetune()');
}

/**
 * Fine-tunes a model and writes the run's folder. An abort ends the run after the step that is under way, with a checkpoint that `resume` goes
 * on from, and `interrupted` says so; before the first step it rejects with the signal's reason.
 * @throws EbbError for options, data, a model or a device that cannot be used
 */
export async function finetune(options: FinetuneOptions): Promise<TrainReport> {
  const { onStep, onProgress, signal, resume = false, device } = options;
  const config = configOf(options);
  checkRunFolder(config.out, resume, config);
  const watch: Watch = {
    signal,
    onProgress(progress) {
      onProgress?.(progress);
      if (progress.kind === 'step') onStep?.(progress.metrics);
    },
  };
  return onDevice(typeof device === 'object' ? device : config.device, (opened) => trainModel(config, opened, { ...watch, resume }));
}
