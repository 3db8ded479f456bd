/** @file Schedules as text, and back: `register: 8 rows, 4 columns, 16×4 lanes, depth 4`. */

import type { MatrixShape } from '../../../runtime/matrices.ts';
import { omitted, type ScheduleField, type ScheduleKind, type ScheduleOf } from './kind.ts';

/** The text of a schedule: its kind, then every field that holds something else than what is left out. */
export function kindText({ kind, fields }: ScheduleKind, schedule: { readonly kind: string }): string {
  const values: Readonly<Record<string, unknown>> = { ...schedule };
  const parts = Object.entries(fields).flatMap(([name, field]) => (values[name] === omitted(field) ? [] : [fieldText(field, values[name])]));
  return `${kind}: ${parts.join(', ')}`;
}

function fieldText({ holds, text }: ScheduleField, value: unknown): string {
  switch (holds) {
    case 'flag':
      return text;
    case 'count':
      return text.replace('#', String(value));
    case 'pair':
      return text.replace('#', (value as readonly number[]).join('×'));
    case 'matrix': {
      const { m, n, k, input, lanes } = value as MatrixShape;
      return text.replace('#', `${input} ${m}×${n}×${k} by ${lanes} lanes`);
    }
  }
}

const NUMBER = '([1-9][0-9]*)';
const PATTERN: Readonly<Record<ScheduleField['holds'], string>> = {
  flag: '',
  count: NUMBER,
  pair: `${NUMBER}×${NUMBER}`,
  matrix: `(f16|f32) ${NUMBER}×${NUMBER}×${NUMBER} by ${NUMBER} lanes`,
};

/** The schedule of a kind whose text this is; null where it is none's. */
export function parseKind<D extends ScheduleKind>({ kind, fields }: D, text: string): ScheduleOf<D> | null {
  if (!text.startsWith(`${kind}: `)) return null;
  const parts = text.slice(kind.length + 2).split(', ');
  const entries = Object.entries(fields).map(([name, field]) => {
    const at = parts.findIndex((part) => valueIn(field, part) !== undefined);
    const [part] = at < 0 ? [] : parts.splice(at, 1);
    return [name, part === undefined ? omitted(field) : valueIn(field, part)] as const;
  });
  if (parts.length > 0 || entries.some(([, value]) => value === undefined)) return null;
  return { kind, ...Object.fromEntries(entries) } as ScheduleOf<D>;
}

/** The value that a part of a text gives a field; undefined where it speaks of another. */
function valueIn({ holds, text }: ScheduleField, part: string): unknown {
  const found = new RegExp(`^${text.replace('#', PATTERN[holds])}$`).exec(part);
  if (!found) return undefined;
  const [first, ...more] = found.slice(1);
  switch (holds) {
    case 'flag':
      return true;
    case 'count':
      return Number(first);
    case 'pair':
      return [first, ...more].map(Number);
    case 'matrix': {
      const [m, n, k, lanes] = more.map(Number);
      return { m, n, k, input: first, lanes };
    }
  }
}
