/** @file FLOPs by brute force: an op at sizes that are numbers, counted one by one. Nothing here knows of terms, nor of `flops` of an op. */

import { funcBuilder } from '../../src/ir/builder.ts';
import { evaluate, evaluateNamed } from '../../src/ir/evaluate.ts';
import { opDef } from '../../src/ir/ops/index.ts';
import { generate, type Tensor, tensor } from '../../src/ir/tensor.ts';
import { type Attrs, type DimSizes, dimSize, type Op, type Type } from '../../src/ir/types.ts';

interface Sized extends Type {
  readonly shape: readonly number[];
}

/** FLOPs of an element of pointwise ops that do not take one. */
const POINTWISE: Readonly<Record<string, number>> = { exp: 4, log: 4, tanh: 4, sin: 4, cos: 4, rsqrt: 2, copy: 0, stop_gradient: 0 };
/** What only moves numbers. */
const MOVES = ['constant', 'iota', 'reshape', 'transpose', 'broadcast', 'slice', 'concat', 'gather', 'cache_write', 'call'];

const sized = ({ dtype, shape }: Type, sizes: DimSizes): Sized => ({ dtype, shape: shape.map((dim) => dimSize(dim, sizes)) });
const filled = ({ dtype, shape }: Sized, value: number): Tensor => generate(dtype, shape, () => value);

/** One for each element, by going through them. */
function each(shape: readonly number[], cost = 1): number {
  let total = 0;
  generate('f32', shape, () => (total += cost));
  return total;
}

/** The op in other ops, at these types. */
function decomposed(name: string, types: readonly Sized[], attrs: Attrs) {
  const b = funcBuilder();
  const params = types.map((type, i) => b.param(`p${i}`, type, 'value'));
  opDef(name).decompose!(b, params, attrs);
  return b;
}

export interface Sight {
  readonly tokens: number;
  readonly keys: number;
  readonly causal: boolean;
  readonly window: number | undefined;
}

/** Pairs (query, key) that `attention` shows where the queries are the last of the keys, by its doc comment. */
export function visibleByRule({ tokens, keys, causal, window }: Sight): number {
  const position = Math.max(0, keys - tokens);
  let pairs = 0;
  for (let i = 0; i < tokens; i++)
    for (let j = 0; j < keys; j++) if ((!causal || j <= i + position) && (window === undefined || i + position - j < window)) pairs++;
  return pairs;
}

/** The mask that an attention op's decomposition makes, evaluated with everything in one segment; [batch or 1, heads or 1, tokens, keys]. */
export function evaluatedMask(name: string, types: readonly Sized[], attrs: Attrs): Tensor {
  const b = decomposed(name, types, attrs);
  // the first choice that is made between scores and nothing is by the mask
  const mask = b.added.find((op) => op.name === 'select')!.operands[0]!;
  const func = b.finish(name, [{ value: mask, role: 'value' }]);
  const position = Math.max(0, types[1]!.shape[1]! - types[0]!.shape[1]!);
  const inputs = types.map((type) => filled(type, type.shape.length === 0 ? position : 1));
  return evaluate({ dims: {}, funcs: [] }, func, inputs, {})[0]!;
}

/** Two FLOPs for each element of a head in each product of each visible pair; three for each element that is turned back. */
function countAttention(name: string, types: readonly Sized[], results: readonly Sized[], attrs: Attrs): number {
  const [batch, , heads, width] = types[0]!.shape as [number, number, number, number];
  const mask = evaluatedMask(name, types, attrs);
  const ops = decomposed(name, types, attrs).added;
  const products = ops.filter((op) => op.name === 'dot').length;
  const turned = ops.some((op) => op.name === 'rope');
  const [masks, headMasks, tokens, keys] = mask.shape as [number, number, number, number];
  let total = 0;
  for (let sequence = 0; sequence < batch; sequence++)
    for (let head = 0; head < heads; head++) {
      const from = ((sequence % masks) * headMasks + (head % headMasks)) * tokens * keys;
      for (let pair = 0; pair < tokens * keys; pair++)
        if (mask.data[from + pair] === 1) for (let product = 0; product < products; product++) for (let d = 0; d < width; d++) total += 2;
    }
  return total + (turned ? each(results[0]!.shape, 3) : 0);
}

/** A multiplication and an addition for each element of the result and each of the contracted ones. */
function countDot([lhs]: readonly Sized[], [out]: readonly Sized[], attrs: Attrs): number {
  const batch = Number(attrs['batch'] ?? 0);
  const contract = Number(attrs['contract'] ?? 1);
  const rest = lhs!.shape.slice(batch);
  const contracted = attrs['ta'] === true ? rest.slice(0, contract) : rest.slice(rest.length - contract);
  let total = 0;
  generate('f32', out!.shape, () => (total += each(contracted, 2)));
  return total;
}

/** FLOPs of one op. */
export function countFlops(op: Op, sizes: DimSizes): number {
  if (op.name === 'fused') return op.body!.ops.reduce((sum, inner) => sum + countFlops(inner, sizes), 0);
  if (MOVES.includes(op.name)) return 0;
  const types = op.operands.map((v) => sized(v.type, sizes));
  const results = op.results.map((r) => sized(r.type, sizes));
  const shape = op.attrs['shape'];
  const attrs: Attrs = Array.isArray(shape) ? { ...op.attrs, shape: shape.map((d) => String(/^\d+$/.test(String(d)) ? d : sizes[String(d)])) } : op.attrs;
  switch (op.name) {
    case 'dot':
      return countDot(types, results, attrs);
    case 'attention':
    case 'attention_dq':
    case 'attention_dkv':
      return countAttention(op.name, types, results, attrs);
    case 'attention_stats':
      return each(types[0]!.shape, 2);
    case 'reduce_sum':
    case 'reduce_max':
      return each(types[0]!.shape);
    case 'scatter_add':
      return each(types[1]!.shape);
    case 'dequantise':
      return each(types[0]!.shape);
  }
  if (opDef(op.name).kind === 'composite') return decomposed(op.name, types, attrs).added.reduce((sum, inner) => sum + countFlops(inner, {}), 0);
  if (opDef(op.name).kind !== 'pointwise') throw new Error(`countFlops: ${op.name} is not counted`);
  const [out] = evaluateNamed(
    op.name,
    types.map((type) => tensor(type.dtype, type.shape)),
    attrs,
    {},
    results,
  );
  return each(out!.shape, POINTWISE[op.name] ?? 1);
}
