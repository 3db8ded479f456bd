/** @file What of a device a schedule takes, and whether it fits. */

import { type DeviceTraits, kindTraits } from '../device.ts';
import { fitsMatrix, matrixBytes } from './matrices.ts';
import type { MatmulPrecision, MatmulSchedule } from './schedule.ts';

/** What a matmul does besides one product, and ops at each element of its results. */
export interface MatmulLoad {
  /** Products in all: of several results, or of one sum. */
  readonly products: number;
  /** Operands of each side in one walk along k. */
  readonly operands: { readonly a: number; readonly b: number };
  readonly perElement: number;
  /** Whether every training step runs it, whatever is dropped: what it takes longer to compile is soon earned back. Default false. */
  readonly everyStep?: boolean;
}

/** Bytes of workgroup memory that a schedule takes. */
export function workgroupBytes(schedule: MatmulSchedule, load: MatmulLoad): number {
  const { kind, lanes, rows, cols, depth, kLanes, buffers } = schedule;
  const { operands, products } = load;
  if (kind === 'matrix') return matrixBytes(schedule, load);
  if (kind === 'shared') return 16 * buffers * depth * (operands.a * ((lanes[1] * rows) / 4 + 1) + operands.b * ((lanes[0] * cols) / 4 + 1));
  return kLanes > 1 ? 4 * rows * cols * lanes[0] * lanes[1] * kLanes * products : 0;
}

/** The schedule with as many buffers, tiles as deep, or lanes along k as many, as workgroup memory holds. */
export function withinStorage(schedule: MatmulSchedule, load: MatmulLoad, { maxWorkgroupStorage }: DeviceTraits): MatmulSchedule {
  let { depth, kLanes, buffers } = schedule;
  const fits = (): boolean => workgroupBytes({ ...schedule, depth, kLanes, buffers }, load) <= maxWorkgroupStorage;
  if (fits()) return schedule;
  const least = schedule.matrix?.k ?? 4;
  if (schedule.kind === 'shared' || schedule.kind === 'matrix') {
    // a second buffer saves a barrier a tile, half the depth costs one
    buffers = 1;
    while (depth % (2 * least) === 0 && !fits()) depth /= 2;
  }
  while (schedule.kind === 'register' && kLanes > 1 && !fits()) kLanes /= 2;
  return { ...schedule, depth, kLanes, buffers, kFirst: schedule.kFirst && kLanes > 1 };
}

/** Whether a device can run a schedule for such a load: its limits on lanes, workgroup memory and subgroups. Also for schedules read from a file. */
export function fitsMatmul(schedule: MatmulSchedule, device: DeviceTraits, load: MatmulLoad, precision: MatmulPrecision = 'f32'): boolean {
  const { kind, lanes, rows, cols, depth, kLanes, kFirst, fold, kGroups, ahead, buffers, inTurn, storeLoop, fma, swapped } = schedule;
  if ((inTurn || storeLoop || fma) && kind !== 'register' && kind !== 'subgroup') return false;
  if (kind === 'matrix')
    return (
      fitsMatrix(schedule, device.matrices, precision, device.maxInvocations) && kGroups >= 1 && workgroupBytes(schedule, load) <= device.maxWorkgroupStorage
    );
  const invocations = lanes[0] * lanes[1] * kLanes;
  if (invocations > device.maxInvocations || rows * cols > kindTraits(device).mostSums || cols % 4 !== 0 || fold < 1 || kGroups < 1) return false;
  if (kGroups > 1 && kFirst) return false;
  // results four wide go down the rows then
  if (swapped && (kind !== 'subgroup' || rows % 4 !== 0)) return false;
  if (kind !== 'shared' && (ahead || buffers > 1)) return false;
  if (kind === 'subgroup')
    return device.subgroups && lanes[0] === device.subgroupSize && lanes[1] === 1 && kLanes === 1 && depth % 4 === 0 && depth <= lanes[0];
  return workgroupBytes(schedule, load) <= device.maxWorkgroupStorage && (kind !== 'shared' || (kLanes === 1 && rows % 4 === 0 && depth % 4 === 0));
}
