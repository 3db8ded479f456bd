/** @file Gives every result of a function bytes of its own: none is a parameter, another result, or a reshape of either. */

import { aliasOf } from '../ir/ops/index.ts';
import type { Func, Op, Result, Value } from '../ir/types.ts';

/**
 * Returns `func` with copies of those results that lie in the bytes of a parameter or of an earlier result. `addsUp` says which results kernels
 * may add to what lies there, as gradients of weights: nothing else may read or return their bytes.
 */
export function ownBytes(func: Func, addsUp: (result: Result) => boolean = () => false): Func {
  const producer = new Map(func.ops.flatMap((op) => op.results.map((r): [Value, Op] => [r, op])));
  const owner = (v: Value): Value => {
    const op = producer.get(v);
    const of = op && aliasOf(op);
    return of ? owner(of) : v;
  };
  const read = new Set(func.ops.flatMap((op) => (aliasOf(op) ? [] : op.operands.map(owner))));
  const returned = func.results.map((r) => owner(r.value));
  const taken = new Set<Value>(func.params.map((p) => p.value));
  const copies: Op[] = [];
  const results = func.results.map((result, i): Result => {
    const own = owner(result.value);
    const isAlone = !addsUp(result) || (!read.has(own) && returned.filter((v) => v === own).length === 1);
    if (!taken.has(own) && isAlone) {
      taken.add(own);
      return result;
    }
    const copy: Value = { ...result.value, name: `${result.value.name}.copy${i}` };
    copies.push({ name: 'copy', operands: [result.value], attrs: {}, results: [copy] });
    return { ...result, value: copy };
  });
  return copies.length === 0 ? func : { ...func, ops: [...func.ops, ...copies], results };
}
