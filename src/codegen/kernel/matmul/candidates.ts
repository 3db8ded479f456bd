/** @file Matmul schedules worth measuring on a device. All keep within its limits, and the likeliest come first, since time may run out. */

import type { DeviceTraits } from '../device.ts';
import { kindText } from '../schedule/text.ts';
import { fitsMatmul, lightened, suits, withinStorage } from './limits.ts';
import { matrixCandidates } from './matrix/schedule.ts';
import { cachedCandidates, uniformCandidates } from './register/schedule.ts';
import { kindOf, type MatmulSchedule } from './schedule.ts';
import { sharedCandidates } from './shared/schedule.ts';
import { sharesToMeasure } from './shares.ts';
import { subgroupCandidates } from './subgroup/schedule.ts';
import type { MatmulWork } from './work.ts';

export function matmulCandidates(device: DeviceTraits, work: MatmulWork): readonly MatmulSchedule[] {
  const all: readonly MatmulSchedule[] = [
    ...matrixCandidates(device, work.precision),
    ...subgroupCandidates(device),
    ...uniformCandidates(device),
    ...sharedCandidates(device),
    ...cachedCandidates(device),
  ];
  const fitting = all
    .map((schedule) => withinStorage(lightened(schedule, work.load, device, true), work.load, device))
    .filter((schedule) => fitsMatmul(schedule, device, work) && suits(schedule, work.sizes));
  // Every schedule comes with its likeliest shares of k before any comes with others.
  const byShares = fitting.map((schedule) => sharesToMeasure(schedule, device, work).map((kGroups): MatmulSchedule => ({ ...schedule, kGroups })));
  const most = Math.max(0, ...byShares.map(({ length }) => length));
  const inOrder = Array.from({ length: most }, (_, i) => byShares.flatMap((shares) => shares.slice(i, i + 1))).flat();
  return [...new Map(inOrder.map((schedule) => [kindText(kindOf(schedule).description, schedule), schedule])).values()];
}
