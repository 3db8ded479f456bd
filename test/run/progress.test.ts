/** @file What work over data and tensors tells: that it begins, how far it is in bytes, and that it ends, however it ends. */

import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { locateData } from '../../src/data/locate.ts';
import { readRecords } from '../../src/data/records.ts';
import { during, type Progress } from '../../src/run/progress.ts';
import { whileReading } from '../../src/run/readProgress.ts';
import { countedBy, tellingFirst } from '../../src/run/stepProgress.ts';
import { whileSaving } from '../../src/run/whileSaving.ts';
import type { Engine } from '../../src/runtime/execute.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-told-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What work tells, the counts as shares. */
function listener() {
  const told: Progress[] = [];
  const shares = (): number[] => told.flatMap((one) => (one.kind === 'pieces' ? [one.done / one.total] : []));
  const states = (): string[] => told.flatMap((one) => (one.kind === 'work' ? [`${one.what}: ${one.state}`] : []));
  return { told, shares, states, onProgress: (progress: Progress) => void told.push(progress) };
}

it('work that fails has ended, too', async () => {
  const watch = listener();
  const fails = (): never => {
    throw new Error('no');
  };
  await expect(during(watch, 'reading', fails)).rejects.toThrow('no');
  expect(watch.states()).toEqual(['reading: begun', 'reading: ended']);
});

const LINES = Array.from({ length: 20_000 }, (_, i) => JSON.stringify({ text: `${i} ${'word '.repeat(i % 9)}` })).join('\n');
async function readSome(path: string, most: number): Promise<ReturnType<typeof listener>> {
  const watch = listener();
  await whileReading(watch, 'tokenising', locateData(path), async (data) => {
    let count = 0;
    for await (const _ of readRecords(data)) if (++count >= most) break;
  });
  return watch;
}

it.each([
  ['a.jsonl', LINES],
  ['b.jsonl.gz', gzipSync(LINES)],
  ['c.json', `[${LINES.replaceAll('\n', ',')}]`],
  ['d.csv', `text\n${'some words\n'.repeat(20_000)}`],
])('the bytes of %s are counted as they lie in the file, to the last', async (name, content) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  const watch = await readSome(path, Number.POSITIVE_INFINITY);
  const counts = watch.told.flatMap((one) => (one.kind === 'pieces' ? [one] : []));
  expect(new Set(counts.map(({ what, unit, total }) => `${what} ${unit} ${total}`))).toEqual(new Set([`tokenising ${name} bytes ${statSync(path).size}`]));
  const shares = watch.shares();
  expect([shares[0], shares.at(-1)]).toEqual([0, 1]);
  expect(shares.slice(0, -1).every((share, i) => share < 1 && share <= shares[i + 1]!)).toBe(true);
  // all was read by the readers, before the end said so
  expect(shares.at(-2)).toBeGreaterThan(0.99);
});

it('reading that is left early has ended, and a text is told without a count', async () => {
  writeFileSync(join(folder, 'e.jsonl'), LINES);
  expect((await readSome(join(folder, 'e.jsonl'), 3)).shares().at(-1)).toBe(1);
  writeFileSync(join(folder, 'f.txt'), 'words');
  const watch = listener();
  await whileReading(watch, 'tokenising', locateData(join(folder, 'f.txt')), async () => {});
  expect(watch.states()).toEqual(['tokenising f.txt: begun', 'tokenising f.txt: ended']);
});

it('what is saved is told in bytes, of all tensors together', async () => {
  const watch = listener();
  const shape = (n: number, trainable: boolean) => ({ name: `p${n}`, dtype: 'f32', shape: [n], trainable });
  const engine = {
    program: { params: [shape(6, true), shape(100, false), shape(2, true)] },
    async *readPieces(param: number) {
      for (let i = 0; i < (param === 0 ? 3 : 1); i++) yield new Float32Array(2);
    },
  } as unknown as Engine;
  const saving = whileSaving(engine, watch, 'saving', ['params', 'm']);
  for (const param of [0, 2]) for (const kind of ['params', 'm'] as const) for await (const _ of saving.readPieces(param, kind));
  expect(watch.shares().map((share) => share * 16)).toEqual([2, 4, 6, 8, 10, 12, 14, 16]);
});

it('the first step is told until it is done, or fails', async () => {
  const watch = listener();
  async function* steps(fails: boolean): AsyncGenerator<number, void> {
    if (fails) throw new Error('no');
    yield 1;
    yield 2;
  }
  for await (const step of tellingFirst(watch, steps(false))) expect([step, watch.states().length]).toEqual([step, 2]);
  await expect(tellingFirst(watch, steps(true)).next()).rejects.toThrow('no');
  expect(watch.states().map((state) => state.split(': ')[1])).toEqual(['begun', 'ended', 'begun', 'ended']);
});

it('a model without a length learns samples', () => {
  const dims = (...names: string[]) => ({ dims: names.map((name) => ({ name, bound: 4 })) });
  expect([countedBy(dims('B', 'T')), countedBy(dims('B'))]).toEqual(['tokens', 'samples']);
});
