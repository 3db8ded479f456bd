/** @file A golden training run of the fixtures: what run.json says, in Ebb's terms, and how near Ebb has to come. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ONLY_OFF, PEFT_TYPES } from '../../src/formats/peftConfig.ts';
import { openSafetensors, readInts } from '../../src/formats/safetensors.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { loadAdapter } from '../../src/run/adapter.ts';
import { parseConfig, runSchema } from '../../src/train/config.ts';
import type { TrainConfig } from '../../src/train/loop.ts';
import { readJson, subfolders } from '../formats/fixtureFolder.ts';
import { fixtureCheckpoint } from './fixtureModels.ts';
import { tolerance } from './tolerance.ts';

export const WEIGHT = 1e-4;
/** The middle third of it, the key's bias of GPT-2, has no gradient but rounding noise, which Adam magnifies. */
export const KEY_BIAS = /c_attn\.bias$/;

export interface Run {
  readonly method: string;
  readonly optimizer: {
    readonly name: string;
    readonly lr: number;
    readonly betas?: [number, number];
    readonly eps?: number;
    readonly weight_decay: number;
    readonly momentum?: number;
    readonly dampening?: number;
    readonly nesterov?: boolean;
  };
  readonly steps: number;
  readonly gradient_accumulation: number;
  readonly lr_schedule: string;
  readonly none_grad_policy: string;
  readonly all_dropped_policy: string;
  readonly base_checkpoint: string;
  readonly clipping: { readonly max_norm: number };
  readonly param_update_counts?: Readonly<Record<string, number>>;
  readonly log: readonly {
    readonly lr: number;
    readonly losses: readonly number[];
    readonly grad_norm_before_clip: number;
    readonly dropped: readonly string[] | readonly (readonly string[])[];
    readonly backward_skipped: boolean | readonly boolean[];
    readonly params_without_grad: readonly string[];
  }[];
  readonly weight_decay_groups: { readonly decay: readonly string[] };
  readonly final_norms: Readonly<Record<string, number>>;
  readonly adam_state_norms?: Readonly<Record<string, { readonly step: number; readonly exp_avg: number; readonly exp_avg_sq: number }>>;
  readonly measured_f32_vs_f64?: { readonly loss_max_abs: number; readonly grad_norm_max_rel: number; readonly probe_logits_max_abs: number };
}

/** A run of the fixtures, and where what belongs to it lies. */
export interface FixtureRun {
  /** `<model>/<run>`. */
  readonly name: string;
  readonly folder: string;
  readonly run: Run;
  /** The checkpoint it starts from. */
  readonly base: string;
  readonly batches: string;
  /** The adapter it starts from; none where all weights are trained. */
  readonly adapter: string | null;
  /** Why Ebb does not run it; none for a run that is compared. */
  readonly refusal: Refusal | null;
}

/** What Ebb refuses of a run, and the words its refusal must contain. */
interface Refusal {
  readonly refuse: () => unknown;
  readonly words: readonly string[];
}

/** Every run under `root`, which is `train` of a set. */
export function fixtureRuns(root: string): FixtureRun[] {
  return subfolders(root).flatMap((model) =>
    subfolders(join(root, model)).map((name): FixtureRun => {
      const folder = join(root, model, name);
      const run = readJson(join(folder, 'run.json')) as Run;
      const base = join(root, '..', run.base_checkpoint);
      const init = join(folder, 'adapter_init');
      const adapter = existsSync(init) ? init : null;
      if (adapter === null && run.method !== 'full') throw new Error(`${folder}: method is ${run.method}, expected full where there is no adapter_init`);
      return {
        name: `${model}/${name}`,
        folder,
        run,
        base,
        batches: join(root, model, 'batches.safetensors'),
        adapter,
        refusal: refusalOf(run, base, adapter),
      };
    }),
  );
}

/** A setting of an adapter_config.json that Ebb does not support, as its refusal must say it. */
export function unsupportedSetting(config: Readonly<Record<string, unknown>>): string | null {
  const { peft_type: type } = config;
  if (!(PEFT_TYPES as readonly unknown[]).includes(type)) return `peft_type is ${JSON.stringify(type)}`;
  const isOff = (value: unknown): boolean => !value || (typeof value === 'object' && Object.keys(value).length === 0);
  const on = Object.keys(ONLY_OFF).find((name) => !isOff(config[name]));
  return on === undefined ? null : `${on} is ${JSON.stringify(config[on])}`;
}

/** What a run.yaml may name. */
const OPTIMIZERS = runSchema.shape.optimizer.unwrap().options.map(({ shape: { name } }) => (name instanceof z.ZodDefault ? name.unwrap() : name).value);
const SCHEDULES = runSchema.shape.schedule.unwrap().options;

/** The optimizer's own word of `torch.optim.AdamW` or `Lion (written here)`, as Ebb would spell it. */
const optimizerOf = ({ optimizer }: Run): string => (/^[\w.]+/.exec(optimizer.name)?.[0] ?? '').split('.').at(-1)!.toLowerCase();
/** The first word of `cosine with 2 warm-up steps (…)`. */
const scheduleOf = (run: Run): string => /^\w*/.exec(run.lr_schedule)![0];

function refusalOf(run: Run, base: string, adapter: string | null): Refusal | null {
  const model = fixtureCheckpoint(base);
  if (!model.supported) return { refuse: () => openCheckpoint(base), words: model.refusal };
  const setting = adapter && unsupportedSetting(readJson(join(adapter, 'adapter_config.json')));
  if (adapter && setting) return { refuse: () => loadAdapter(adapter), words: [setting] };
  const config = (change: object) => () => parseConfig({ model: base, data: 'd', ...change }, 'run.yaml');
  const [optimizer, schedule] = [optimizerOf(run), scheduleOf(run)];
  const quoted = (names: readonly string[]): string => `expected ${names.map((name) => `"${name}"`).join(' or ')}`;
  if (!(OPTIMIZERS as readonly string[]).includes(optimizer))
    return { refuse: config({ optimizer: { name: optimizer } }), words: [`optimizer.name: is "${optimizer}"`, quoted(OPTIMIZERS)] };
  if (!(SCHEDULES as readonly string[]).includes(schedule)) return { refuse: config({ schedule }), words: [`schedule: is "${schedule}"`, quoted(SCHEDULES)] };
  return null;
}

interface RunTolerances {
  readonly loss: number;
  /** Of the gradient's norm, relative. */
  readonly norm: number;
  /** Of the logits after training. */
  readonly probe: number;
}

export function runTolerances({ measured_f32_vs_f64: measured }: Run): RunTolerances {
  return {
    loss: tolerance(1e-3, measured?.loss_max_abs),
    norm: tolerance(1e-3, measured?.grad_norm_max_rel),
    probe: tolerance(2e-3, measured?.probe_logits_max_abs),
  };
}

/** The token ids that a trained model is probed with, row by row. */
export function probeRows({ batches }: FixtureRun): Int32Array[] {
  const file = openSafetensors(batches);
  const [rows, length, ...more] = file.tensors.get('probe_input_ids')!.shape;
  if (rows === undefined || length === undefined || more.length > 0) throw new Error(`${batches}: probe_input_ids is expected to be [rows, length]`);
  const ids = readInts(file, 'probe_input_ids');
  return Array.from({ length: rows }, (_, row) => ids.slice(row * length, (row + 1) * length));
}

/** Ebb's name of a parameter of peft's. */
export const ownName = (name: string): string => name.replace('.default.weight', '.weight');

/** Nearly all elements within `WEIGHT`, none off by more than the run could move it. */
export function expectWeights(own: string, found: Float32Array, wanted: Float32Array, run: Run): void {
  expect(found).toHaveLength(wanted.length);
  const skip = KEY_BIAS.test(own) ? [wanted.length / 3, (2 * wanted.length) / 3] : [0, 0];
  const off = Array.from(wanted, (w, k) => (k >= skip[0]! && k < skip[1]! ? 0 : Math.abs(w - found[k]!)));
  const beyond = off.filter((d) => d > WEIGHT).length;
  const most = Math.max(...off);
  expect({ own, ok: beyond <= Math.max(1, 0.001 * off.length) && most <= run.optimizer.lr * run.steps, beyond, most }).toMatchObject({ ok: true });
}

/** Patterns of all micro-batches in order. */
function patternsOf(run: Run): string[][] {
  return run.log.flatMap((step) =>
    run.gradient_accumulation === 1 ? [[...(step.dropped as readonly string[])]] : (step.dropped as readonly (readonly string[])[]).map((d) => [...d]),
  );
}

export function trainConfig(run: Run): TrainConfig {
  const { optimizer: o } = run;
  const warmup = /with (\d+) warm-up/.exec(run.lr_schedule);
  return {
    steps: run.steps,
    accumulate: run.gradient_accumulation,
    lossOver: 'microBatches',
    clip: run.clipping.max_norm,
    seed: 0,
    schedule: scheduleOf(run) as TrainConfig['schedule'],
    warmupSteps: warmup ? Number(warmup[1]) : 0,
    missingGrad: run.none_grad_policy.includes('replaced by zeros') ? 'zeros' : 'skip',
    allDropped: run.all_dropped_policy.includes('not called') ? 'skip' : 'backward',
    drop: { kind: 'fixed', patterns: patternsOf(run) },
    optimizer:
      optimizerOf(run) === 'adamw'
        ? { name: 'adamw', lr: o.lr, betas: o.betas!, eps: o.eps!, weightDecay: o.weight_decay }
        : { name: 'sgd', lr: o.lr, momentum: o.momentum ?? 0, dampening: o.dampening ?? 0, nesterov: o.nesterov ?? false, weightDecay: o.weight_decay },
  };
}
