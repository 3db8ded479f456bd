/**
 * Measures how fast texts are encoded, beside Python's tokenizers, which is the same Rust: both in turns, the least time of each.
 *
 *   npm run bench:tokenise -- TOKENIZER.json TEXT [PYTHON]
 *
 * TEXT is cut into lines, which are encoded at once. PYTHON is an interpreter with the package tokenizers; default python3.
 */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { EbbError, openTokenizer } from '../src/index.ts';
import { minimum } from './stats.ts';

const TURNS = 5;

const PYTHON = `
import sys, time
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
tokenizer.no_truncation()
tokenizer.no_padding()
lines = open(sys.argv[2], encoding="utf-8", newline="").read().split("\\n")
started = time.perf_counter()
tokens = sum(len(e.ids) for e in tokenizer.encode_batch(lines, add_special_tokens=False))
print(time.perf_counter() - started, tokens)
`;

const [path, text, python = 'python3'] = process.argv.slice(2);
if (path === undefined || text === undefined) throw new EbbError('expected a tokenizer.json and a text');
const tokenizer = await openTokenizer(path);
const lines = readFileSync(text, 'utf8').split('\n');
const seconds: { readonly ebb: number[]; readonly python: number[] } = { ebb: [], python: [] };
let [own, theirs] = [0, 0];
for (let turn = 0; turn < TURNS; turn++) {
  const started = performance.now();
  own = (await tokenizer.encode(lines)).reduce((sum, { ids }) => sum + ids.length, 0);
  seconds.ebb.push((performance.now() - started) / 1000);
  const { stdout, stderr, status } = spawnSync(python, ['-c', PYTHON, path, text], { encoding: 'utf8' });
  if (status !== 0) throw new EbbError(`${python} cannot encode: ${stderr.trim().split('\n').at(-1)}`);
  const [time, tokens] = stdout.trim().split(' ').map(Number);
  seconds.python.push(time ?? Number.NaN);
  theirs = tokens ?? Number.NaN;
}
if (own !== theirs) throw new EbbError(`Ebb made ${own} tokens, Python ${theirs}`);
const rate = (list: readonly number[]): number => own / minimum(list) / 1e6;
const [ebb, other] = [rate(seconds.ebb), rate(seconds.python)];
console.log(`${own} tokens of ${lines.length} lines: Ebb ${ebb.toFixed(2)} M/s, Python ${other.toFixed(2)} M/s; ${(ebb / other).toFixed(2)} times as fast`);
