/**
 * Measures what it costs to start the command line: the user CPU of `ebb --version`, and of `ebb check` on a small file, as ratios to that of
 * node itself. They take turns, and the minima count. Needs bash, whose `time` counts the CPU of a child, and a build (`npm run build`).
 *
 *   npx tsx bench/commands.ts
 *
 * It fails when `ebb --version` takes more than 3 times the CPU of `node -e 0`, or `ebb check` more than 6 times.
 */

import { spawnSync } from 'node:child_process';

const ROUNDS = 15;
const EBB = ['dist/cli/main.js'];

interface Subject {
  readonly name: string;
  readonly args: readonly string[];
  /** The most it may take, as a ratio to node itself. */
  readonly most: number;
}

const SUBJECTS: readonly Subject[] = [
  { name: 'node -e 0', args: ['-e', '0'], most: 1 },
  { name: 'ebb --version', args: [...EBB, '--version'], most: 3 },
  { name: 'ebb check FILE', args: [...EBB, 'check', 'examples/tiny-llama/model/config.json'], most: 6 },
];

/** Runs node, and returns the seconds of user CPU it took. */
function userSeconds(args: readonly string[]): number {
  const { stderr, status } = spawnSync('bash', ['-c', 'TIMEFORMAT=%3U; time "$@" > /dev/null', 'bash', process.execPath, ...args], { encoding: 'utf8' });
  const seconds = Number(stderr.trim().split('\n').at(-1));
  if (status !== 0 || !(seconds > 0)) throw new Error(`node ${args.join(' ')} ended with ${status}: ${stderr}`);
  return seconds;
}

const least = new Map(SUBJECTS.map(({ name }): [string, number] => [name, Number.POSITIVE_INFINITY]));
for (let round = 0; round < ROUNDS; round++)
  for (const { name, args } of SUBJECTS) least.set(name, Math.min(least.get(name) ?? Number.POSITIVE_INFINITY, userSeconds(args)));

const [node = Number.NaN] = least.values();
for (const { name, most } of SUBJECTS) {
  const seconds = least.get(name) ?? Number.NaN;
  const ratio = seconds / node;
  console.log(`${name.padEnd(16)} ${(1000 * seconds).toFixed(0).padStart(5)} ms of user CPU, ${ratio.toFixed(2)} × node (at most ${most})`);
  if (!(ratio <= most)) process.exitCode = 1;
}
