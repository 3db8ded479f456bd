/** @file The matmul kernel: one entry point over the kinds of schedules that cut it. */

import { invariant } from '../../../errors.ts';
import { type KernelBuilder, kernelBuilder } from '../builder.ts';
import type { Kernel } from '../ir.ts';
import { matrixBody } from './matrix/kernel.ts';
import { matrixOf } from './matrix/schedule.ts';
import { registerBody } from './register/kernel.ts';
import type { MatmulSchedule } from './schedule.ts';
import { sharedBody } from './shared/kernel.ts';
import type { MatmulLoop, MatmulSpec } from './spec.ts';
import { laneTile, tileContext } from './tile.ts';

export type { MatmulSchedule } from './schedule.ts';
export type { MatmulPort, MatmulSpec } from './spec.ts';

function workgroupOf(schedule: MatmulSchedule): readonly [number, number, number] {
  const { kind, lanes, kLanes, kFirst } = schedule;
  if (kind === 'matrix') return [lanes[0] * lanes[1] * matrixOf(schedule).lanes, 1, 1];
  return kFirst ? [kLanes, lanes[0], lanes[1]] : [lanes[0], lanes[1], kLanes];
}

function usesOf(schedule: MatmulSchedule): Kernel['uses'] {
  if (schedule.kind === 'subgroup') return { subgroups: true, subgroupSize: schedule.lanes[0] };
  if (schedule.kind !== 'matrix') return {};
  const { input, lanes } = matrixOf(schedule);
  return { matrices: true, subgroupSize: lanes, ...(input === 'f16' ? { f16: true } : {}) };
}

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

/** Starts the kernel that `matmul` ends; the ports of its spec are made on it. */
export function matmulBuilder(name: string, schedule: MatmulSchedule): KernelBuilder {
  return kernelBuilder(name, workgroupOf(schedule), usesOf(schedule));
}

/**
 * Ends the kernel of one or several results [batch, m, n], each the sum of its products; accumulates in f32.
 * Grid: x over n, y over m, z over the batch (and the shares of k, the batch innermost). Sizes need not be multiples of anything.
 * @param b of `matmulBuilder` with the same schedule
 */
export function matmul(b: KernelBuilder, given: MatmulSpec, schedule: MatmulSchedule): Kernel {
  const { kind, lanes, rows, cols, kLanes, ahead, buffers, inTurn, storeLoop, fma, swapped } = schedule;
  invariant(kind === 'register' || kLanes === 1, `a ${kind} matmul has no k lanes`);
  invariant(kind !== 'subgroup' || lanes[1] === 1, 'a subgroup matmul has one row of lanes');
  invariant(kind === 'shared' || kind === 'matrix' || (!ahead && buffers === 1), `a ${kind} matmul has no tiles in workgroup memory`);
  invariant(kind === 'register' || kind === 'subgroup' || (!inTurn && !storeLoop && !fma), `a ${kind} matmul walks, adds and stores in one way`);
  invariant(!swapped || kind === 'subgroup', `a ${kind} matmul keeps its sides`);
  const whole = swapped ? otherSide(given) : given;
  const spec = inTurn ? { ...whole, loops: whole.loops.flatMap(byRight) } : whole;
  const tile = tileContext(b, spec, schedule);
  if (kind === 'matrix') matrixBody(b, tile);
  else if (kind === 'shared') sharedBody(b, laneTile(b, tile));
  else registerBody(b, laneTile(b, tile));
  return b.finish([
    { of: spec.n.of, per: lanes[0] * cols },
    { of: spec.m.of, per: lanes[1] * rows },
    { of: schedule.kGroups > 1 ? [...spec.batch.of, schedule.kGroups] : spec.batch.of, per: 1 },
  ]);
}
