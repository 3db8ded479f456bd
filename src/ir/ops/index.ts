/** @file The registry: every op of the IR, by name. Adding one is a file and a line here. */

import { EbbError } from '../../errors.ts';
import type { OpDef } from '../define.ts';
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

const builtIn: readonly OpDef[] = [
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
];
const registry = new Map<string, OpDef>(builtIn.map((def) => [def.name, def]));

/** The definition of an op. @throws EbbError for a name that is none. */
export function opDef(name: string): OpDef {
  const def = registry.get(name);
  if (!def) throw new EbbError(`unknown op ${name}; known are ${[...registry.keys()].join(', ')}`);
  return def;
}

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
