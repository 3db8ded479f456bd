/** @file The kinds of drop plan. A new one is a file and a line here. */

import { EbbError } from '../../errors.ts';
import type { PlanFields } from '../fields.ts';
import { dropbp } from './dropbp.ts';
import { type ConfigOf, type DropPlan, type DropPlanModel, type Misfit, valuesOf } from './dropPlan.ts';
import { fixed } from './fixed.ts';
import { lastK } from './lastK.ts';
import { layerdrop } from './layerdrop.ts';
import { lcsb } from './lcsb.ts';
import { lisa } from './lisa.ts';
import { none } from './none.ts';
import { stochasticDepth } from './stochasticDepth.ts';
import { uniform } from './uniform.ts';

const KINDS = [none, uniform, dropbp, lcsb, lisa, lastK, fixed, layerdrop, stochasticDepth] as const;

/** A drop plan as data: its kind and the keys of that kind (docs/training.md). */
export type DropPlanConfig = ConfigOf<(typeof KINDS)[number]>;

/** A kind of drop plan whose keys' types are not known. `misfit` and `create` take what `fields` accept. */
interface AnyKind {
  readonly kind: string;
  readonly fields: PlanFields;
  readonly scales?: true;
  misfit?(values: never): Misfit | null;
  create(values: never, model: DropPlanModel): DropPlan;
}

export const DROP_PLAN_KINDS: readonly AnyKind[] = KINDS;

/** Returns the first key of a configuration that does not fit its other keys, or null where all fit. Each value alone is accepted already. */
export function misfitOf(config: DropPlanConfig): Misfit | null {
  const kind = kindOf(config);
  return kind.misfit?.(valuesOf(kind.fields, { ...config }) as never) ?? null;
}

/** Whether the model has to be compiled so that its branches can be multiplied. */
export const scalesBranches = (config: DropPlanConfig): boolean => kindOf(config).scales === true;

/** Makes the drop plan that a configuration describes, for a model. @throws EbbError for keys that do not fit each other or the model */
export function createDropPlan(config: DropPlanConfig, model: DropPlanModel): DropPlan {
  const kind = kindOf(config);
  const misfit = misfitOf(config);
  if (misfit) throw new EbbError(`drop.${misfit.field}: expected ${misfit.expected}`);
  return kind.create(valuesOf(kind.fields, { ...config }) as never, model);
}

function kindOf({ kind }: DropPlanConfig): AnyKind {
  const found = DROP_PLAN_KINDS.find((k) => k.kind === kind);
  if (!found) throw new EbbError(`drop.kind: is ${JSON.stringify(kind)}, expected ${DROP_PLAN_KINDS.map((k) => JSON.stringify(k.kind)).join(' or ')}`);
  return found;
}

export type { Draw, DropPlan, DropPlanModel, Moment } from './dropPlan.ts';
