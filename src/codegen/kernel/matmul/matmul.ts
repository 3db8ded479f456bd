/** @file The matmul kernel: one entry point over the kinds of schedules that cut it. */

import { type KernelBuilder, kernelBuilder } from '../builder.ts';
import type { Kernel } from '../ir.ts';
import { tileOf } from './kind.ts';
import { matrixBody } from './matrix/kernel.ts';
import { registerBody } from './register/kernel.ts';
import { kindOf, type MatmulSchedule, type MatmulSchedules } from './schedule.ts';
import { sharedBody } from './shared/kernel.ts';
import type { MatmulLoop, MatmulSpec } from './spec.ts';
import { subgroupBody } from './subgroup/kernel.ts';

type Body<S> = (b: KernelBuilder, spec: MatmulSpec, schedule: S) => void;

const BODIES: { readonly [K in keyof MatmulSchedules]: Body<MatmulSchedules[K]> } = {
  register: registerBody,
  subgroup: subgroupBody,
  shared: sharedBody,
  matrix: matrixBody,
};

const bodyOf = <K extends keyof MatmulSchedules>({ kind }: { readonly kind: K }): Body<MatmulSchedules[K]> => BODIES[kind];

/** The transposed results, of B's transpose and A's: C = (BᵀAᵀ)ᵀ. */
function otherSide(spec: MatmulSpec): MatmulSpec {
  return {
    ...spec,
    m: spec.n,
    n: spec.m,
    loops: spec.loops.map(({ k, products }) => ({ k, products: products.map(({ a, b, into }) => ({ a: b, b: a, into })) })),
    store: {
      vectorAxis: spec.store.vectorAxis && (spec.store.vectorAxis === 'n' ? 'm' : 'n'),
      store: ({ batch, m, n }, values, width) => spec.store.store({ batch, m: n, n: m }, values, width),
    },
  };
}

/** A walk for each B of a loop. */
function byRight({ k, products }: MatmulLoop): MatmulLoop[] {
  return [...new Set(products.map((p) => p.b))].map((b) => ({ k, products: products.filter((p) => p.b === b) }));
}

/** The spec as a schedule walks it: its sides swapped, or its products one after the other. */
function walked(spec: MatmulSpec, schedule: MatmulSchedule): MatmulSpec {
  const whole = 'swapped' in schedule && schedule.swapped ? otherSide(spec) : spec;
  return 'inTurn' in schedule && schedule.inTurn ? { ...whole, loops: whole.loops.flatMap(byRight) } : whole;
}

/** Starts the kernel that `matmul` ends; the ports of its spec are made on it. */
export function matmulBuilder(name: string, schedule: MatmulSchedule): KernelBuilder {
  const kind = kindOf(schedule);
  return kernelBuilder(name, kind.workgroup(schedule), kind.uses(schedule));
}

/**
 * Ends the kernel of one or several results [batch, m, n], each the sum of its products; accumulates in f32.
 * Grid: x over n, y over m, z over the batch (and the shares of k, the batch innermost). Sizes need not be multiples of anything.
 * @param b of `matmulBuilder` with the same schedule
 */
export function matmul(b: KernelBuilder, given: MatmulSpec, schedule: MatmulSchedule): Kernel {
  const spec = walked(given, schedule);
  bodyOf(schedule)(b, spec, schedule);
  const tile = tileOf(kindOf(schedule).cut(schedule));
  return b.finish([
    { of: spec.n.of, per: tile.n },
    { of: spec.m.of, per: tile.m },
    { of: schedule.kGroups > 1 ? [...spec.batch.of, schedule.kGroups] : spec.batch.of, per: 1 },
  ]);
}
