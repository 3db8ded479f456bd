/** @file How a generated trainer starts: its command line in Node; nothing in a page, which imports what it needs. */

import type { TrainerPackage } from './package.ts';

/** Runs the command line when `module` is the program that Node was started with. */
export async function startTrainer(trainer: TrainerPackage, module: string): Promise<void> {
  if (typeof process === 'undefined' || process.versions?.node === undefined) return;
  const { isProgram, runCommandLine } = await import('./main.ts');
  if (isProgram(module)) await runCommandLine(trainer);
}
