/** @file A drop plan: data, and a pure function from (seed, step, micro-batch) to what happens to each unit. */

import { EbbError } from '../../errors.ts';
import { type GivenFields, isDefaulted, type PlanFields, type Values } from '../fields.ts';
import { checkUnits } from '../units.ts';

/** The model that a drop plan is for, and how long it is trained. */
export interface DropPlanModel {
  /** Names of the units, in the order of the model. */
  readonly units: readonly string[];
  /** FLOPs of each unit's backward. */
  readonly costs: readonly number[];
  /** Optimizer steps of the whole run. */
  readonly steps: number;
  /** Whether the model was compiled so that its branches can be multiplied in forward. */
  readonly scaled: boolean;
}

/**
 * Everything that a draw depends on. So the same step drops the same units again after a resume, and in every process of a run.
 */
export interface Moment {
  readonly seed: number;
  /** Optimizer step, counted from 0. */
  readonly step: number;
  /** Micro-batch within the step, counted from 0. */
  readonly micro: number;
  /** Micro-batches in a step. */
  readonly microBatches: number;
  /** Sensitivities by unit in the order of the model, once they are measured. */
  readonly sensitivities?: readonly number[] | undefined;
}

/** What happens to the units in a micro-batch. Units that are not named run forward and backward. */
export interface Draw {
  /** Units without a backward. */
  readonly dropped: readonly string[];
  /** Units without a forward too: their branches are left out of the model. */
  readonly skipped?: readonly string[];
  /** By unit, the factor on its branch's cotangent. A unit that is absent has the factor 1. */
  readonly weights?: ReadonlyMap<string, number>;
  /** By unit, the factor on its branch in forward and backward. A unit that is absent has the factor 1. Only kinds with `scales` give it. */
  readonly scales?: ReadonlyMap<string, number>;
}

/** A drop plan for one model. */
export interface DropPlan {
  /** A pure function of the moment. */
  draw(moment: Moment): Draw;
  /** Sensitivities are to be measured before step `at`, over `batches` batches. Draws before that step do without them. */
  readonly measure?: { readonly at: number; readonly batches: number };
  /** What a person should know before the run, a sentence each. */
  readonly notes?: readonly string[];
}

/** A key of a drop plan that does not fit its other keys. */
export interface Misfit {
  readonly field: string;
  readonly expected: string;
}

/** A kind of drop plan: its name, its keys, and how a plan of it is made for a model. */
export interface DropPlanKind<K extends string, F extends PlanFields> {
  readonly kind: K;
  readonly fields: F;
  /** True for a kind that multiplies branches in forward; the model has to be compiled for that. */
  readonly scales?: true;
  /** Returns the first key whose value does not fit the others, or null where all fit. */
  misfit?(values: Values<F>): Misfit | null;
  /** Makes the plan. @throws EbbError naming the key that does not fit the model */
  create(values: Values<F>, model: DropPlanModel): DropPlan;
}

/** The configuration of a kind of drop plan, as a person gives it. */
export type ConfigOf<P> = P extends DropPlanKind<infer K, infer F> ? { readonly kind: K } & GivenFields<F> : never;

/** Returns `kind` itself; by this call the types of its keys follow from its fields. */
export const defineDropPlan = <K extends string, F extends PlanFields>(kind: DropPlanKind<K, F>): DropPlanKind<K, F> => kind;

/** Returns the value of every field: the given one, or the field's fallback. */
export function valuesOf(fields: PlanFields, given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, given[name] ?? (isDefaulted(field) ? field.fallback : undefined)]));
}

/**
 * Returns a number for every unit, in the order of `units`.
 * @param field the key that holds the numbers, for the message
 * @throws EbbError naming a unit that is missing, or one that the model does not have
 */
export function perUnit(field: string, given: Readonly<Record<string, number>>, units: readonly string[]): number[] {
  checkUnits(Object.keys(given), units, field);
  return units.map((unit) => {
    const value = Object.hasOwn(given, unit) ? given[unit] : undefined;
    if (value === undefined) throw new EbbError(`${field}: ${unit} is missing, expected a number for each of the model's ${units.length} units`);
    return value;
  });
}
