/** @file One run: a setting and a seed. Its folder is as `ebb train` writes it, with evaluations and measured sensitivities beside its metrics. */

import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EbbError } from '../../src/index.ts';
import { openRunFolder } from '../../src/run/runFolder.ts';
import { evaluate, newState, train } from '../../src/train/loop.ts';
import type { RunSetting } from './settings.ts';
import { configOf, type Losses, type Workbench } from './workbench.ts';

/** A line of evaluations.jsonl. */
export interface Evaluation extends Losses {
  readonly step: number;
}

/** The contents of finished.json. */
export interface Finished {
  readonly steps: number;
  /** Why the run ended before its last step. */
  readonly failed?: string;
}

/** Files in the folder of a run. */
export const FILES = { evaluations: 'evaluations.jsonl', measured: 'measured.json', finished: 'finished.json', metrics: 'metrics.jsonl' } as const;

/** The number of steps of a setting, where a setting with all steps has `steps`. */
export const stepsOf = (setting: RunSetting, steps: number): number => Math.max(1, Math.round(steps * (setting.share ?? 1)));

/** Runs a setting, from the state that its folder holds. A run that is finished is left as it is. A loss that is not finite ends the run, and is its result. */
export async function runSetting(bench: Workbench, setting: RunSetting, seed: number, allSteps: number, out: string): Promise<'run' | 'was finished'> {
  const finished = join(out, FILES.finished);
  if (existsSync(finished)) return 'was finished';
  const steps = stepsOf(setting, allSteps);
  const config = configOf(bench.subject, { drop: setting.drop, seed, out, steps, ...(setting.lr === undefined ? {} : { lr: setting.lr }) });
  mkdirSync(out, { recursive: true });
  const folder = openRunFolder(out, true, config);
  const engine = await bench.engineAt(setting.drop, seed);
  const { train: batches, heldOut, slice } = await bench.dataAt(seed);
  const state = (await folder.resume(engine)) ?? newState(engine);
  folder.begin(config);
  const losses = async (): Promise<Losses> => ({ heldOut: await evaluate(engine, heldOut), train: await evaluate(engine, slice) });
  const evaluated = async (step: number): Promise<void> => {
    const line: Evaluation = { step, ...(await (step === 0 ? bench.startingLosses(seed, losses) : losses())) };
    appendFileSync(join(out, FILES.evaluations), `${JSON.stringify(line)}\n`);
  };
  const due = (step: number, every: number): boolean => every > 0 && step % every === 0 && step < steps;
  const finish = (result: Finished): void => {
    writeFileSync(finished, `${JSON.stringify(result)}\n`);
    rmSync(join(out, 'checkpoints'), { recursive: true, force: true });
  };
  try {
    if (state.step === 0) await evaluated(0);
    await train({
      engine,
      config: { ...config, steps },
      batches,
      state,
      onStep: folder.appendMetrics,
      onMeasured: (measured) => writeFileSync(join(out, FILES.measured), `${JSON.stringify(measured)}\n`),
      between: {
        when: (step) => due(step, config.saveEvery) || due(step, config.evalEvery),
        async run(now) {
          if (due(now.step, config.evalEvery)) await evaluated(now.step);
          if (due(now.step, config.saveEvery)) await folder.saveCheckpoint(engine, now);
        },
      },
    });
    await evaluated(steps);
    finish({ steps });
  } catch (error) {
    if (!(error instanceof EbbError) || !/the loss is/.test(error.message)) throw error;
    finish({ steps: state.step, failed: error.message });
  }
  return 'run';
}
