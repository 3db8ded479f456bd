/**
 * Streams data that is larger than memory should take: writes a JSONL file of so many bytes, reads it twice with `ebb data`, and prints the most host
 * memory that took, and the times. The second start finds the tokens of the first.
 *
 *   npm run bench:stream -- [--gigabytes 2] [--model examples/tiny-llama/model] [--folder FOLDER]
 */

import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EbbError } from '../src/index.ts';

const ROOT = resolve(fileURLToPath(new URL('..', import.meta.url)));
const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '2' },
    model: { type: 'string', default: join(ROOT, 'examples/tiny-llama/model') },
    folder: { type: 'string', default: tmpdir() },
  },
});

/** Records of a block, which is written over and over with other numbers in it. */
const BLOCK = 20_000;
const WORDS = 'Tom has seven apples and gives some of them to Anna who counts what is left in the basket before she goes home'.split(' ');

function block(from: number): string {
  return Array.from({ length: BLOCK }, (_, i) => {
    const words = Array.from({ length: 40 + ((i * 7) % 60) }, (_unused, k) => WORDS[(i * 31 + k * 17) % WORDS.length]);
    return `${JSON.stringify({ prompt: `Question ${from + i}: `, completion: words.join(' ') })}\n`;
  }).join('');
}

const folder = mkdtempSync(join(values.folder, 'ebb-stream-'));
try {
  const path = join(folder, 'large.jsonl');
  const file = openSync(path, 'w');
  for (let written = 0, from = 0; written < Number(values.gigabytes) * 1e9; from += BLOCK) written += writeSync(file, block(from));
  closeSync(file);
  // the child says itself what it took, as the parent knows only the largest of all its children
  const program = join(folder, 'program.mjs');
  const told = "process.on('exit', () => process.stderr.write('PEAK ' + process.resourceUsage().maxRSS + '\\n'));";
  writeFileSync(program, `${told}\nawait import(${JSON.stringify(join(ROOT, 'dist/cli/main.js'))});\n`);
  console.log(`${(statSync(path).size / 1e9).toFixed(2)} GB of records`);
  for (const start of ['first', 'second']) {
    const started = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'data', path, '--model', values.model, '--length', '128'], {
      encoding: 'utf8',
      env: { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') },
    });
    if (status !== 0) throw new EbbError(`ebb data failed: ${stderr}`);
    const peak = Number(/PEAK (\d+)/.exec(stderr)?.[1]) / 1024;
    console.log(
      `${start} start: ${((performance.now() - started) / 1000).toFixed(0)} s, at most ${peak.toFixed(0)} MiB of host memory; ${stdout.split('\n')[0]?.slice(path.length + 2)}`,
    );
  }
} finally {
  rmSync(folder, { recursive: true });
}
