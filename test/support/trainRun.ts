/** @file A golden training run of the fixtures: what run.json says, in Ebb's terms, and how near Ebb has to come. */

import type { TrainConfig } from '../../src/train/loop.ts';

export const LOSS = 1e-3;
export const NORM = 1e-3;
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
}

export const isSupported = (run: Run): boolean => ['full', 'lora'].includes(run.method) && /AdamW|SGD/.test(run.optimizer.name);

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
    clip: run.clipping.max_norm,
    seed: 0,
    schedule: run.lr_schedule.startsWith('cosine') ? 'cosine' : 'constant',
    warmupSteps: warmup ? Number(warmup[1]) : 0,
    missingGrad: run.none_grad_policy.includes('replaced by zeros') ? 'zeros' : 'skip',
    allDropped: run.all_dropped_policy.includes('not called') ? 'skip' : 'backward',
    drop: { kind: 'fixed', patterns: patternsOf(run) },
    optimizer: o.name.endsWith('AdamW')
      ? { name: 'adamw', lr: o.lr, betas: o.betas!, eps: o.eps!, weightDecay: o.weight_decay }
      : { name: 'sgd', lr: o.lr, momentum: o.momentum ?? 0, dampening: o.dampening ?? 0, nesterov: o.nesterov ?? false, weightDecay: o.weight_decay },
  };
}
