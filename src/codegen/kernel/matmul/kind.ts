/** @file What a kind of matmul schedule has to say of its schedules, so that limits, standards and candidates need not know which kind they have. */

import { type DeviceTraits, kindTraits } from '../device.ts';
import type { Kernel } from '../ir.ts';
import type { ScheduleKind } from '../schedule/kind.ts';
import type { MatmulLoad, MatmulPrecision } from './work.ts';

/** How the result is cut, whatever the kind. A workgroup has lanes[0] lanes along n and lanes[1] along m; each computes rows × cols elements of every result. */
export interface TileCut {
  /** A matmul by matrices has subgroups here. */
  readonly lanes: readonly [number, number];
  readonly rows: number;
  readonly cols: number;
  /** How many k a step takes, or a tile in workgroup memory. */
  readonly depth: number;
  /** Lanes that share k. */
  readonly kLanes: number;
  /** Workgroups that share k. */
  readonly kGroups: number;
  /** Whether operands are loaded four wide where their ports allow it. */
  readonly wide: boolean;
}

/** The size of the code that a driver makes when it unrolls the loops of a schedule. */
export interface UnrolledTile {
  /** Elements of each result that are stored one after the other. */
  readonly stores: number;
  /** Multiply-adds of one product. */
  readonly sums: number;
}

export interface MatmulKind<S> {
  readonly description: ScheduleKind;
  readonly cut: (schedule: S) => TileCut;
  readonly workgroup: (schedule: S) => readonly [number, number, number];
  readonly uses: (schedule: S) => Kernel['uses'];
  /** Bytes of workgroup memory. */
  readonly bytes: (schedule: S, load: MatmulLoad) => number;
  /** The next schedule that takes less workgroup memory; null where there is none. */
  readonly smaller: (schedule: S) => S | null;
  /** Whether a device can run it, given that it has the invocations and the workgroup memory. The schedule may come from a file. */
  readonly fits: (schedule: S, device: DeviceTraits, precision: MatmulPrecision) => boolean;
  /** Returns what drivers unroll, or null where that is little. */
  readonly unrolled: (schedule: S) => UnrolledTile | null;
  /** Whether workgroups may share k. */
  readonly sharesK: (schedule: S) => boolean;
}

/** Whether a lane can add up such a tile; columns a lane are a multiple of 4, as vec4 results need. */
export function tileFits({ rows, cols }: Pick<TileCut, 'rows' | 'cols'>, device: DeviceTraits): boolean {
  return rows * cols <= kindTraits(device).mostSums && cols % 4 === 0;
}

/** Elements of the result that a workgroup computes, along m and along n. */
export function tileOf({ lanes, rows, cols }: TileCut): { readonly m: number; readonly n: number } {
  return { m: lanes[1] * rows, n: lanes[0] * cols };
}

/** The least power of two that is not below `value`, but `limit` at most. */
export function powerAtLeast(value: number, limit: number): number {
  let power = 1;
  while (power < value && power < limit) power *= 2;
  return power;
}
