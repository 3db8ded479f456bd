/** @file Reads `ebb compile --device`, which names a profile, the same on every machine, or a device of this machine. */

import { existsSync } from 'node:fs';
import { ANY_DEVICE, BUILT_IN, PORTABLE } from '../compile/devices/builtIn.ts';
import { parseProfile } from '../compile/devices/file.ts';
import { EbbError } from '../errors.ts';
import { readText } from '../formats/files.ts';
import type { DeviceProfile } from '../runtime/deviceProfile.ts';

/** A device to compile for: a profile, or the name of a device of this machine that is opened. Undefined names the best one. */
export type DeviceChoice = { readonly profile: DeviceProfile } | { readonly open: string | undefined };

export interface CompileDeviceFlags {
  readonly device: string | undefined;
  readonly standalone: boolean;
}

/** The built-in profile of a name, in letters of either case, as names of devices are found. */
const builtIn = (name: string): DeviceProfile | undefined =>
  new Map<string, DeviceProfile>([...Object.entries(BUILT_IN), [ANY_DEVICE, PORTABLE]]).get(name.toLowerCase());

/**
 * Finds the device to compile for. The name of a built-in profile and a file that ends in `.json` are profiles, for which no adapter of this
 * machine is opened. Every other name that is not a path is that of a device of this machine. Standalone trainers are portable unless a
 * device is asked for.
 * @throws EbbError for a path that is not a profile
 */
export function compileDevice({ device, standalone }: CompileDeviceFlags): DeviceChoice {
  if (device === undefined) return standalone ? { profile: PORTABLE } : { open: undefined };
  const profile = builtIn(device);
  if (profile) return { profile };
  if (device.toLowerCase().endsWith('.json')) return { profile: parseProfile(readText(device), device) };
  if (existsSync(device)) throw new EbbError(`--device ${device}: is a path, and a profile's name ends in .json; ebb doctor --profile prints one`);
  return { open: device };
}
