/** @file The command line: thin commands over the library, one file each in ./commands. They write results to stdout, and everything else to stderr. */

import { Command } from 'commander';
import { EbbError } from '../errors.ts';
import { eachOnce, say } from '../terminal/options.ts';
import { analyzeCommand } from './commands/analyze.ts';
import { checkCommand } from './commands/check.ts';
import { compileCommand } from './commands/compile.ts';
import { demoCommand } from './commands/demo.ts';
import { doctorCommand } from './commands/doctor.ts';
import { evalCommand } from './commands/eval.ts';
import { forwardCommand } from './commands/forward.ts';
import { generateCommand } from './commands/generate.ts';
import { gradCommand } from './commands/grad.ts';
import { inspectCommand } from './commands/inspect.ts';
import { planCommand } from './commands/plan.ts';
import { trainCommand } from './commands/train.ts';
import { tuneCommand } from './commands/tune.ts';

// A reader that stops reading (`ebb inspect … | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

/** Writes an error of commander as one sentence, like all other errors. */
function outputError(text: string, write: (text: string) => void): void {
  const sentence = text
    .trim()
    .replace(/^error: /, '')
    .replace(/ is invalid\. /, ' is invalid: ')
    .replace(/\.$/, '')
    .replaceAll('\n', ' ');
  write(`ebb: ${sentence} (--help lists the options)\n`);
}

const program = new Command('ebb')
  .description('Compiles language models for WebGPU and fine-tunes them, leaving out most of the backward pass (DropBP).')
  .version('0.1.0')
  .configureOutput({ outputError });

for (const command of [
  trainCommand(),
  planCommand(),
  analyzeCommand(),
  compileCommand(),
  evalCommand(),
  generateCommand(),
  forwardCommand(),
  gradCommand(),
  inspectCommand(),
  checkCommand(),
  doctorCommand(),
  tuneCommand(),
  demoCommand(),
])
  program.addCommand(eachOnce(command).configureOutput({ outputError }));

try {
  await program.parseAsync();
} catch (error) {
  say(error instanceof EbbError ? `ebb: ${error.message}` : `ebb: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  // Work that a failed device never finishes must not keep the process alive.
  process.exit(1);
}
