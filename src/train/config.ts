/** @file The configuration of a run: what `run.yaml` may hold, with defaults; every error names the key. */

import { z } from 'zod';
import { isDefaulted } from '../dropbp/fields.ts';
import { DROP_PLAN_KINDS, type DropPlanConfig, misfitOf } from '../dropbp/plans/index.ts';
import { EbbError } from '../errors.ts';

const adapter = z
  .strictObject({
    /** Layers by glob over their names, e.g. `*.q_proj`; default all linear layers of the units. */
    layers: z.array(z.string()).optional(),
    rank: z.int().positive().optional(),
    alpha: z.number().positive().optional(),
    rslora: z.boolean().optional(),
    dropout: z.number().min(0).max(0.99).default(0),
    /** A PEFT folder to start from; its own settings are the defaults then. */
    from: z.string().optional(),
  })
  .transform(({ from, ...given }) => {
    if (from !== undefined) return { ...given, from };
    const { layers = ['*'], rank = 8, alpha = 16, rslora = false, dropout } = given;
    return { layers, rank, alpha, rslora, dropout, from: undefined };
  });

const optimizer = z.discriminatedUnion('name', [
  z.strictObject({
    name: z.literal('adamw'),
    lr: z.number().nonnegative().default(1e-4),
    betas: z.tuple([z.number().min(0).max(1), z.number().min(0).max(1)]).default([0.9, 0.999]),
    eps: z.number().positive().default(1e-8),
    weightDecay: z.number().nonnegative().default(0.01),
  }),
  z.strictObject({
    name: z.literal('sgd'),
    lr: z.number().nonnegative().default(1e-2),
    momentum: z.number().min(0).max(1).default(0),
    dampening: z.number().min(0).max(1).default(0),
    nesterov: z.boolean().default(false),
    weightDecay: z.number().nonnegative().default(0),
  }),
]);

/** A plan's own keys, with their defaults. */
function planSchema({ kind, fields }: (typeof DROP_PLAN_KINDS)[number]) {
  const keys = Object.entries(fields).map(([name, field]): [string, z.ZodType] => {
    const key = z.unknown().superRefine((value, context) => {
      if (!field.accepts(value)) context.addIssue({ code: 'custom', message: `expected ${field.expected}` });
    });
    return [name, isDefaulted(field) ? key.default(field.fallback) : key];
  });
  return z.strictObject({ kind: z.literal(kind), ...Object.fromEntries(keys) });
}
type PlanSchema = ReturnType<typeof planSchema>;

const plans = z.discriminatedUnion('kind', DROP_PLAN_KINDS.map(planSchema) as [PlanSchema, ...PlanSchema[]]).superRefine((plan, context) => {
  const misfit = misfitOf(plan as unknown as DropPlanConfig);
  if (misfit) context.addIssue({ code: 'custom', path: [misfit.field], message: `expected ${misfit.expected}` });
});
/** The schemas were made of the plans' own keys, whose types this says. */
const drop = plans as unknown as z.ZodType<DropPlanConfig, DropPlanConfig>;

const UNITS: Readonly<Record<string, number>> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };

/** Bytes of `2GiB`, or of a number. */
function bytesOf(given: string | number, context: z.RefinementCtx): number {
  const [, amount, unit = ''] = /^\s*([\d.]+)\s*([a-z]*)\s*$/i.exec(String(given)) ?? [];
  const bytes = Number(amount) * (UNITS[unit.toUpperCase() || 'B'] ?? Number.NaN);
  if (bytes > 0) return Math.floor(bytes);
  context.addIssue({ code: 'custom', message: 'expected bytes, as a number or like 2GiB, 500MB' });
  return z.NEVER;
}

export const runSchema = z.strictObject({
  /** A checkpoint folder, a GGUF file, a hub id, or a definition in TypeScript. */
  model: z.string(),
  /** Of a definition: safetensors under the parameters' names, or a checkpoint; without it all parameters are drawn anew. */
  weights: z.string().optional(),
  /** Text, JSONL or ready batches. */
  data: z.string(),
  /** Held-out data of the same kinds. */
  evalData: z.string().optional(),
  /** Where the run is written. */
  out: z.string().default('runs/latest'),
  fields: z.strictObject({ text: z.string().optional(), prompt: z.string().optional(), completion: z.string().optional() }).default({}),
  steps: z.int().positive().optional(),
  epochs: z.number().positive().optional(),
  batch: z.int().positive().default(1),
  /** Most tokens of a sequence. */
  length: z.int().positive().default(256),
  accumulate: z.int().positive().default(1),
  /** `true`: an adapter with the defaults. */
  lora: z.union([z.literal(false), z.literal(true).transform(() => adapter.parse({})), adapter]).default(false),
  optimizer: optimizer.default({ name: 'adamw', lr: 1e-4, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01 }),
  /** `matrices`: parameters of two and more dimensions. */
  decay: z.enum(['matrices', 'all']).default('matrices'),
  schedule: z.enum(['constant', 'linear', 'cosine']).default('constant'),
  warmupSteps: z.int().nonnegative().default(0),
  /** Largest norm of the whole gradient; 0 clips nothing. */
  clip: z.number().nonnegative().default(1),
  missingGrad: z.enum(['skip', 'zeros']).default('skip'),
  allDropped: z.enum(['backward', 'skip']).default('backward'),
  drop: drop.default({ kind: 'none' }),
  seed: z.int().nonnegative().default(0),
  shuffle: z.boolean().default(true),
  evalEvery: z.int().nonnegative().default(0),
  evalLimit: z.int().positive().default(64),
  saveEvery: z.int().nonnegative().default(0),
  /** Device of this machine: `auto`, `gpu`, `lavapipe`, `swiftshader`, or part of its name. */
  device: z.string().default('auto'),
  /** What operands of matrix products may be rounded to, where the device multiplies matrices of f16; sums are f32. */
  matmulPrecision: z.enum(['f32', 'f16']).default('f32'),
  /** Most bytes of device memory that the run's own buffers take: a number, or `2GiB`, `500MB`. */
  memoryBudget: z.union([z.number(), z.string()]).transform(bytesOf).optional(),
  /** Seconds that may go into measuring how kernels are cut best, where that is not known yet; `off`: as the kind of device starts. */
  tune: z.union([z.literal('off'), z.number().nonnegative()]).default(20),
});

/** A run, checked and with every default filled in: the keys of `run.yaml` (docs/training.md). */
export type RunConfig = z.infer<typeof runSchema>;
export type RunInput = z.input<typeof runSchema>;

type Issue = z.core.$ZodIssue;
/** What was wrong, and where, with a union's best alternative in its place. */
interface Problem {
  readonly path: readonly PropertyKey[];
  readonly issue: Issue;
}

/** An alternative that fails at a key inside the value was meant; one that fails at the value itself was not. */
function deepest(issue: Issue): Problem {
  if (issue.code !== 'invalid_union') return { path: issue.path, issue };
  const inside = issue.errors.flatMap(([first]) => (first ? [deepest(first)] : [])).filter(({ path }) => path.length > 0);
  const [best] = inside.sort((a, b) => b.path.length - a.path.length);
  return best ? { path: [...issue.path, ...best.path], issue: best.issue } : { path: issue.path, issue };
}

const quoted = (values: readonly unknown[]): string => values.map((v) => JSON.stringify(v)).join(' or ');

/** What a union takes, where it has no alternative of the value's kind. */
function alternatives({ errors }: z.core.$ZodIssueInvalidUnion): string {
  const kinds = errors.flatMap(([first]): string[] =>
    first?.code === 'invalid_value' ? first.values.map((v) => JSON.stringify(v)) : first?.code === 'invalid_type' ? [first.expected] : [],
  );
  return kinds.length > 0 ? `expected ${kinds.join(' or ')}` : 'expected something else';
}

function expectation(issue: Issue): string {
  // the options of a discriminated union are in the issue, though not in its type
  if (issue.code === 'invalid_union') return 'options' in issue && Array.isArray(issue.options) ? `expected ${quoted(issue.options)}` : alternatives(issue);
  if (issue.code === 'invalid_value') return `expected ${quoted(issue.values)}`;
  if (issue.code === 'invalid_type') return `expected ${issue.expected}`;
  return issue.message.replace(/^Too (small|big): expected (\w+ to be )?/, 'expected ');
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined), input);
}

/** Keys by the names they had in version 0.1.0, with what they hold. */
const RENAMED: readonly { readonly from: string; readonly to: keyof RunInput; readonly holds: (value: unknown) => boolean }[] = [
  { from: 'adapter', to: 'device', holds: (value) => typeof value === 'string' },
];

/** The input under the names that keys have now. @param note is told of each old one @throws EbbError for a key that is given by both names */
export function withNewNames(input: object, file: string, note: (text: string) => void): object {
  return RENAMED.reduce((keys, { from, to, holds }) => {
    const value: unknown = Reflect.get(keys, from);
    if (!holds(value)) return keys;
    if (Reflect.get(keys, to) !== undefined) throw new EbbError(`${file}: ${from} is what ${to} was called, and both are given; give ${to} alone`);
    note(`${file}: the key ${from} is called ${to} now; the old name is still read`);
    const { [from]: _old, ...rest } = keys as Record<string, unknown>;
    return { ...rest, [to]: value };
  }, input);
}

/**
 * Checks a config. @param note is told of keys that are given by a name they had in an earlier version; default: nobody is
 * @throws EbbError naming the file and the first wrong key, what was found and what was expected
 */
export function parseConfig(given: unknown, file: string, note: (text: string) => void = () => {}): RunConfig {
  const input = typeof given === 'object' && given !== null ? withNewNames(given, file, note) : given;
  const parsed = runSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const hint = 'docs/training.md lists the keys';
  const [first] = parsed.error.issues;
  if (!first) throw new EbbError(`${file}: not a run configuration; ${hint}`);
  const { path, issue } = deepest(first);
  if (issue.code === 'unrecognized_keys') {
    const keys = issue.keys.map((key) => [...path, key].join('.'));
    throw new EbbError(`${file}: unknown key ${keys.join(', ')}; ${hint}`);
  }
  const value = valueAt(input, path);
  if (value === undefined && path.length === 1)
    throw new EbbError(`${file}: ${String(path[0])} is missing; give --${String(path[0])}, or the key in a run file (YAML); ${hint}`);
  const found = value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`;
  throw new EbbError(`${file}: ${path.length > 0 ? `${path.join('.')}: ` : ''}${found}, ${expectation(issue)}; ${hint}`);
}
