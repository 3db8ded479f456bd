/** @file The FLOPs of a step, and the share of them that a drop plan leaves, so that plans can be compared at equal cost. */

import { at } from '../../src/errors.ts';
import { formsOfCalls, functionOf } from '../../src/runtime/link/forms.ts';
import { functionFlops, type Program, type Sizes } from '../../src/runtime/program.ts';

/** The FLOPs of one micro-batch, at the bounds of the program's dimensions. */
export interface StepCosts {
  /** Units in the order of the model. A layer is a pair of them. */
  readonly units: readonly string[];
  /** By unit, as is `backward`. */
  readonly forward: readonly number[];
  readonly backward: readonly number[];
  /** Forward and backward of the whole model, with head and embedding and with nothing left out. */
  readonly whole: number;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Counts the FLOPs of the kernels that a step with nothing left out runs. */
export function stepCosts(program: Program): StepCosts {
  const sizes: Sizes = Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));
  const flops = (fn: number): number => functionFlops(functionOf(program, fn), sizes);
  const calls = formsOfCalls(program, new Map(), false).map(({ call, backward }) => ({
    call,
    forward: flops(call.forward),
    backward: backward ? flops(backward.function) : 0,
  }));
  const units = calls.filter((c) => c.call.unit);
  return {
    units: units.map((c) => c.call.site),
    forward: units.map((c) => c.forward),
    backward: units.map((c) => c.backward),
    whole: sum(calls.map((c) => c.forward + c.backward)),
  };
}

/** The mean FLOPs that dropping the backward of units with `rate` leaves out of a step. */
export const savedByRate = ({ backward }: StepCosts, rate: number): number => rate * sum(backward);

/** The rate of LayerDrop at which the mean step costs as much as where backwards are dropped with `rate`. */
export const layerdropRate = (costs: StepCosts, rate: number): number => savedByRate(costs, rate) / (sum(costs.forward) + sum(costs.backward));

/** The same for stochastic depth: its rate of the last unit. Unit l of U is left out with l/U of that rate. */
export function stochasticDepthRate(costs: StepCosts, rate: number): number {
  const { units, forward, backward } = costs;
  return savedByRate(costs, rate) / sum(units.map((_, i) => ((i + 1) / units.length) * (at(forward, i) + at(backward, i))));
}

/** The share of the steps that costs as much, with nothing dropped, as all steps where backwards are dropped with `rate`. */
export const sameCostShare = (costs: StepCosts, rate: number): number => 1 - savedByRate(costs, rate) / costs.whole;

/** Returns the number from 1 to `of` that keeps the share closest to 1 − `rate`. Of two that are as close, it is the one that drops less. */
export function keptOf(of: number, rate: number, kept: (n: number) => number = (n) => n / of): number {
  const off = (n: number): number => Math.round(1e6 * Math.abs(1 - kept(n) - rate));
  return Array.from({ length: of }, (_, i) => i + 1).reduce((best, n) => (off(n) < off(best) || (off(n) === off(best) && kept(n) > kept(best)) ? n : best));
}
