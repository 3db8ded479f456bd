/** @file Runs `ebb` as a child process, as a person would: exit code, both streams and memory. */

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

export const ROOT = join(__dirname, '../..');
export const TINY_MODEL = join(ROOT, 'examples/tiny-llama/model');
const MAIN = join(ROOT, 'dist/cli/main.js');
/**
 * Written to file descriptor 3 when the process exits: its largest resident set, in KiB. On Linux that of its own memory: the rusage of a
 * child begins with what its parent held when it was forked.
 */
const PEAK =
  "/^VmHWM:\\s+(\\d+) kB/m.exec(fs.existsSync('/proc/self/status')?fs.readFileSync('/proc/self/status','utf8'):'')?.[1]??process.resourceUsage().maxRSS";
const RSS_HOOK = `data:text/javascript,${encodeURIComponent(`import fs from 'node:fs';process.on('exit',()=>fs.writeSync(3,String(${PEAK})))`)}`;

export interface CliRun {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly maxRssBytes: number;
}

/** The errors among what a command wrote to stderr, each a sentence: a run says what it does before. @param program what they begin with */
export const errorsIn = (stderr: string, program = 'ebb'): string[] =>
  stderr
    .trim()
    .split('\n')
    .filter((line) => line.startsWith(`${program}: `));

/** Runs `ebb ...args` in `cwd`; `onStderr` sees all of stderr so far, and the process, whenever more comes. Jest asks its workers for colours, and some libraries take `CI` for a terminal: what `ebb` prints into a pipe has none with either. */
export function runCli(
  args: readonly string[],
  onStderr?: (text: string, child: ChildProcess) => void,
  env: NodeJS.ProcessEnv = {},
  cwd: string = ROOT,
): Promise<CliRun> {
  const child = spawn(process.execPath, ['--import', RSS_HOOK, MAIN, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: undefined, CI: '1', ...env },
  });
  const texts = ['', '', '', ''];
  for (const fd of [1, 2, 3])
    child.stdio[fd]?.on('data', (chunk: Buffer) => {
      texts[fd] += chunk.toString('utf8');
      if (fd === 2) onStderr?.(texts[2] as string, child);
    });
  return new Promise((resolve) => {
    child.on('close', (code, signal) =>
      resolve({ code, signal, stdout: texts[1] as string, stderr: texts[2] as string, maxRssBytes: 1024 * Number(texts[3]) }),
    );
  });
}
