/** @file The plans. Adding one is a file and a line here. */

import { EbbError } from '../../errors.ts';
import type { Fields } from '../fields.ts';
import { dropbp } from './dropbp.ts';
import { fixed } from './fixed.ts';
import { lastK } from './lastK.ts';
import { layerdrop } from './layerdrop.ts';
import { lcsb } from './lcsb.ts';
import { lisa } from './lisa.ts';
import { none } from './none.ts';
import { type ConfigOf, type Misfit, type Plan, type PlanModel, valuesOf } from './plan.ts';
import { stochasticDepth } from './stochasticDepth.ts';
import { uniform } from './uniform.ts';

const PLANS = [none, uniform, dropbp, lcsb, lisa, lastK, fixed, layerdrop, stochasticDepth] as const;

/** A plan as data: its kind, and the keys of that kind (docs/training.md). */
export type PlanConfig = ConfigOf<(typeof PLANS)[number]>;

/** A kind of plan whose keys' types are not known: `misfit` and `create` take what `fields` accept. */
interface AnyKind {
  readonly kind: string;
  readonly fields: Fields;
  readonly scales?: true;
  misfit?(values: never): Misfit | null;
  create(values: never, model: PlanModel): Plan;
}

export const PLAN_KINDS: readonly AnyKind[] = PLANS;

/** What of a configuration's values, accepted each, does not fit together; null where all do. */
export function misfitOf(config: PlanConfig): Misfit | null {
  const kind = kindOf(config);
  return kind.misfit?.(valuesOf(kind.fields, { ...config }) as never) ?? null;
}

/** Whether the model has to be compiled so that its branches can be multiplied. */
export const scalesBranches = (config: PlanConfig): boolean => kindOf(config).scales === true;

/** The plan that a config names, for a model. @throws EbbError for keys that do not fit each other or the model */
export function createPlan(config: PlanConfig, model: PlanModel): Plan {
  const kind = kindOf(config);
  const misfit = misfitOf(config);
  if (misfit) throw new EbbError(`drop.${misfit.field}: expected ${misfit.expected}`);
  return kind.create(valuesOf(kind.fields, { ...config }) as never, model);
}

function kindOf({ kind }: PlanConfig): AnyKind {
  const found = PLAN_KINDS.find((p) => p.kind === kind);
  if (!found) throw new EbbError(`drop.kind: is ${JSON.stringify(kind)}, expected ${PLAN_KINDS.map((p) => JSON.stringify(p.kind)).join(' or ')}`);
  return found;
}

export type { Draw, Moment, Plan, PlanModel } from './plan.ts';
