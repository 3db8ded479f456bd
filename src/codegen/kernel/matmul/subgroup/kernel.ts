/** @file Matmul from registers by one subgroup a workgroup: its lanes load A between them and pass it on by broadcast. */

import { at } from '../../../../errors.ts';
import type { KernelBuilder } from '../../builder.ts';
import { add, builtin, call, div, mul, rem, u32 } from '../../expr.ts';
import type { Expr } from '../../ir.ts';
import { dividesBy } from '../../size.ts';
import { storeTile } from '../accumulators.ts';
import { walkLanes } from '../laneWalk.ts';
import { type Indices, type Loaded, load, loaded } from '../operands.ts';
import type { MatmulSpec } from '../spec.ts';
import { clamped, type LaneTile, type LoadMode, laneTile, type TileOperand, tileContext } from '../tile.ts';
import { SUBGROUP_KIND, type SubgroupSchedule } from './schedule.ts';

/** The whole body of a subgroup matmul. */
export function subgroupBody(b: KernelBuilder, spec: MatmulSpec, schedule: SubgroupSchedule): void {
  const { lanes, fold, fma, storeLoop } = schedule;
  const place = { n: lanes === 1 ? u32(0) : builtin('localX'), m: u32(0), k: u32(0) };
  const tile = laneTile(
    b,
    tileContext(b, spec, SUBGROUP_KIND.cut(schedule), () => place),
  );
  const results = walkLanes(b, tile, {
    loadA: (operand, index, step) => (step.tail ? load(b, tile, operand, index, step) : broadcast(b, tile, operand, index, step.k)),
    fold,
    fma,
    dots: false,
  });
  storeTile(b, tile, results, storeLoop);
}

/** The lanes load A's rows × depth between them, four wide where they can, and each gets all of it. */
function broadcast(b: KernelBuilder, tile: LaneTile, operand: TileOperand, index: Indices, k: Expr): Loaded {
  const { rows, depth, lanes } = tile.cut;
  const vectors = (rows * depth) / 4;
  const even = rows % 4 === 0 && depth % 4 === 0 && (vectors % lanes[0] === 0 || lanes[0] % vectors === 0);
  return even && operand.mode !== 'scalar' ? broadcastVectors(b, tile, { ...operand, mode: operand.mode }, k) : broadcastElements(b, tile, operand, index, k);
}

const received = (b: KernelBuilder, name: string, own: Expr, from: number): Expr => b.let(name, call('subgroupBroadcast', own, u32(from)));

/** Lane kk loads element kk of every row. */
function broadcastElements(b: KernelBuilder, { cut, batch }: LaneTile, { port }: TileOperand, index: Indices, k: Expr): Loaded {
  const { rows, depth } = cut;
  const lane = builtin('subgroupInvocation');
  const own = Array.from({ length: rows }, (_, r) => b.let(`a${r}`, port.load({ batch, mn: index(r), k: add(k, rem(lane, u32(depth))) }, 1)));
  const values = own.map((value, r) => Array.from({ length: depth }, (_, kk) => received(b, `a${r}_${kk}`, value, kk)));
  return loaded('scalar', values);
}

/**
 * A load that differs by lane is what costs, so it is four wide. Vector v of the tile, in the order of its elements in memory, comes by load
 * v / lanes to lane v % lanes. In mode k the vectors of a row lie side by side, in mode mn those of a column of four rows.
 */
function broadcastVectors(b: KernelBuilder, tile: LaneTile, { port, mode }: TileOperand & { readonly mode: Exclude<LoadMode, 'scalar'> }, k: Expr): Loaded {
  const { cut, spec, size, batch, tileM } = tile;
  const { rows, depth, lanes } = cut;
  const [width] = lanes;
  const vectors = (rows * depth) / 4;
  const [lines, across, inLine] = mode === 'k' ? ([rows, depth / 4, 1] as const) : ([rows / 4, depth, 4] as const);
  const lane = builtin('subgroupInvocation');
  const own = Array.from({ length: Math.ceil(vectors / width) }, (_, i) => {
    const v = b.let('v', rem(add(lane, u32(i * width)), u32(vectors)));
    const row = clamped(add(tileM, mul(div(v, u32(across)), u32(inLine))), dividesBy(spec.m, rows), size.m, mode === 'k' ? 1 : 4);
    return b.let('a', port.load({ batch, mn: row, k: add(k, mul(rem(v, u32(across)), u32(mode === 'k' ? 4 : 1))) }, 4));
  });
  const values = Array.from({ length: lines }, (_, line) =>
    Array.from({ length: across }, (_line, i) => {
      const v = line * across + i;
      return received(b, `a${line * inLine}_${i}`, at(own, Math.floor(v / width)), v % width);
    }),
  );
  return loaded(mode, values);
}
