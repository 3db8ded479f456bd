import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spread } from '../../src/codegen/kernel/attention/spread/schedule.ts';
import type { DeviceTraits } from '../../src/codegen/kernel/device.ts';
import type { Choice, ScheduleProblem } from '../../src/codegen/kernel/lower/choice.ts';
import { matmulCandidates } from '../../src/codegen/kernel/matmul/candidates.ts';
import { fitsMatmul, withinStorage } from '../../src/codegen/kernel/matmul/limits.ts';
import { register } from '../../src/codegen/kernel/matmul/register/schedule.ts';
import type { MatmulSchedule } from '../../src/codegen/kernel/matmul/schedule.ts';
import { shared } from '../../src/codegen/kernel/matmul/shared/schedule.ts';
import { standardMatmul } from '../../src/codegen/kernel/matmul/standard.ts';
import type { MatmulLoad, MatmulPrecision, MatmulSizes, MatmulWork } from '../../src/codegen/kernel/matmul/work.ts';
import { MATRIX_FEATURE, type MatrixTraits } from '../../src/runtime/matrices.ts';
import { matrixTraits } from '../../src/runtime/webgpu/adapterProfile.ts';
import { bookChooser, emptyBook, GENERATOR, type ScheduleBook } from '../../src/tune/book.ts';
import { bookText, openBook, readBook, saveBook, tuningAllowed } from '../../src/tune/file.ts';
import type { PreparedKernel } from '../../src/tune/prepared.ts';
import { agrees, type Contest, race } from '../../src/tune/race.ts';
import { inputOf } from '../support/matmulCase.ts';

const LOADS: readonly MatmulLoad[] = [
  { products: 1, operands: { a: 1, b: 1 }, perElement: 4 },
  { products: 3, operands: { a: 1, b: 3 }, perElement: 0 },
];
const device: DeviceTraits = { kind: 'nvidia', subgroups: true, subgroupSize: 32, maxInvocations: 256, maxWorkgroupStorage: 16384 };
const MATRICES: MatrixTraits = {
  shapes: [
    { m: 16, n: 16, k: 16, input: 'f16', lanes: 32 },
    { m: 8, n: 8, k: 8, input: 'f32', lanes: 32 },
  ],
  multiple: 32,
};
const schedule = (rows: number): MatmulSchedule => register({ lanes: [8, 8], rows, cols: 4, depth: 4 });
const choice = (rows: number): Choice => ({
  schedule: schedule(rows),
  lower: () => {
    throw new Error('nothing is lowered here');
  },
});
const workOf = (sizes: MatmulSizes, load: MatmulLoad = LOADS[0]!, precision: MatmulPrecision = 'f32'): MatmulWork => ({
  sizes,
  load,
  precision,
  layout: { a: 'k', b: 'k' },
});

/** Candidates that take the time given for their rows, on a clock of their own. */
function workshop(times: Readonly<Record<number, number>>, results: Readonly<Record<number, Float32Array>> = {}) {
  let clock = 0;
  const turns = new Map<number, number>();
  const create = async ({ schedule: { rows } }: Choice): Promise<PreparedKernel> => {
    clock += 100;
    return {
      compileMs: 100,
      time: async (repeats) => {
        turns.set(rows, (turns.get(rows) ?? 0) + 1);
        clock += (times[rows] ?? 1) * repeats;
        return times[rows] ?? 1;
      },
      results: async () => [results[rows] ?? Float32Array.of(1, 2)],
    };
  };
  return { create, now: () => clock, turns };
}
const PLAIN_ROWS = 64;
const problem = (rows: readonly number[]): Contest<Choice> => ({ standard: choice(1), plain: choice(PLAIN_ROWS), candidates: rows.map(choice) });

it('takes the fastest, and gives up on slow ones early', async () => {
  const { create, now, turns } = workshop({ 1: 10, 2: 9, 4: 30, 8: 5 });
  const trials = await race(problem([2, 4, 8]), { prepare: create, end: 1e6, now });
  expect(trials[0]).toMatchObject({ schedule: schedule(8), ms: 5 });
  expect(trials).toHaveLength(4);
  // once to see how long it takes and once for the round; the winner stays alone after the first round
  expect(turns.get(4)).toBe(2);
  expect(trials.find((t) => t.schedule.rows === 4)).toMatchObject({ rounds: 1, ms: 30 });
});

it('never takes a schedule whose results are wrong', async () => {
  const { create, now } = workshop({ 1: 10, 2: 1 }, { 2: Float32Array.of(1, 2.1) });
  const trials = await race(problem([2]), { prepare: create, end: 1e6, now });
  expect(trials.map((t) => t.ms)).toEqual([10, null]);
  expect(trials[0]).toMatchObject({ schedule: schedule(1) });
});

it('takes the plain schedule where the standard one is wrong and nothing else is right', async () => {
  const { create, now } = workshop({ 1: 1, 2: 1, [PLAIN_ROWS]: 50 }, { 1: Float32Array.of(2, 2), 2: Float32Array.of(1, 3) });
  const trials = await race(problem([2]), { prepare: create, end: 1e6, now });
  expect(trials.map((t) => t.ms)).toEqual([50, null, null]);
  expect(trials[0]).toMatchObject({ schedule: schedule(PLAIN_ROWS) });
  const right = workshop({ 1: 10, 2: 20 }, { 1: Float32Array.of(2, 2) });
  expect((await race(problem([2]), { prepare: right.create, end: 1e6, now: right.now }))[0]).toMatchObject({ schedule: schedule(2), ms: 20 });
});

it('stops compiling when the time is spent', async () => {
  const { create, now } = workshop({ 1: 10, 2: 1, 4: 1 });
  expect(await race(problem([2, 4]), { prepare: create, end: 440, now })).toHaveLength(2);
  expect(await race(problem([2, 4]), { prepare: create, end: now() + 50, now })).toHaveLength(1);
});

it('compares results up to the order of sums', () => {
  expect(agrees([Float32Array.of(1, 1000)], [Float32Array.of(1.5, 1000)])).toBe(true);
  expect(agrees([Float32Array.of(1, 1000)], [Float32Array.of(3, 1000)])).toBe(false);
  expect(agrees([Float32Array.of(1)], [Float32Array.of(Number.NaN)])).toBe(false);
  expect(agrees([Float32Array.of(1)], [Float32Array.of(1, 1)])).toBe(false);
});

it.each<DeviceTraits>([
  device,
  { ...device, maxInvocations: 64, maxWorkgroupStorage: 4096 },
  { ...device, kind: 'lavapipe', subgroupSize: 8 },
  { ...device, kind: 'swiftshader', subgroupSize: 4 },
  { ...device, kind: 'amd' },
  { ...device, kind: 'apple', subgroups: false, subgroupSize: null },
  { ...device, matrices: MATRICES },
  { ...device, matrices: { ...MATRICES, multiple: 128 }, maxWorkgroupStorage: 12288 },
])('offers nothing beyond the limits of %j', (traits) => {
  for (const m of [1, 8, 512])
    for (const load of LOADS)
      for (const precision of ['f32', 'f16'] as const) {
        const work = workOf({ m, n: 512, k: 512 }, load, precision);
        const all = matmulCandidates(traits, work);
        expect(all.every((s) => fitsMatmul(s, traits, work))).toBe(true);
        if (m === 512) expect(all.length).toBeGreaterThan(1);
        if (m === 512) expect(all.some((s) => s.kind === 'matrix')).toBe(Boolean(traits.matrices));
      }
});

it('gives what every step runs taller tiles where drivers take long to compile them, also products side by side', () => {
  const standard = (traits: DeviceTraits, load: Partial<MatmulLoad>): MatmulSchedule =>
    standardMatmul(traits, workOf({ m: 512, n: 256, k: 256 }, { ...LOADS[0]!, ...load }));
  const lavapipe: DeviceTraits = { ...device, kind: 'lavapipe', subgroupSize: 8 };
  expect(standard(lavapipe, {}).rows).toBe(16);
  expect(standard(lavapipe, { everyStep: true }).rows).toBe(32);
  expect(standard(lavapipe, { products: 3 }).rows).toBe(16);
  expect(standard(lavapipe, { products: 3, everyStep: true }).rows).toBe(32);
  expect(standard(lavapipe, { products: 6, everyStep: true }).rows).toBe(16);
  expect(standard(device, { everyStep: true })).toEqual(standard(device, {}));
});

it('lets workgroups share k where a GPU would idle, and only there', () => {
  const shares = (traits: DeviceTraits, m: number, n: number, k: number): number =>
    standardMatmul(traits, { ...workOf({ m, n, k }), layout: { a: 'mn', b: 'mn' } }).kGroups;
  expect(shares(device, 64, 64, 4096)).toBe(16);
  expect(shares(device, 8, 576, 2048)).toBeGreaterThan(1);
  expect(shares(device, 64, 64, 64)).toBe(1);
  expect(shares(device, 4096, 4096, 4096)).toBe(1);
  expect(shares({ ...device, kind: 'swiftshader', subgroupSize: 4 }, 64, 64, 4096)).toBe(1);
  const offered = matmulCandidates(device, workOf({ m: 64, n: 64, k: 4096 }));
  expect(new Set(offered.map((s) => s.kGroups > 1))).toEqual(new Set([true, false]));
  // lanes count, not workgroups: 128 of 64 leave it idle
  expect(shares(device, 512, 256, 688)).toBe(4);
  const cut = (s: MatmulSchedule): boolean => s.kind === 'shared' && s.ahead && s.lanes[0] * s.lanes[1] === 64 && s.depth === 16 && s.twoBuffers;
  const counts = matmulCandidates(device, workOf({ m: 512, n: 256, k: 688 })).filter(cut);
  expect(counts.map((s) => s.kGroups)).toEqual([4, 2, 8, 1]);
});

it('gives up the second buffer before the depth where workgroup memory is short', () => {
  const [load] = LOADS as [MatmulLoad];
  const cut = shared({ lanes: [16, 16], rows: 8, cols: 8, depth: 8, ahead: true, twoBuffers: true });
  const within = (maxWorkgroupStorage: number): MatmulSchedule => withinStorage(cut, load, { maxWorkgroupStorage });
  expect(within(2 * 8 * 66 * 16)).toMatchObject({ depth: 8, twoBuffers: true });
  expect(within(2 * 8 * 66 * 16 - 1)).toMatchObject({ depth: 8, twoBuffers: false, ahead: true });
  expect(within(8 * 66 * 16 - 1)).toMatchObject({ depth: 4, twoBuffers: false });
});

it('rounds operands to f16 where that was asked for, and nowhere else', () => {
  const work = (precision: MatmulPrecision): MatmulWork => workOf({ m: 512, n: 512, k: 512 }, LOADS[0]!, precision);
  const inputs = (traits: DeviceTraits, precision: MatmulPrecision): unknown[] => [
    ...new Set(matmulCandidates(traits, work(precision)).flatMap((s) => inputOf(s) ?? [])),
  ];
  const traits = { ...device, matrices: MATRICES };
  expect(inputs(traits, 'f32')).toEqual(['f32']);
  expect(inputs(traits, 'f16')).toEqual(['f16', 'f32']);
  const standard = (kind: DeviceTraits['kind'], precision: MatmulPrecision): MatmulSchedule => standardMatmul({ ...traits, kind }, work(precision));
  expect(inputOf(standard('nvidia', 'f16'))).toBe('f16');
  expect(fitsMatmul(standard('nvidia', 'f16'), traits, work('f32'))).toBe(false);
  expect(standard('nvidia', 'f32').kind).toBe('shared');
  expect(standard('intel', 'f16').kind).toBe('shared');
});

it('knows the matrices of an adapter that add up in f32, of subgroups of a known size', () => {
  const config = { componentType: 'f16', resultComponentType: 'f32', M: 16, N: 8, K: 16 };
  const info = { subgroupMinSize: 32, subgroupMaxSize: 32, subgroupMatrixConfigs: [config, { ...config, resultComponentType: 'f16' }] };
  const all = new Set<string>([MATRIX_FEATURE, 'shader-f16']);
  expect(matrixTraits('nvidia', info, all)).toEqual({ shapes: [{ m: 16, n: 8, k: 16, input: 'f16', lanes: 32 }], multiple: 32 });
  expect(matrixTraits('nvidia', info, new Set([MATRIX_FEATURE]))).toBeNull();
  expect(matrixTraits('nvidia', info, new Set(['shader-f16']))).toBeNull();
  expect(matrixTraits('intel', { ...info, subgroupMinSize: 8 }, all)).toBeNull();
  const apple = { subgroupMinSize: 4, subgroupMaxSize: 64, subgroupMatrixConfigs: [{ ...config, componentType: 'f32', M: 8, N: 8, K: 8 }] };
  expect(matrixTraits('apple', apple, all)).toEqual({ shapes: [{ m: 8, n: 8, k: 8, input: 'f32', lanes: 32 }], multiple: 64 });
});

describe('the book', () => {
  const where = { adapter: 'Some GPU', features: ['subgroups'], dawn: '1.2', generator: 1 };
  const book: ScheduleBook = {
    ...emptyBook(where),
    entries: { key: { name: 'dot', kind: 'matmul', trials: [{ schedule: schedule(2), ms: 1.5, rounds: 6, compileMs: 10 }] } },
  };
  const asked: Omit<ScheduleProblem, 'key'> = {
    kind: 'matmul',
    name: 'dot',
    standard: choice(1),
    plain: choice(1),
    candidates: [],
    choice: (known) => ({ ...choice(0), schedule: known }),
  };
  const file = (): string => join(mkdtempSync(join(tmpdir(), 'ebb-tune-')), 'book.json');

  it('is kept, and grows', () => {
    const path = file();
    saveBook(book, path);
    saveBook({ ...book, entries: { other: book.entries['key']! } }, path);
    expect(Object.keys(readBook(path).entries)).toEqual(['key', 'other']);
    expect(openBook({ ...where, dawn: '1.3' }, path).entries).toEqual({});
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(JSON.parse(bookText(readBook(path))));
  });

  it('is asked by key, and never beyond what a device can run', () => {
    const taken: string[] = [];
    const choose = bookChooser(book, (key) => taken.push(key));
    expect(choose({ ...asked, key: 'key' }).schedule).toEqual(schedule(2));
    expect(choose({ ...asked, key: 'another' }).schedule).toEqual(schedule(1));
    expect(bookChooser(book)({ ...asked, key: 'key', choice: () => null }).schedule).toEqual(schedule(1));
    expect(taken).toEqual(['key']);
  });

  /** A book as version 1 has it: fields of every kind in one, of which the first books lacked the later ones. */
  const earlier = (schedule: object): object => ({
    format: 'ebb-schedules',
    surroundings: where,
    entries: { key: { name: 'dot', kind: 'matmul', trials: [{ schedule, ms: 1.5, rounds: 6, compileMs: 10 }] } },
  });
  const FLAT = { kind: 'register', lanes: [8, 8], rows: 2, cols: 4, depth: 4, kLanes: 1, kFirst: false, fold: 1, vectorA: true, vectorB: true };
  const written = (data: object): string => {
    const path = file();
    writeFileSync(path, JSON.stringify(data));
    return path;
  };

  it('of version 1 is read, its schedules as they are now', () => {
    const read = (flat: object): unknown => openBook(where, written(earlier(flat))).entries['key']!.trials[0]!.schedule;
    expect(openBook(where, written(earlier(FLAT)))).toEqual(book);
    expect(read({ ...FLAT, vectorA: false, vectorB: false })).toEqual({ ...schedule(2), scalarLoads: true });
    expect(read({ ...FLAT, kind: 'shared', ahead: true, buffers: 2, kGroups: 4 })).toEqual(
      shared({ lanes: [8, 8], rows: 2, cols: 4, depth: 4, ahead: true, twoBuffers: true, kGroups: 4 }),
    );
    expect(read({ kind: 'subgroup', lanes: 8, rows: 4, splits: 1, dimLanes: 1 })).toEqual(spread({ lanes: 8, rows: 4 }));
  });

  it.each([
    [{ kind: 'shared', fold: 4 }, 'a schedule of kind shared has fold 4, which that kind has no use for'],
    [{ buffers: 2 }, 'a schedule of kind register has buffers 2, which that kind has no use for'],
    [{ kind: 'subgroup' }, 'a schedule of kind subgroup has lanes 8 × 8, expected one row of them'],
    [{ kind: 'matrix' }, 'a schedule of kind matrix has no matrix'],
    [{ vectorA: false }, 'vectorA and vectorB differ'],
    [{ lookahead: true }, 'Unrecognized key'],
  ])('of version 1 is refused with %j', (fields, message) => {
    expect(() => readBook(written(earlier({ ...FLAT, ...fields })))).toThrow(`entries.key.trials.0.schedule: ${message}`);
  });

  it('of a version to come is refused by name', () => {
    expect(() => openBook(where, written({ ...book, version: 3 }))).toThrow(/book\.json: version: is 3, this Ebb reads 2 and books that say none; remove it/);
  });

  it.each([
    ['{', /book\.json: cannot be read as JSON .*remove it/],
    ['{"format":"ebb-schedules"}', /book\.json: surroundings: .*; remove it, and schedules are measured again/],
  ])('refuses %s', (text, message) => {
    const path = file();
    writeFileSync(path, text);
    expect(() => openBook(where, path)).toThrow(message);
  });

  it('of another generator is measured anew, whatever its form; read for a run, it is refused with both versions', () => {
    const path = file();
    writeFileSync(path, JSON.stringify({ ...book, surroundings: { ...where, generator: 2, driver: 'new' }, pages: [] }));
    expect(openBook(where, path)).toEqual(emptyBook(where));
    expect(() => readBook(path)).toThrow(
      `(it was measured with version 2 of the kernel generator, this Ebb has ${GENERATOR}); remove it, and schedules are measured again`,
    );
    saveBook(book, path);
    expect(readBook(path)).toEqual(book);
  });
});

it('EBB_TUNE is on, off or nothing; another word is refused and not taken for on', () => {
  expect(tuningAllowed({})).toBe(true);
  for (const wish of ['', 'on']) expect(tuningAllowed({ EBB_TUNE: wish })).toBe(true);
  expect(tuningAllowed({ EBB_TUNE: 'off' })).toBe(false);
  for (const wish of ['OFF', 'no', '0']) expect(() => tuningAllowed({ EBB_TUNE: wish })).toThrow(`EBB_TUNE is "${wish}", expected on or off`);
});
