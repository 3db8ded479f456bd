/** @file The registry of all ops by name. To add an op, write its file and list it here. */

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
/** Names of the built-in ops of a kind. A table over them type-checks only if it is complete. */
export type OpName<K extends OpKind = OpKind> = Extract<BuiltIn, { readonly kind: K }>['name'];

// Ops are found by the names that IR texts and models give them, and users add their own by `defineOp`, so the table is the module's and grows.
const registry = new Map<string, OpDef>(BUILT_IN.map((def) => [def.name, def]));

/** The definition of an op. @throws EbbError if no op has this name */
export function opDef(name: string): OpDef {
  const def = registry.get(name);
  if (!def) throw new EbbError(`unknown op ${name}; known are ${[...registry.keys()].join(', ')}`);
  return def;
}

export const kindOf = (op: Op): OpKind => opDef(op.name).kind;

/** The operand whose bytes the op's result shares under another shape, or null if the result has bytes of its own. */
export function aliasOf(op: Op): Value | null {
  const [x] = op.operands;
  return x && findOp(op.name)?.aliases ? x : null;
}

/** The operand that the op's kernel updates in place, or null. */
export function writtenBy(op: Op): Value | null {
  const { effects } = opDef(op.name);
  return effects === null || effects === 'accumulates' ? null : at(op.operands, effects.writes);
}

/** How a reduction combines two elements. */
export function combineOf(op: Op): Combine {
  const { combine } = opDef(op.name);
  invariant(combine, `${op.name} does not say how it combines two elements`);
  return combine;
}

/** Whether the op's kernel adds to what its result holds. */
export const accumulates = (op: Op): boolean => opDef(op.name).effects === 'accumulates';

/** Whether an op has no operands, as constants and `iota`. */
export const isSource = (op: Op): boolean => op.operands.length === 0 && kindOf(op) === 'index';

/** The definition of an op, or undefined if no op has this name. */
export const findOp = (name: string): OpDef | undefined => registry.get(name);

// The texts that registered ops were defined by, to tell a file that is read twice from two ops of one name.
const sources = new Map<string, string>();

const BUILT_IN_NAMES: ReadonlySet<string> = new Set(registry.keys());

/** Whether the op is the library's own, and not a user's. */
export const isBuiltIn = (name: string): boolean => BUILT_IN_NAMES.has(name);

/** What kernels, or a decomposition, of an op of a kind are made from. */
const MADE_FROM: Readonly<Partial<Record<OpKind, 'element' | 'combine' | 'decompose'>>> = {
  pointwise: 'element',
  index: 'element',
  reduce: 'combine',
  composite: 'decompose',
};

/** @throws EbbError for a name that the IR's text cannot hold, and for an op that lacks what its kind is made from */
function checkDefinition(def: OpDef): void {
  const { name, kind } = def;
  if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new EbbError(`the name of an op is written in snake_case, found ${JSON.stringify(name)}`);
  const part = MADE_FROM[kind];
  if (part === undefined)
    throw new EbbError(`op ${name} is of kind ${JSON.stringify(kind)}, which only the library's own are; expected one of ${Object.keys(MADE_FROM).join(', ')}`);
  if (def[part] === undefined) throw new EbbError(`op ${name} is of kind ${kind} and has no ${part}, which that kind is made from; give it one`);
}

/**
 * Registers a user's op; `defineOp` makes one from a decomposition alone. `source` is the text that defines the op, which the same text may
 * define again, since a file may be read twice.
 * @throws EbbError if the name is not in snake_case or another definition has taken it, or the op lacks what its kind is made from
 */
export function registerOp(def: OpDef, source?: string): OpDef {
  checkDefinition(def);
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
