/** @file The configuration of a run: what `run.yaml` may hold, with defaults; every error names the key. */

import { z } from 'zod';
import { EbbError } from '../errors.ts';

const adapter = z.strictObject({
  /** Layers by glob over their names, e.g. `*.q_proj`; default all linear layers of the units. */
  layers: z.array(z.string()).default(['*']),
  rank: z.int().positive().default(8),
  alpha: z.number().positive().default(16),
  rslora: z.boolean().default(false),
  dropout: z.number().min(0).max(0.99).default(0),
  /** A PEFT folder to start from. */
  from: z.string().optional(),
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

const drop = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('uniform'), rate: z.number().min(0).max(1) }),
  z.strictObject({ kind: z.literal('fixed'), patterns: z.array(z.array(z.string())) }),
]);

export const runSchema = z.strictObject({
  /** A checkpoint folder, a GGUF file or a hub id. */
  model: z.string(),
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
  lora: z.union([adapter, z.literal(false)]).default(false),
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
  adapter: z.string().default('auto'),
});

export type RunConfig = z.infer<typeof runSchema>;
export type RunInput = z.input<typeof runSchema>;

/** Checks a config. @throws EbbError naming the file and the first wrong key, what was found and what was expected. */
export function parseConfig(input: unknown, file: string): RunConfig {
  const parsed = runSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const unknown = issue?.code === 'unrecognized_keys' ? `unknown key ${issue.keys.join(', ')}` : issue?.message;
  const path = issue?.path.join('.') ?? '';
  throw new EbbError(`${file}: ${path ? `${path}: ` : ''}${unknown ?? 'not a run configuration'}; \`ebb train --help\` lists the keys`);
}
