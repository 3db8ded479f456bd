/** @file `overwrite` decides which outputs of a fused group overwrite one of its operands. Attribute `inplace` lists them as pairs of output and operand. */

import { isFused } from '../ir/ops/control.ts';
import { aliasOf, kindOf, writtenBy } from '../ir/ops/index.ts';
import { type Func, type Op, sameType, type Value } from '../ir/types.ts';
import { elementwiseIn } from './fuse/drafts.ts';

export interface OverwriteOptions {
  /** Whether the argument of that index is a weight, whose gradient has a place of its own for the whole step. Default: none is. */
  readonly weights?: (argument: number) => boolean;
  /** Whether an output may overwrite a `saved` parameter that nothing reads later (as the gradient of the logits may). Default: false. */
  readonly overwriteSaved?: boolean;
}

/** The value that owns the bytes of `v`: reshapes outside of groups copy nothing. */
function bytesOf(func: Func, v: Value): Value {
  const maker = func.ops.find((op) => op.results.includes(v));
  const of = maker && aliasOf(maker);
  return of ? bytesOf(func, of) : v;
}

/** Indices of outputs and of the operands that they overwrite. Both have one type, the operand is read element for element, and not read later. */
function inPlace(func: Func, group: Op, later: readonly Op[], { weights = () => false, overwriteSaved = false }: OverwriteOptions): readonly number[] {
  const ops = group.body?.ops ?? [];
  const kind = group.attrs['kind'];
  const written = ops.map(writtenBy).find((v) => v !== null);
  if (written) return [0, group.operands.indexOf(written)];
  if (kind === 'kernel' || kind === 'column') return [];
  const dotOperands = new Set(ops.filter((op) => kindOf(op) === 'dot').flatMap((op) => op.operands));
  const pairs: number[] = [];
  const taken = new Set<Value>();
  for (const [r, out] of group.results.entries()) {
    // A result that is a reshape of the output lies in the output's bytes.
    const result = func.results.find((x) => bytesOf(func, x.value) === out);
    for (const [o, v] of group.operands.entries()) {
      const at = func.params.findIndex((p) => p.value === v);
      const role = func.params[at]?.role;
      const stays = result?.role === 'grad' && result.of !== undefined && weights(result.of);
      const wanted =
        role === 'cotangent'
          ? result !== undefined && !stays
          : role === 'state'
            ? result?.of === at
            : overwriteSaved && role === 'saved' && result === undefined;
      if (!wanted || taken.has(v) || !sameType(v.type, out.type) || later.some((g) => g.operands.includes(v))) continue;
      if (dotOperands.has(v) || !elementwiseIn(v, { kind: String(kind), ops })) continue;
      pairs.push(r, o);
      taken.add(v);
      break;
    }
  }
  return pairs;
}

export function overwrite(func: Func, options: OverwriteOptions): Func {
  const ops = func.ops.map((op, i) => {
    const pairs = isFused(op) ? inPlace(func, op, func.ops.slice(i + 1), options) : [];
    return pairs.length === 0 ? op : { ...op, attrs: { ...op.attrs, inplace: pairs } };
  });
  return { ...func, ops };
}
