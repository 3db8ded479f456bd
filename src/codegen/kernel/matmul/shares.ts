/** @file How many workgroups share the k axis of each tile, where tiles alone leave cores of a GPU idle. */

import { type DeviceTraits, kindTraits } from '../device.ts';
import { tileOf } from './kind.ts';
import { invocationsOf } from './limits.ts';
import { kindOf, type MatmulSchedule } from './schedule.ts';
import type { MatmulWork } from './work.ts';

/** A second kernel is worth no more shares than these, none that is shorter (in k a lane), and no more partial sums in scratch (8 MiB). */
const MOST = 16;
const SHORTEST = 64;
const MOST_PARTIALS = 2 ** 21;

/**
 * How many workgroups share k, a power of two. It is 1 on a CPU, whose few cores have tiles enough: 8 × 64 × 4096 in two shares takes lavapipe
 * 0.38 ms rather than 0.32, and SwiftShader 2.9 ms either way.
 * @param times factor of the lanes in flight beyond which k is not shared
 */
export function sharesOfK(schedule: MatmulSchedule, device: DeviceTraits, { sizes, load }: MatmulWork, times = 1): number {
  const traits = kindTraits(device);
  const kind = kindOf(schedule);
  if (traits.lanesInTurn || !kind.sharesK(schedule)) return 1;
  const { m, n, k, batch = 1 } = sizes;
  const cut = kind.cut(schedule);
  const tile = tileOf(cut);
  const inFlight = batch * Math.ceil(m / tile.m) * Math.ceil(n / tile.n) * invocationsOf(schedule);
  const limit = Math.min(MOST, (times * traits.busy.lanes) / inFlight, k / (cut.kLanes * SHORTEST), MOST_PARTIALS / (batch * m * n * load.products));
  let shares = 1;
  while (shares * 2 <= limit) shares *= 2;
  return shares;
}

/** The numbers of shares worth measuring: as many as make a GPU busy, half and twice as many, and one. */
export function sharesToMeasure(schedule: MatmulSchedule, device: DeviceTraits, work: MatmulWork): readonly number[] {
  const chosen = sharesOfK(schedule, device, work);
  return [...new Set([chosen, Math.max(1, chosen / 2), sharesOfK(schedule, device, work, 2), 1])];
}
