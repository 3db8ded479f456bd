/** @file Data prepared in a worker, from the built package: the same sequences as on this thread, the same errors, and a process that ends. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare } from '../../src/run/prepare.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';
import { ROOT, TINY_MODEL } from '../support/cli.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-prepare-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What a program prints that has `prepare` of the built package; it has to end by itself. */
function printed(body: string): unknown {
  const built = pathToFileURL(join(ROOT, 'dist/run/prepare.js')).href;
  const program = join(folder, 'program.mjs');
  writeFileSync(program, `import { prepare } from ${JSON.stringify(built)};\nconst show = (x) => console.log(JSON.stringify(x));\n${body}`);
  return JSON.parse(execFileSync(process.execPath, [program], { encoding: 'utf8', timeout: 60_000 }));
}

const questions = join(ROOT, 'examples/demo/questions.jsonl');
const request = { vocabSize: 2 ** 30, path: questions, tokenizer: TINY_MODEL, length: 32, fields: {}, limit: 40 };
const { tokenise } = prepare({}, false);
const plain = ({ sequences, padId }: Awaited<ReturnType<typeof tokenise>>) => ({
  padId,
  sequences: Array.from({ length: sequences.length }, (_, i) => [Array.from(sequences.at(i).tokens), Array.from(sequences.at(i).labels)]),
});

it('gives the same sequences, request after request, off the main thread', async () => {
  const other = { ...request, length: 8, limit: 3 };
  const found = printed(`
    process.env.XDG_CACHE_HOME = ${JSON.stringify(join(folder, 'cache'))};
    const preparation = prepare();
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const both = await Promise.all([${JSON.stringify(request)}, ${JSON.stringify(other)}].map((r) => preparation.tokenise(r)));
    clearInterval(timer);
    preparation.end();
    const all = ({ length, at }) => Array.from({ length }, (_, i) => [Array.from(at(i).tokens), Array.from(at(i).labels)]);
    show({ ticks, both: both.map(({ sequences, padId }) => ({ padId, sequences: all(sequences) })) });`);
  expect(found).toMatchObject({ both: [plain(await tokenise(request)), plain(await tokenise(other))] });
  // this thread went on meanwhile
  expect((found as { ticks: number }).ticks).toBeGreaterThan(5);
});

it('tells how far it is off the main thread, from nothing to everything', () => {
  const told = printed(`
    process.env.XDG_CACHE_HOME = ${JSON.stringify(join(folder, 'told'))};
    const told = [];
    const preparation = prepare({ onProgress: (one) => told.push(one) });
    await preparation.tokenise(${JSON.stringify({ ...request, limit: undefined })});
    preparation.end();
    show(told);`) as { what: string; unit: string; done: number; total: number }[];
  const total = statSync(questions).size;
  for (const what of ['hashing questions.jsonl', 'tokenising questions.jsonl']) {
    const own = told.filter((one) => one.what === what);
    expect(own.at(0)).toMatchObject({ unit: 'bytes', done: 0, total });
    expect(own.at(-1)).toMatchObject({ done: total, total });
  }
});

it('tells errors in the same words, and goes on', async () => {
  const bad = join(folder, 'bad.jsonl');
  writeFileSync(bad, '{"text": "fine"}\n{"text": 3}\n');
  const wrong = { ...request, path: bad };
  const expected = await rejectionOf(tokenise(wrong));
  expect(expected).toContain('line 2');
  const found = printed(`
    const preparation = prepare();
    const failed = await preparation.tokenise(${JSON.stringify(wrong)}).catch(({ name, message }) => ({ name, message }));
    const { sequences } = await preparation.tokenise(${JSON.stringify(request)});
    preparation.end();
    show([failed, sequences.length]);`);
  expect(found).toEqual([{ name: 'EbbError', message: expected }, 40]);
});

it('ends while it is still at work, and tells who waits', () => {
  const found = printed(`
    const preparation = prepare();
    const waiting = preparation.tokenise(${JSON.stringify({ ...request, limit: undefined })}).catch((e) => e.message);
    preparation.end();
    show(await waiting);`);
  expect(found).toBe('the worker that prepares data has ended');
});
