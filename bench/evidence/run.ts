/** @file One run: a setting and a seed. Its folder is as `ebb train` writes it, with evaluations and measured sensitivities beside its metrics. */

import { appendFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EbbError } from '../../src/index.ts';
import type { RunSetting } from './settings.ts';
import { type Losses, openRunOf, type Workbench } from './workbench.ts';

/** A line of evaluations.jsonl. */
export interface Evaluation extends Losses {
  readonly step: number;
}

/** The contents of finished.json. */
export interface Finished {
  /** Steps of the run, or up to the one that failed. */
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
  const { drop, lr } = setting;
  const { evalEvery, config } = bench.subject;
  const steps = stepsOf(setting, allSteps);
  const run = await openRunOf(bench, { drop, seed, out, steps, ...(lr === undefined ? {} : { lr }) }, (progress) => {
    if (progress.kind === 'measured') writeFileSync(join(out, FILES.measured), `${JSON.stringify(progress.measured)}\n`);
  });
  const losses = async (): Promise<Losses> => ({ heldOut: await run.evaluate(config.evalData), train: await run.evaluate(config.data) });
  const evaluated = async (step: number): Promise<void> => {
    const line: Evaluation = { step, ...(await (step === 0 ? bench.startingLosses(seed, losses) : losses())) };
    appendFileSync(join(out, FILES.evaluations), `${JSON.stringify(line)}\n`);
  };
  const due = (step: number): boolean => evalEvery > 0 && step % evalEvery === 0 && step < steps;
  const finish = (result: Finished): void => {
    writeFileSync(finished, `${JSON.stringify(result)}\n`);
    rmSync(join(out, 'checkpoints'), { recursive: true, force: true });
  };
  let done = run.done;
  try {
    if (done === 0) await evaluated(0);
    for await (const { step } of run.steps(run.batches, { pauseAfter: due })) {
      done = step;
      if (due(step)) await evaluated(step);
    }
    await evaluated(steps);
    finish({ steps });
  } catch (error) {
    if (!(error instanceof EbbError) || error.code !== 'numbers') throw error;
    finish({ steps: done + 1, failed: error.message });
  } finally {
    run.close();
  }
  return 'run';
}
