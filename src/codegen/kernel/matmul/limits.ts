/** @file Whether a device can run a schedule, and what becomes of one that takes too much. */

import { type DeviceTraits, kindTraits } from '../device.ts';
import { tileOf } from './kind.ts';
import { kindOf, type MatmulSchedule } from './schedule.ts';
import type { MatmulLoad, MatmulSizes, MatmulWork } from './work.ts';

export function invocationsOf(schedule: MatmulSchedule): number {
  return kindOf(schedule)
    .workgroup(schedule)
    .reduce((product, size) => product * size, 1);
}

/** Whether a device can run a schedule, which may come from a file. */
export function fitsMatmul(schedule: MatmulSchedule, device: DeviceTraits, { load, precision }: Pick<MatmulWork, 'load' | 'precision'>): boolean {
  const kind = kindOf(schedule);
  if (invocationsOf(schedule) > device.maxInvocations || kind.bytes(schedule, load) > device.maxWorkgroupStorage) return false;
  return kind.fits(schedule, device, precision);
}

/** The schedule, made smaller until workgroup memory holds it or its kind has nothing smaller. */
export function withinStorage(schedule: MatmulSchedule, load: MatmulLoad, device: Pick<DeviceTraits, 'maxWorkgroupStorage'>): MatmulSchedule {
  const kind = kindOf(schedule);
  const less = kind.bytes(schedule, load) <= device.maxWorkgroupStorage ? null : kind.smaller(schedule);
  return less === null ? schedule : withinStorage(less, load, device);
}

/** The schedule with fewer rows a lane where its products, or its stores, would unroll to too much code. */
export function lightened(schedule: MatmulSchedule, load: MatmulLoad, device: DeviceTraits, patient = load.everyStep ?? false): MatmulSchedule {
  const unrolled = kindOf(schedule).unrolled(schedule);
  const { ops, sums } = kindTraits(device).unrolled[patient ? 'patient' : 'usual'];
  const heavy = unrolled !== null && (unrolled.stores * load.perElement > ops || (load.products > 1 && unrolled.sums * load.products > sums));
  const { rows } = schedule;
  return heavy && rows > 4 && rows % 2 === 0 ? lightened({ ...schedule, rows: rows / 2 }, load, device, patient) : schedule;
}

/** Whether a tile is not much larger than the result, which would waste most of its lanes. */
export function suits(schedule: MatmulSchedule, { m, n }: MatmulSizes): boolean {
  const tile = tileOf(kindOf(schedule).cut(schedule));
  return (schedule.rows === 1 || tile.m < 2 * m) && (schedule.cols === 4 || tile.n < 2 * n);
}
