/**
 * Times what a run says: it trains with cold caches, notes when every line came, and prints the time to the first of them and the longest silences,
 * each with what was said before it. `--terminal` gives the run a terminal (util-linux's script), where the line of status counts too.
 *
 *   npm run bench:silence -- --model SmolLM2.gguf --data questions.jsonl [--device lavapipe] [--steps 5] [--terminal] [--log LOG]
 *   npm run bench:silence -- --model M --data D -- --lora --length 64        # behind -- stand flags of ebb train
 *
 * It fails where nothing is said within a second, or there is a silence of 5 s and more.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, stripVTControlCharacters } from 'node:util';

const ROOT = resolve(fileURLToPath(new URL('..', import.meta.url)));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: join(ROOT, 'examples/tiny-llama/model') },
    data: { type: 'string', default: join(ROOT, 'examples/demo/questions.jsonl') },
    device: { type: 'string', default: 'lavapipe' },
    steps: { type: 'string', default: '5' },
    terminal: { type: 'boolean', default: false },
    log: { type: 'string' },
  },
});

/** Most milliseconds before the first word, and between two. */
const FIRST_MS = 1000;
const SILENT_MS = 5000;

/** Something that was said, and when. */
interface Said {
  readonly ms: number;
  readonly text: string;
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Runs the command, and notes every piece of its output. */
function listen(args: readonly string[], env: NodeJS.ProcessEnv): Promise<{ readonly said: readonly Said[]; readonly status: number | null }> {
  const started = performance.now();
  const [program, ...rest] = values.terminal
    ? ['script', '-qefc', ['stty cols 80;', ...[process.execPath, ...args].map(quoted)].join(' '), '/dev/null']
    : [process.execPath, ...args];
  const child = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said: Said[] = [];
  const note = (piece: Buffer): void => {
    const text = stripVTControlCharacters(piece.toString()).replaceAll('\r', '').trim();
    if (text !== '') said.push({ ms: performance.now() - started, text });
  };
  child.stdout.on('data', note);
  child.stderr.on('data', note);
  return new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', (status) => done({ said: [...said, { ms: performance.now() - started, text: '(the end)' }], status }));
  });
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
const lastLine = (text: string): string => text.split('\n').at(-1)?.trim() ?? '';

const folder = mkdtempSync(join(tmpdir(), 'ebb-silence-'));
try {
  const { model, data, device, steps } = values;
  const run = ['train', '--model', model, '--data', data, '--device', device, '--steps', steps, '--out', join(folder, 'run')];
  const env = { ...process.env, XDG_CACHE_HOME: join(folder, 'cache'), MESA_SHADER_CACHE_DIR: join(folder, 'mesa') };
  const { said, status } = await listen([join(ROOT, 'dist/cli/main.js'), ...run, ...positionals], env);
  if (values.log !== undefined)
    writeFileSync(values.log, said.map(({ ms, text }) => `${seconds(ms).padStart(9)}  ${text.replaceAll('\n', '\n           ')}\n`).join(''));
  const silences = said.slice(1).map(({ ms }, i) => ({ ms: ms - (said[i]?.ms ?? 0), after: said[i] }));
  const longest = silences.sort((a, b) => b.ms - a.ms).slice(0, 5);
  const first = said[0]?.ms ?? Number.POSITIVE_INFINITY;
  console.log(`${values.terminal ? 'on a terminal' : 'in a pipe'}: the first word after ${seconds(first)}: ${lastLine(said[0]?.text ?? '')}`);
  for (const { ms, after } of longest) console.log(`silent for ${seconds(ms)} at ${seconds(after?.ms ?? 0)}, after: ${lastLine(after?.text ?? '')}`);
  console.log(`${seconds(said.at(-1)?.ms ?? 0)} in all, exit status ${status}`);
  if (status !== 0 || first > FIRST_MS || (longest[0]?.ms ?? 0) >= SILENT_MS) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
