/** @file Checks the branch of a unit: it has the type of the unit's input, depends on it, and does not add it, which the unit itself does. */

import { opDef } from '../ir/ops/index.ts';
import { type Op, sameType, typeText, type Value } from '../ir/types.ts';
import { misuse } from './error.ts';
import { locText } from './location.ts';

/** `ops` are the ops of the branch. @throws TraceError at the line of the unit, or of the second residual add */
export function checkBranch(site: string, x: Value, out: Value, ops: readonly Op[]): void {
  const made = out.loc ? ` (made at ${locText(out.loc)})` : '';
  if (!sameType(x.type, out.type))
    misuse(`unit ${site}: the branch must have the type of its input ${typeText(x.type)}, found ${typeText(out.type)}${made}; project it back in the branch`);
  if (out === x) misuse(`unit ${site}: the branch returns its input; return what is to be added to it`);
  const last = ops.find((op) => op.results.includes(out));
  if (last && opDef(last.name).adds && last.operands.slice(0, 2).includes(x))
    misuse(`unit ${site}: the branch adds its own input${made}, and the unit adds it again; return the branch alone, without x`);
  const dependent = new Set([x]);
  for (const op of ops) if (op.operands.some((v) => dependent.has(v))) for (const r of op.results) dependent.add(r);
  if (!dependent.has(out))
    misuse(`unit ${site}: the branch does not depend on its input${made}; compute it from the argument that the branch is given, or outside of the unit`);
}
