/** @file What a step costs in FLOPs and what plans leave of it, so that plans can be compared at equal cost. */

import { formsOfCalls, functionOf } from '../../src/runtime/link/forms.ts';
import { functionFlops, type Program, type Sizes } from '../../src/runtime/program.ts';

/** FLOPs of one micro-batch at the program's bounds. */
export interface StepCosts {
  /** Units in the order of the model; layers are pairs of them. */
  readonly units: readonly string[];
  readonly forward: readonly number[];
  readonly backward: readonly number[];
  /** Forward and backward with nothing left out, head and embedding too. */
  readonly whole: number;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Counted from the kernels that a step with nothing left out runs. */
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

/** FLOPs that dropping units' backward with `rate` leaves out of a step, in the mean. */
export const savedByRate = ({ backward }: StepCosts, rate: number): number => rate * sum(backward);

/** LayerDrop's rate at which the mean step costs what it costs where backwards are dropped with `rate`. */
export const layerdropRate = (costs: StepCosts, rate: number): number => savedByRate(costs, rate) / (sum(costs.forward) + sum(costs.backward));

/** Stochastic depth's rate of the last unit, likewise: unit l of U is left out with l/U of it. */
export function stochasticDepthRate(costs: StepCosts, rate: number): number {
  const { units, forward, backward } = costs;
  return savedByRate(costs, rate) / sum(units.map((_, i) => ((i + 1) / units.length) * ((forward[i] ?? 0) + (backward[i] ?? 0))));
}

/** Share of the steps that cost, with nothing dropped, what all of them cost where backwards are dropped with `rate`. */
export const sameCostShare = (costs: StepCosts, rate: number): number => 1 - savedByRate(costs, rate) / costs.whole;

/** Which of 1 … `of` keeps a share closest to 1 − `rate`; of two as close, the one that drops less. */
export function keptOf(of: number, rate: number, kept: (n: number) => number = (n) => n / of): number {
  const off = (n: number): number => Math.round(1e6 * Math.abs(1 - kept(n) - rate));
  return Array.from({ length: of }, (_, i) => i + 1).reduce((best, n) => (off(n) < off(best) || (off(n) === off(best) && kept(n) > kept(best)) ? n : best));
}
