/** @file The command line: thin commands over the library, one file each in ./commands. They write results to stdout, and everything else to stderr. */

import { Command } from 'commander';
import { EbbError, speakInFlags } from '../errors.ts';
import { eachOnce, outliveReaders, say } from '../terminal/options.ts';
import { MANIFEST } from '../version.ts';
import { COMMANDS } from './commands.ts';

outliveReaders();
speakInFlags();

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
  .version(MANIFEST.version)
  .configureOutput({ outputError });

/** The command that is called, by the first word that is no option; its file alone is loaded. `ebb help NAME` calls NAME too. */
const words = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const called = words[0] === 'help' ? words[1] : words[0];

/** `ebb complete SHELL` prints a script that completes commands and options, and the script calls it again: it knows all commands. */
const COMPLETE = 'complete';
for (const { name, description, load } of COMMANDS) {
  const command = program.command(name).description(description).configureOutput({ outputError });
  if (name === called || called === COMPLETE) eachOnce((await load())(command));
}
if (called === COMPLETE) (await import('@bomb.sh/tab/commander')).default(program);
else program.command(COMPLETE).description('print a script for shell completion: bash, zsh, fish or powershell').argument('<shell>');

const [first, ...rest] = process.argv.slice(2);
const fail = (text: string): void => outputError(text, (line) => void process.stderr.write(line));
/** What commander takes and does not look at: a version beside other words, and help of a command that is none. */
function unread(): string | undefined {
  if ((first === '--version' || first === '-V') && rest.length > 0) return `${first} takes nothing else, found ${rest.join(' ')}`;
  const asked = words[0] === 'help' ? words[1] : undefined;
  return asked !== undefined && ![...COMMANDS.map(({ name }) => name), COMPLETE, 'help'].includes(asked) ? `unknown command '${asked}'` : undefined;
}

try {
  const wrong = unread();
  if (wrong !== undefined) {
    fail(wrong);
    process.exit(1);
  }
  await program.parseAsync();
} catch (error) {
  say(error instanceof EbbError ? `ebb: ${error.message}` : `ebb: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  // Work that a failed device never finishes must not keep the process alive.
  process.exit(1);
}
