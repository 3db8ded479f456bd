/** @file The targets of the house. A new one is a folder here and its line. */

import { EbbError } from '../../errors.ts';
import type { Target } from './target.ts';
import { WGSL } from './wgsl/wgsl.ts';

const TARGETS: readonly Target[] = [WGSL];

/** The target of a name, as programs and device profiles call it. @throws EbbError that lists all targets */
export function targetNamed(name: string): Target {
  const found = TARGETS.find((target) => target.name === name);
  if (!found) throw new EbbError(`target ${name}: there is no such target; there are ${TARGETS.map((target) => target.name).join(', ')}`);
  return found;
}
