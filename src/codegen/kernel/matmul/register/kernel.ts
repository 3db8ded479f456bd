/** @file Matmul from registers: each lane loads what it needs, and several lanes may share k. */

import { at } from '../../../../errors.ts';
import type { KernelBuilder } from '../../builder.ts';
import { add, builtin, eq, mul, u32 } from '../../expr.ts';
import type { Expr } from '../../ir.ts';
import { type Accumulators, storeTile } from '../accumulators.ts';
import { walkLanes } from '../laneWalk.ts';
import { load } from '../operands.ts';
import type { MatmulSpec } from '../spec.ts';
import { type LanePlace, type LaneTile, laneTile, tileContext } from '../tile.ts';
import { REGISTER_KIND, type RegisterSchedule } from './schedule.ts';

/** The whole body of a register matmul. */
export function registerBody(b: KernelBuilder, spec: MatmulSpec, schedule: RegisterSchedule): void {
  const { fold, fma, kLanes, storeLoop } = schedule;
  const tile = laneTile(
    b,
    tileContext(b, spec, REGISTER_KIND.cut(schedule), () => placeOf(schedule)),
  );
  const results = walkLanes(b, tile, { loadA: (operand, index, step) => load(b, tile, operand, index, step), fold, fma, dots: true });
  if (kLanes > 1) reduceLanes(b, tile, results, storeLoop);
  else storeTile(b, tile, results, storeLoop);
}

function placeOf({ lanes, kLanes, kFirst }: RegisterSchedule): LanePlace {
  return {
    n: lanes[0] === 1 ? u32(0) : builtin(kFirst ? 'localY' : 'localX'),
    m: lanes[1] === 1 ? u32(0) : builtin(kFirst ? 'localZ' : 'localY'),
    k: kLanes === 1 ? u32(0) : builtin(kFirst ? 'localX' : 'localZ'),
  };
}

/** Adds the partial sums of the lanes along k; the first of them stores. */
function reduceLanes(b: KernelBuilder, tile: LaneTile, results: readonly Accumulators[], storeLoop: boolean): void {
  const { rows, cols, kLanes, lanes } = tile.cut;
  const { vector } = at(results, 0);
  const step = vector ? 4 : 1;
  const each = rows * (cols / step);
  const per = each * results.length;
  const partial = b.shared('partial', vector ? 'vec4f' : 'f32', per * kLanes * lanes[0] * lanes[1]);
  const own = b.let('own', mul(add(tile.lane.n, mul(tile.lane.m, u32(lanes[0]))), u32(kLanes * per)));
  const overAll = (body: (sums: Accumulators, r: number, c: number, slot: Expr) => void): void =>
    results.forEach((sums, i) => {
      for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c += step) body(sums, r, c, u32(i * each + (r * cols + c) / step));
    });
  overAll((sums, r, c, slot) => partial.setAt(add(add(own, mul(tile.lane.k, u32(per))), slot), sums.at(r, c)));
  b.barrier();
  b.if(eq(tile.lane.k, u32(0)), () => {
    b.for('other', u32(1), u32(kLanes), u32(1), (other) => {
      overAll((sums, r, c, slot) => sums.add(r, c, partial.at(add(add(own, mul(other, u32(per))), slot))));
    });
    storeTile(b, tile, results, storeLoop);
  });
}
