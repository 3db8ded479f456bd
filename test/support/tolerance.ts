/** @file How near Ebb has to come: what the fixtures' README advises for WebGPU, and more where float32 itself loses more in a set. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readJson } from '../formats/fixtureFolder.ts';

/** A set measures what float32 loses against float64; another order of the same sums may lose some times as much. */
const TIMES = 10;

/** The advised tolerance, unless a set measured a loss in float32 that asks for a larger one. */
export function tolerance(advised: number, measured: number | undefined): number {
  return measured === undefined ? advised : Math.max(advised, TIMES * measured);
}

/** What is measured for a part of the set, if anything: the entry of its tolerances.json. */
function measuredIn(root: string): (name: string) => Readonly<Record<string, unknown>> {
  const file = join(root, 'tolerances.json');
  const all = existsSync(file) ? readJson(file) : {};
  return (name) => all[name] ?? {};
}

interface ModelTolerances {
  /** Largest difference. */
  readonly logits: number;
  readonly loss: number;
  /** Largest difference, as a share of the largest element of the gradient, by pattern. */
  readonly gradient: (pattern: string) => number;
}

/** Of a checkpoint under models/. */
export function modelTolerances(root: string, name: string): ModelTolerances {
  const { logits_max_abs: logits, loss_abs: loss, ...gradients } = measuredIn(root)(name) as Readonly<Record<string, number | undefined>>;
  const ofPattern = (pattern: string) => (gradients[`grad_${pattern}`] as { max_abs_over_param_max?: number } | undefined)?.max_abs_over_param_max;
  return { logits: tolerance(5e-4, logits), loss: tolerance(1e-4, loss), gradient: (pattern) => tolerance(5e-4, ofPattern(pattern)) };
}

interface SmolLm2Tolerances {
  readonly logits: number;
  readonly logsumexp: number;
  readonly loss: (pattern: string) => number;
  /** Relative. */
  readonly norm: (pattern: string) => number;
}

export function smolLm2Tolerances(root: string): SmolLm2Tolerances {
  const measured = measuredIn(root)('measured_f32_vs_f64') as Readonly<Record<string, number | { loss_abs?: number; grad_norm_max_rel?: number } | undefined>>;
  const ofPattern = (pattern: string) => (typeof measured[pattern] === 'object' ? measured[pattern] : {});
  return {
    logits: tolerance(5e-3, measured['top20_logits_max_abs'] as number | undefined),
    logsumexp: tolerance(5e-3, measured['logsumexp_max_abs'] as number | undefined),
    loss: (pattern) => tolerance(1e-4, ofPattern(pattern).loss_abs),
    norm: (pattern) => tolerance(0.01, ofPattern(pattern).grad_norm_max_rel),
  };
}
