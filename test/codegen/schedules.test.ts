/** @file Schedules of every kind: texts that say all of them, and files that may say nothing else. */

import fc from 'fast-check';
import type { ScheduleField, ScheduleKind } from '../../src/codegen/kernel/schedule/kind.ts';
import { parseSchedule, SCHEDULE_KINDS, type Schedule, scheduleText } from '../../src/codegen/kernel/schedules.ts';
import { scheduleSchema } from '../../src/tune/schema.ts';

const count = fc.oneof(fc.constantFrom(1, 2, 4), fc.integer({ min: 1, max: 1000 }));
const VALUES: Readonly<Record<ScheduleField['holds'], fc.Arbitrary<unknown>>> = {
  count,
  flag: fc.boolean(),
  pair: fc.tuple(count, count),
  matrix: fc.record({ m: count, n: count, k: count, input: fc.constantFrom('f16', 'f32'), lanes: count }, { noNullPrototype: true }),
};

const KINDS: readonly ScheduleKind[] = Object.values(SCHEDULE_KINDS);
const ofKind = ({ kind, fields }: ScheduleKind): fc.Arbitrary<Schedule> =>
  fc
    .record(Object.fromEntries(Object.entries(fields).map(([name, { holds }]) => [name, VALUES[holds]])), { noNullPrototype: true })
    .map((values) => ({ kind, ...values }) as Schedule);
const anySchedule = fc.oneof(...KINDS.map(ofKind));

it('a text gives back the schedule it is of', () => {
  fc.assert(
    fc.property(anySchedule, (schedule) => {
      expect(parseSchedule(scheduleText(schedule))).toEqual(schedule);
    }),
    { numRuns: 500 },
  );
});

it('two different schedules have different texts, however little differs', () => {
  fc.assert(
    fc.property(anySchedule, fc.nat(), fc.func(count), (schedule, at, other) => {
      const fields: Readonly<Record<string, ScheduleField>> = SCHEDULE_KINDS[schedule.kind].fields;
      const names = Object.keys(fields);
      const name = names[at % names.length]!;
      const value = (schedule as unknown as Record<string, unknown>)[name];
      const changed = ((): unknown => {
        switch (fields[name]!.holds) {
          case 'flag':
            return !value;
          case 'count':
            return Number(value) + other(name);
          case 'pair':
            return (value as number[]).toReversed().map((n) => n + other(name));
          case 'matrix':
            return { ...(value as object), [at % 2 === 0 ? 'n' : 'lanes']: 1000 + other(name) };
        }
      })();
      expect(scheduleText({ ...schedule, [name]: changed } as Schedule)).not.toBe(scheduleText(schedule));
    }),
    { numRuns: 500 },
  );
});

it('texts of a kind are told from those of another', () => {
  expect(new Set(KINDS.map(({ kind }) => kind)).size).toBe(KINDS.length);
  fc.assert(fc.property(anySchedule, anySchedule, (a, b) => a.kind === b.kind || scheduleText(a) !== scheduleText(b)));
});

it.each([
  '',
  'register',
  'register: ',
  'tall: 4 rows',
  'shared: 4 rows, 4 columns, 2×3 lanes',
  'shared: 4 rows, 4 columns, 2×3 lanes, depth 8, fold 4',
  'shared: 4 rows, 4 columns, 2×3 lanes, depth 8, two buffers, two buffers',
  'shared: 4 rows, 4 columns, 2×3 lanes, depth 8, depth 8',
  'shared: 0 rows, 4 columns, 2×3 lanes, depth 8',
  'shared: 4 rows,4 columns, 2×3 lanes, depth 8',
])('%j is no schedule', (text) => {
  expect(parseSchedule(text)).toBeNull();
});

it('reads as English', () => {
  const text = 'matrix: 32 rows, 32 columns, 4×2 subgroups, depth 16, of f16 16×8×16 by 32 lanes, loads a tile ahead, two buffers, 4 workgroups along k';
  const schedule = parseSchedule(text)!;
  expect(schedule).toEqual({
    kind: 'matrix',
    rows: 32,
    cols: 32,
    subgroups: [4, 2],
    depth: 16,
    matrix: { m: 16, n: 8, k: 16, input: 'f16', lanes: 32 },
    ahead: true,
    twoBuffers: true,
    kGroups: 4,
  });
  expect(scheduleText(schedule)).toBe(text);
});

describe('a file', () => {
  it('may hold any schedule, and gives it back', () => {
    fc.assert(
      fc.property(anySchedule, (schedule) => {
        expect(scheduleSchema.parse(JSON.parse(JSON.stringify(schedule)))).toEqual(schedule);
      }),
    );
  });

  it('may leave out no field, hold none of another kind, and give none another type', () => {
    fc.assert(
      fc.property(anySchedule, fc.nat(), (schedule, at) => {
        const names = Object.keys(schedule);
        const name = names[at % names.length]!;
        const { [name]: _left, ...without } = schedule as unknown as Record<string, unknown>;
        expect(scheduleSchema.safeParse(without).success).toBe(false);
        expect(scheduleSchema.safeParse({ ...schedule, vectorA: true }).success).toBe(false);
        for (const wrong of [0, 1.5, -4, '4', null, [1], [1, 2, 3]]) expect(scheduleSchema.safeParse({ ...schedule, [name]: wrong }).success).toBe(false);
      }),
    );
  });
});
