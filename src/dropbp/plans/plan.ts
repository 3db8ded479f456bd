/** @file What a plan is: data, and a pure function from (seed, step, micro-batch) to what becomes of the units. */

import { EbbError } from '../../errors.ts';
import { type Fields, type Given, isDefaulted, type Values } from '../fields.ts';

/** The model a plan is for, and how long it is trained. */
export interface PlanModel {
  readonly units: readonly string[];
  /** What each unit's backward costs, in FLOPs. */
  readonly costs: readonly number[];
  /** Optimizer steps of the whole run. */
  readonly steps: number;
  /** Whether its branches can be multiplied in forward. */
  readonly scaled: boolean;
}

/** What a plan decides from: nothing else, so that the same step drops the same units again, after a resume and on every rank. */
export interface Moment {
  readonly seed: number;
  /** Of the optimizer, from 0. */
  readonly step: number;
  /** Within the step, from 0. */
  readonly micro: number;
  readonly microBatches: number;
  /** By unit in the order of the model, once they are measured. */
  readonly sensitivities?: readonly number[] | undefined;
}

/** What becomes of a micro-batch's units; those not named are kept. */
export interface Draw {
  /** Without a backward. */
  readonly dropped: readonly string[];
  /** Without a forward too: the branch is left out of the model. */
  readonly skipped?: readonly string[];
  /** What a unit's branch cotangent is multiplied by, where that is not 1. */
  readonly weights?: ReadonlyMap<string, number>;
  /** What a unit's branch is multiplied by, forward and backward, where that is not 1; of kinds that scale. */
  readonly scales?: ReadonlyMap<string, number>;
}

/** A plan for one model. */
export interface Plan {
  /** A pure function. */
  draw(moment: Moment): Draw;
  /** The step before which sensitivities are to be measured, and over how many batches; until they are there, draws are without them. */
  readonly measure?: { readonly at: number; readonly batches: number };
  /** What a person should know before the run, a sentence each. */
  readonly notes?: readonly string[];
}

/** A key of a plan that does not fit its other keys. */
export interface Misfit {
  readonly field: string;
  readonly expected: string;
}

/** A kind of plan: its name, its keys, and how it is made for a model. */
export interface PlanKind<K extends string, F extends Fields> {
  readonly kind: K;
  readonly fields: F;
  /** Multiplies branches in forward, which a model has to be compiled for. */
  readonly scales?: true;
  /** Whether the values fit each other. */
  misfit?(values: Values<F>): Misfit | null;
  /** @throws EbbError naming the key that does not fit the model */
  create(values: Values<F>, model: PlanModel): Plan;
}

/** The configuration of a kind of plan as a person gives it. */
export type ConfigOf<P> = P extends PlanKind<infer K, infer F> ? { readonly kind: K } & Given<F> : never;

/** Typed as what it is: its keys' types follow from its fields. */
export const definePlan = <K extends string, F extends Fields>(plan: PlanKind<K, F>): PlanKind<K, F> => plan;

/** What `given` holds, with the fallback of every key that is not. */
export function valuesOf(fields: Fields, given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, given[name] ?? (isDefaulted(field) ? field.fallback : undefined)]));
}

/** A number for every unit, in their order. @throws EbbError naming a unit that is missing, or that the model does not have */
export function perUnit(field: string, given: Readonly<Record<string, number>>, units: readonly string[]): number[] {
  checkUnits(field, Object.keys(given), units);
  return units.map((unit) => {
    const value = Object.hasOwn(given, unit) ? given[unit] : undefined;
    if (value === undefined) throw new EbbError(`${field}: ${unit} is missing, expected a number for each of the model's ${units.length} units`);
    return value;
  });
}

/** @throws EbbError naming the first of `named` that is no unit */
export function checkUnits(field: string, named: readonly string[], units: readonly string[]): void {
  const unknown = named.find((u) => !units.includes(u));
  if (unknown !== undefined) throw new EbbError(`${field}: unknown unit ${unknown}; the model has ${units.slice(0, 4).join(', ')}, … (${units.length} units)`);
}
