/** @file A device for a command: opened by name, described as the compiler wants it. */

import { openDevice, type OpenedDevice } from '../node/adapter.ts';
import type { SessionDevice } from '../session.ts';

export interface CommandDevice extends SessionDevice {
  readonly opened: OpenedDevice;
}

/** Opens the adapter called `name` (`auto`: the best there is). */
export async function commandDevice(name: string): Promise<CommandDevice> {
  const opened = await openDevice({ adapter: name });
  const { device } = opened;
  return {
    opened,
    device,
    traits: {
      kind: opened.kind,
      subgroups: opened.features.includes('subgroups'),
      subgroupSize: opened.subgroupSize,
      maxInvocations: device.limits.maxComputeInvocationsPerWorkgroup,
      maxWorkgroupStorage: device.limits.maxComputeWorkgroupStorageSize,
    },
  };
}
