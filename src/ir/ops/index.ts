/** @file The registry: every op of the IR, by name. Adding one is a file and a line here. */

import { EbbError } from '../../errors.ts';
import type { OpDef } from '../define.ts';
import { attentionOps } from './attention.ts';
import { cacheWrite } from './cache.ts';
import { compositeOps } from './composites.ts';
import { controlOps } from './control.ts';
import { dot } from './dot.ts';
import { gatherOps } from './gather.ts';
import { pointwiseOps } from './pointwise.ts';
import { reduceOps } from './reduce.ts';
import { rope } from './rope.ts';
import { structuralOps } from './structural.ts';

const builtIn: readonly OpDef[] = [
  ...pointwiseOps,
  ...structuralOps,
  ...reduceOps,
  dot,
  ...gatherOps,
  ...compositeOps,
  rope,
  ...attentionOps,
  cacheWrite,
  ...controlOps,
];
const registry = new Map<string, OpDef>(builtIn.map((def) => [def.name, def]));

/** The definition of an op. @throws EbbError for a name that is none. */
export function opDef(name: string): OpDef {
  const def = registry.get(name);
  if (!def) throw new EbbError(`unknown op ${name}; known are ${[...registry.keys()].join(', ')}`);
  return def;
}

/** Adds a user's composite op: its decomposition is all it needs. @throws EbbError when the name is taken by another definition. */
export function registerOp(def: OpDef): OpDef {
  const known = registry.get(def.name);
  if (known && known !== def) throw new EbbError(`op ${def.name} exists already; choose another name`);
  registry.set(def.name, def);
  return def;
}

export function allOps(): readonly OpDef[] {
  return [...registry.values()];
}
