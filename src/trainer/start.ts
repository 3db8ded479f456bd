/** @file How a generated trainer starts: its command line in Node; nothing in a page, which imports what it needs. */

import type { InputData } from '../runtime/inputs.ts';
import type { PackageFacts, TrainerPackage } from './package.ts';
import type { RunOptions, Train, TrainerRun } from './run.ts';

/**
 * Runs the command line when `module` is the program that Node was started with.
 * @param train trains as the command line's flags say; default: all steps, then what was trained is saved
 */
export async function startTrainer(trainer: PackageFacts, module: string, train?: Train): Promise<void> {
  if (typeof process === 'undefined' || process.versions?.node === undefined) return;
  const { isProgram, runCommandLine, trainPackage } = await import('./main.ts');
  if (isProgram(module)) await runCommandLine(trainer, train ?? ((options) => trainPackage(trainer, options)));
}

/**
 * Opens a run of a compiled model in Node, on a device of this machine: its data, its folder, every parameter at its start.
 * @throws EbbError for options, data, weights, a folder or a device that cannot be used
 */
export async function openRun<Inputs = InputData, Unit extends string = string, Parameter extends string = string>(
  trainer: TrainerPackage<Inputs, Unit, Parameter>,
  options: RunOptions,
): Promise<TrainerRun<Inputs, Unit, Parameter>> {
  const { openTrainerRun } = await import('./main.ts');
  // what the package was compiled for is what its trainer.ts says of it
  return (await openTrainerRun(trainer, options)) as TrainerRun<Inputs, Unit, Parameter>;
}
