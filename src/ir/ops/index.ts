/** @file The registry: every op of the IR, by name. Adding one is a file and a line here. */

import { at, EbbError, invariant } from '../../errors.ts';
import type { Combine, OpDef, OpKind } from '../define.ts';
import type { Op, Value } from '../types.ts';
import { attention } from './attention.ts';
import { attentionGradientOps } from './attentionGradients.ts';
import { cacheWrite } from './cache.ts';
import { compositeOps } from './composites.ts';
import { controlOps } from './control.ts';
import { dot } from './dot.ts';
import { gatherOps } from './gather.ts';
import { lossOps } from './loss.ts';
import { pointwiseOps } from './pointwise.ts';
import { reduceOps } from './reduce.ts';
import { rope } from './rope.ts';
import { structuralOps } from './structural.ts';

const BUILT_IN = [
  ...pointwiseOps,
  ...structuralOps,
  ...reduceOps,
  dot,
  ...gatherOps,
  ...compositeOps,
  ...lossOps,
  rope,
  attention,
  ...attentionGradientOps,
  cacheWrite,
  ...controlOps,
] as const;

type BuiltIn = (typeof BUILT_IN)[number];
/** Names of the ops of a kind: tables over them are complete, or do not type-check. */
export type OpName<K extends OpKind = OpKind> = Extract<BuiltIn, { readonly kind: K }>['name'];

const registry = new Map<string, OpDef>(BUILT_IN.map((def) => [def.name, def]));

/** The definition of an op. @throws EbbError for a name that is none. */
export function opDef(name: string): OpDef {
  const def = registry.get(name);
  if (!def) throw new EbbError(`unknown op ${name}; known are ${[...registry.keys()].join(', ')}`);
  return def;
}

export const kindOf = (op: Op): OpKind => opDef(op.name).kind;

/** The operand whose bytes an op's result is, under another shape; null where it has bytes of its own. */
export function aliasOf(op: Op): Value | null {
  const [x] = op.operands;
  return x && findOp(op.name)?.aliases ? x : null;
}

/** The operand that an op writes in place, or null. */
export function writtenBy(op: Op): Value | null {
  const { effects } = opDef(op.name);
  return effects === null || effects === 'accumulates' ? null : at(op.operands, effects.writes);
}

/** How a reduction puts two elements together. */
export function combineOf(op: Op): Combine {
  const { combine } = opDef(op.name);
  invariant(combine, `${op.name} does not say how it puts two elements together`);
  return combine;
}

/** Whether an op adds to what lies in its result. */
export const accumulates = (op: Op): boolean => opDef(op.name).effects === 'accumulates';

/** Whether an op makes something of nothing: numbers, and positions. */
export const isSource = (op: Op): boolean => op.operands.length === 0 && kindOf(op) === 'index';

/** The definition of an op, or undefined for a name that is none. */
export const findOp = (name: string): OpDef | undefined => registry.get(name);

const sources = new Map<string, string>();

/**
 * Adds a user's op; ../derive.ts makes one of a decomposition alone. `source` is the text that defines it: a file that is read twice
 * defines its ops twice. @throws EbbError when the name is taken by another definition.
 */
export function registerOp(def: OpDef, source?: string): OpDef {
  const known = registry.get(def.name);
  if (known && known !== def && (source === undefined || sources.get(def.name) !== source))
    throw new EbbError(`op ${def.name} exists already; choose another name`);
  registry.set(def.name, def);
  if (source !== undefined) sources.set(def.name, source);
  return def;
}

export function allOps(): readonly OpDef[] {
  return [...registry.values()];
}
