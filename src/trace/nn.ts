/** @file The functions a model is written with. Tensors are IR values; every function takes and returns them. */

import { EbbError } from '../errors.ts';
import { shapeToAttr } from '../ir/define.ts';
import { type Dim, typeText, type Value } from '../ir/types.ts';
import { type AdapterSpec, activeTrace, type Initialiser, type LinearLayout, param, record, recordOne, scalar } from './context.ts';
import { checkKnown, type KnownOptions, misuse } from './error.ts';

/** A tensor of the model being traced: a value of the IR, with its type. */
export type Tensor = Value;

const binary =
  (name: string) =>
  (x: Tensor, y: Tensor | number): Tensor =>
    recordOne(name, [x, lift(y)]);
const unary =
  (name: string) =>
  (x: Tensor): Tensor =>
    recordOne(name, [x]);

/** Makes an f32 scalar of a number; a tensor stays as it is. */
export function lift(x: Tensor | number): Tensor {
  return typeof x === 'number' ? activeTrace().b.constant(x) : x;
}

/** x + y, elementwise; operands broadcast as in numpy. @throws TraceError when the shapes do not fit each other */
export const add = binary('add');
/** x − y, elementwise; operands broadcast as in numpy. @throws TraceError when the shapes do not fit each other */
export const sub = binary('sub');
/** x · y, elementwise; operands broadcast as in numpy. @throws TraceError when the shapes do not fit each other */
export const mul = binary('mul');
/** x / y, elementwise; operands broadcast as in numpy. @throws TraceError when the shapes do not fit each other */
export const div = binary('div');
/** eˣ, elementwise. */
export const exp = unary('exp');
/** tanh x, elementwise. */
export const tanh = unary('tanh');
/** −x, elementwise. */
export const neg = unary('neg');
/** 1/(1 + e⁻ˣ), elementwise. */
export const sigmoid = unary('sigmoid');
/** x · sigmoid(x), elementwise. */
export const silu = unary('silu');
/** max(x, 0), elementwise. */
export const relu = unary('relu');
/** ½x(1 + erf(x/√2)), elementwise; erf to 1.5·10⁻⁷. */
export const gelu = unary('gelu');
/** ½x(1 + tanh(√(2/π)(x + 0.044715x³))), elementwise: `gelu_new` of transformers. */
export const geluTanh = unary('gelu_tanh');
/** Softmax over the last axis. */
export const softmax = unary('softmax');
/** x itself, through which no gradient flows back. */
export const stopGradient = unary('stop_gradient');
/** silu(gate)·up. */
export const swiglu = (gate: Tensor, up: Tensor): Tensor => recordOne('swiglu', [gate, up]);

/** x in another shape, with the same elements in the same order. @throws TraceError if their number differs */
export function reshape(x: Tensor, shape: readonly Dim[]): Tensor {
  return recordOne('reshape', [x], { shape: shapeToAttr(shape) });
}
/** x with its axes in another order: axis i of the result is axis `perm[i]` of x. @throws TraceError if `perm` is no permutation of the axes */
export function transpose(x: Tensor, perm: readonly number[]): Tensor {
  return recordOne('transpose', [x], { perm });
}
/** The `size` elements of x along `axis` from `start` on. @throws TraceError if x has no such elements */
export function slice(x: Tensor, axis: number, start: number, size: number): Tensor {
  return recordOne('slice', [x], { axis, start, size });
}
/** Joins tensors along `axis`. @throws TraceError if they differ in dtype or in another axis, or the size of `axis` is not known */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  return recordOne('concat', parts, { axis });
}
/** Σ over `axes`, which stay with size 1. */
export function sum(x: Tensor, axes: readonly number[]): Tensor {
  return recordOne('reduce_sum', [x], { axes });
}

/** x·w, with x [..., in] and w [in, out], or w [out, in] if it is `transposed`; the result is [..., out]. */
export function matmul(x: Tensor, w: Tensor, transposed = false): Tensor {
  return recordOne('dot', [x, w], transposed ? { tb: true } : {});
}

/** x/√(mean(x²) + eps) · weight over the last axis; weight [size of that axis]. */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  return recordOne('rms_norm', [x, weight], { eps }, 'h');
}
/** (x − mean)/√(variance + eps) · weight + bias over the last axis; weight and bias [size of that axis]. */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor {
  return recordOne('layer_norm', [x, weight, bias], { eps }, 'h');
}
/** How a table is looked up. */
export interface EmbeddingOptions {
  /** A row to which look-ups give no gradient, as in torch's `nn.Embedding(padding_idx)`; default: none. */
  readonly padding?: number | undefined;
}

/** Looks up rows of `table` [V, …] by i32 `ids` […], which are clamped to the table. @throws TraceError if `padding` is no row of the table */
export function embedding(table: Tensor, ids: Tensor, { padding }: EmbeddingOptions = {}): Tensor {
  return recordOne('gather', [table, ids], padding === undefined ? {} : { padding });
}

/** How scores are computed, and which keys a query sees. */
export interface AttentionOptions {
  readonly scale: number;
  readonly causal: boolean;
  /** Most keys that a query sees up to its own position, a whole number of 1 or more; default all. */
  readonly window?: number;
  /** Scores s become softCap·tanh(s/softCap). */
  readonly softCap?: number;
  /** Segment of each query and key, i32 [B, T] and [B, S]; 0 is padding. */
  readonly segments: readonly [Tensor, Tensor];
}

const ATTENTION_OPTIONS: KnownOptions<AttentionOptions> = { scale: true, causal: true, window: true, softCap: true, segments: true };

/** Attention of q [B, T, H, D] to k and v [B, S, Hkv, D]: [B, T, H, D]. Query head h reads key head ⌊h·Hkv/H⌋. @throws TraceError if the shapes do not fit */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor {
  checkKnown('attention', options, ATTENTION_OPTIONS);
  const { segments, ...rest } = options;
  const attrs = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as Record<string, number | boolean>;
  const [out] = record('attention', [q, k, v, ...segments, scalar('position', 'i32')], attrs, ['o', 'lse']);
  if (!out) throw new EbbError('attention has no result');
  return out;
}

/** Rotary embedding (Su et al. 2021) of x [B, T, H, D]. Each row of angles [positions, D] holds the cosines of D/2 angles, then their sines. */
export function rope(x: Tensor, angles: Tensor): Tensor {
  return recordOne('rope', [x, angles, scalar('position', 'i32')]);
}

/** The positions of tokens [B, T], i32 [T]: position, position + 1, … */
export function positionsOf(tokens: Tensor, position: Tensor): Tensor {
  const [, length] = tokens.type.shape;
  if (length === undefined) misuse(`positionsOf: tokens must be [batch, tokens], found ${typeText(tokens.type)}`);
  const shape = shapeToAttr([length]);
  return recordOne('add', [recordOne('iota', [], { shape, axis: 0 }), position]);
}

/** Writes x [B, T, …] in place into `cache` [B, capacity, …], from the call's position on. Returns the whole cache. */
export function cacheWrite(cache: Tensor, x: Tensor): Tensor {
  return recordOne('cache_write', [cache, x, scalar('position', 'i32')]);
}

/** Mean of −log softmax(logits)[target] over the targets that are not negative; f32[]. */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  return meanLoss(recordOne('cross_entropy', [logits, targets], {}, 'losses'), targets);
}

/** Mean of losses [B, T] over the targets that are not negative; f32[]. */
export function meanLoss(losses: Tensor, targets: Tensor): Tensor {
  const axes = losses.type.shape.map((_, i) => i);
  const counted = recordOne('select', [recordOne('ge', [targets, activeTrace().b.constant(0, 'i32')]), lift(1), lift(0)]);
  const count = recordOne('reduce_sum', [counted], { axes }, 'count');
  const total = recordOne('reduce_sum', [losses], { axes }, 'total_loss');
  return recordOne('reshape', [div(total, recordOne('max', [count, lift(1)]))], { shape: [] }, 'loss');
}

/** Zero with probability `rate`, else x/(1−rate), elementwise. A forward that runs again draws the same numbers. */
export function dropout(x: Tensor, rate: number): Tensor {
  if (rate === 0) return x;
  return recordOne('dropout', [x, scalar('seed', 'u32')], { rate, site: activeTrace().site++ });
}

/** Sizes of a linear layer, and how its weight is stored. */
export interface LinearOptions {
  readonly inputs: number;
  readonly outputs: number;
  readonly bias?: boolean;
  /** How the weight is stored; default `out,in`. */
  readonly layout?: LinearLayout;
  /** How the weight starts; default normal with standard deviation 0.02. */
  readonly init?: Initialiser;
}

const LINEAR_OPTIONS: KnownOptions<LinearOptions> = { inputs: true, outputs: true, bias: true, layout: true, init: true };

/**
 * Applies a linear layer, with the adapter that the trace's options put on it: x [..., inputs] → [..., outputs]. It declares the parameters
 * `<name>.weight` and, with `bias`, `<name>.bias`. @throws TraceError if the last axis of x is not `inputs`
 */
export function linear(name: string, x: Tensor, options: LinearOptions): Tensor {
  checkKnown(`linear ${name}`, options, LINEAR_OPTIONS);
  const { inputs, outputs, bias = false, layout = 'out,in', init } = options;
  const last = x.type.shape.at(-1);
  if (typeof last === 'number' && last !== inputs)
    misuse(`linear ${name}: inputs is ${inputs}, but x is ${typeText(x.type)}; give inputs: ${last}, or an x whose last axis is ${inputs}`);
  const weight = param(`${name}.weight`, layout === 'out,in' ? [outputs, inputs] : [inputs, outputs], { linear: layout, ...(init ? { init } : {}) });
  const short = name.split('.').at(-1) ?? 'y';
  let y = recordOne('dot', [x, weight], layout === 'out,in' ? { tb: true } : {}, short);
  if (bias) y = add(y, param(`${name}.bias`, [outputs], { init: { kind: 'constant', value: 0 } }));
  const adapter = activeTrace().options.adapter?.(name);
  return adapter ? add(y, lora(name, x, options, adapter)) : y;
}

function lora(name: string, x: Tensor, { inputs, outputs }: LinearOptions, { rank, scale, dropout: rate }: AdapterSpec): Tensor {
  const a = param(`${name}.lora_A.weight`, [rank, inputs], { init: { kind: 'uniform', bound: 1 / Math.sqrt(inputs) } });
  const b = param(`${name}.lora_B.weight`, [outputs, rank], { init: { kind: 'constant', value: 0 } });
  // The scale is applied where the adapter is narrow, so that backward does not scale a cotangent as wide as the layer.
  const low = mul(recordOne('dot', [dropout(x, rate), a], { tb: true }, 'low'), scale);
  return recordOne('dot', [low, b], { tb: true }, 'delta');
}
