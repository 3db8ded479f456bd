/** @file Which matmul schedule a device starts with, before anything was tuned. */

import { invariant } from '../../../errors.ts';
import type { DeviceTraits } from '../device.ts';
import { fitsMatmul, lightened, suits, withinStorage } from './limits.ts';
import { startingMatrices } from './matrix/schedule.ts';
import { standardRegister } from './register/schedule.ts';
import type { MatmulSchedule } from './schedule.ts';
import { standardShared } from './shared/schedule.ts';
import { sharesOfK } from './shares.ts';
import { standardSubgroup } from './subgroup/schedule.ts';
import type { MatmulWork } from './work.ts';

function standardMatrix(device: DeviceTraits, work: MatmulWork): MatmulSchedule | null {
  const cuts = startingMatrices(device, work.precision).map((schedule) => withinStorage(schedule, work.load, device));
  return cuts.find((schedule) => fitsMatmul(schedule, device, work) && suits(schedule, work.sizes)) ?? null;
}

/** The kinds in the order in which they are asked. Each has a schedule, or leaves the matmul to those behind it. */
const KINDS: readonly ((device: DeviceTraits, work: MatmulWork) => MatmulSchedule | null)[] = [
  standardMatrix,
  standardSubgroup,
  standardRegister,
  standardShared,
];

/** What a device starts with. It keeps within the device's limits and within the code that drivers take, and shares k where tiles are few. */
export function standardMatmul(device: DeviceTraits, work: MatmulWork): MatmulSchedule {
  const first = KINDS.reduce<MatmulSchedule | null>((chosen, kind) => chosen ?? kind(device, work), null);
  invariant(first !== null, `some kind of matmul starts on ${device.kind}`);
  const schedule = withinStorage(lightened(first, work.load, device), work.load, device);
  return { ...schedule, kGroups: sharesOfK(schedule, device, work) };
}
