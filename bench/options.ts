/** @file The flags of the benchmark. */

import { parseArgs } from 'node:util';
import { ENTRIES } from './entries.ts';
import { SPEC } from './spec.ts';

export const SECTIONS = ['matmul', 'step', 'dropbp'] as const;
export type Section = (typeof SECTIONS)[number];

export interface Options {
  readonly models: readonly string[];
  readonly only: readonly string[];
  readonly sections: readonly Section[];
  readonly rounds: number;
  /** Number of patterns for each rate. */
  readonly patterns: number;
  readonly device: string;
  /** Seconds that one contestant may take in one table, without its first step. */
  readonly limit: number;
  /** Seconds that Ebb may take to tune a model. 0 turns tuning off. */
  readonly tuning: number;
  /** The page to write. Null only prints. */
  readonly out: string | null;
  /** The file that keeps the numbers for a page that is written on another machine, or null. */
  readonly keep: string | null;
  /** Such a file, from which the page is written; then nothing is measured. Null to measure. */
  readonly from: string | null;
}

export const USAGE = `npm run bench -- [flags]
  --models S,M              models of spec.json for steps and DropBP: S, M, L (S,M)
  --only ebb,pytorch        contestants: ${ENTRIES.map((e) => e.name).join(', ')}
  --sections matmul,step    some of ${SECTIONS.join(', ')}
  --rounds N                rounds of matmuls and steps (8)
  --patterns N              sampled patterns for each rate of DropBP (30)
  --device NAME             device as ebb train takes it: auto, gpu, lavapipe, swiftshader, or part of its name
  --limit SECONDS           time that one contestant may take in one table, without its first step (600)
  --tuning SECONDS          time that Ebb may take to tune a model (120); 0 tunes nothing
  --keep FILE               keeps all numbers, so that the page can be written on a machine that has the plotting library
  --from FILE               measures nothing and writes the page from such a file
  --out PATH                page to write, with its plots beside it (docs/performance.md where everything is measured, else none)
  --quick                   model S, 2 rounds, 3 patterns`;

/** L is left out, because a step of it takes minutes on a CPU's adapter. */
const LONG = { models: 'S,M', rounds: '8', patterns: '30' };
const QUICK = { models: 'S', rounds: '2', patterns: '3' };
const PAGE = 'docs/performance.md';

/** Parses the flags. @throws Error that says which flag is wrong, and which values it takes */
export function parseOptions(argv: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      models: { type: 'string' },
      only: { type: 'string' },
      sections: { type: 'string' },
      rounds: { type: 'string' },
      patterns: { type: 'string' },
      device: { type: 'string', default: 'auto' },
      limit: { type: 'string', default: '600' },
      tuning: { type: 'string', default: '120' },
      keep: { type: 'string' },
      from: { type: 'string' },
      out: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const asked = { ...(values.quick ? QUICK : LONG), ...definedOnly({ models: values.models, rounds: values.rounds, patterns: values.patterns }) };
  const whole = !values.quick && values.models === undefined && values.only === undefined && values.sections === undefined;
  return {
    models: list('--models', asked.models, Object.keys(SPEC.models)),
    only: list(
      '--only',
      values.only ?? ENTRIES.map((e) => e.name).join(),
      ENTRIES.map((e) => e.name),
    ),
    sections: list('--sections', values.sections ?? SECTIONS.join(), SECTIONS),
    rounds: count('--rounds', asked.rounds),
    patterns: count('--patterns', asked.patterns),
    device: values.device,
    limit: count('--limit', values.limit),
    tuning: count('--tuning', values.tuning, 0),
    keep: values.keep ?? null,
    from: values.from ?? null,
    out: values.out ?? (whole && values.keep === undefined ? PAGE : null),
  };
}

function definedOnly(given: Readonly<Record<'models' | 'rounds' | 'patterns', string | undefined>>): Partial<typeof LONG> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function list<T extends string>(flag: string, text: string, known: readonly T[]): T[] {
  const names = text.split(',').map((s) => s.trim());
  const unknown = names.find((name) => !known.includes(name as T));
  if (unknown !== undefined) throw new Error(`${flag}: unknown ${unknown}; there are ${known.join(', ')}`);
  return known.filter((name) => names.includes(name));
}

function count(flag: string, text: string, least = 1): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) throw new Error(`${flag}: expected a whole number from ${least}, found ${text}`);
  return value;
}
