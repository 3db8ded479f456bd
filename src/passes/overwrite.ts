/** @file `overwrite`: which outputs of a fused group take the place of its operands (`inplace`, pairs of output and operand). */

import { isFused } from '../ir/ops/control.ts';
import { aliasOf, kindOf, writtenBy } from '../ir/ops/index.ts';
import { type Func, type Op, sameType, type Value } from '../ir/types.ts';
import { elementwiseIn } from './fuse/drafts.ts';

export interface OverwriteOptions {
  /** Whether the gradient of that argument is a weight's, which has a place of its own for the whole step. Default: none is. */
  readonly weights?: (argument: number) => boolean;
  /** A result may overwrite a `saved` parameter that nothing reads later (the gradient of the logits). */
  readonly overwriteSaved?: boolean;
}

/** The value whose bytes `v` is: reshapes outside of groups move nothing. */
function bytesOf(func: Func, v: Value): Value {
  const maker = func.ops.find((op) => op.results.includes(v));
  const of = maker && aliasOf(maker);
  return of ? bytesOf(func, of) : v;
}

/** Equal types, read only element for element, dead afterwards. */
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
    // a result that is another shape of what the group writes lies in its bytes
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
