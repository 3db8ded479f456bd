/** @file What `ebb compile --device` names: a profile, which is the same on every machine, or a device of this machine. */

import { existsSync } from 'node:fs';
import { BUILT_IN, PORTABLE } from '../compile/devices/builtIn.ts';
import { parseProfile } from '../compile/devices/file.ts';
import { EbbError } from '../errors.ts';
import { readText } from '../formats/files.ts';
import type { DeviceProfile } from '../runtime/deviceProfile.ts';

/** A device to compile for: described, or to be opened by its name (undefined: the best of this machine). */
export type CompileDevice = { readonly profile: DeviceProfile } | { readonly open: string | undefined };

export interface CompileDeviceFlags {
  readonly device: string | undefined;
  /** Whether the name may be a profile's: that of the old flag is always a device of this machine. */
  readonly mayBeProfile: boolean;
  readonly target: 'device' | 'portable' | undefined;
  readonly standalone: boolean;
}

/** The built-in profile of a name, in letters of either case, as names of devices are found. */
const builtIn = (name: string): DeviceProfile | undefined => new Map<string, DeviceProfile>(Object.entries(BUILT_IN)).get(name.toLowerCase());

/**
 * What to compile for. The name of a built-in profile and a file that ends in `.json` are profiles: no adapter is opened, whatever this machine
 * has. Every other name that is no path is that of a device of this machine. Standalone trainers are portable unless a device is asked for.
 * @throws EbbError for a device beside `--target portable`, and for a path that is no profile
 */
export function compileDevice({ device, mayBeProfile, target, standalone }: CompileDeviceFlags): CompileDevice {
  if (target === 'portable' && device !== undefined)
    throw new EbbError(`--device ${device}: --target portable compiles for any device; leave one of the two out`);
  if ((target ?? (standalone && device === undefined ? 'portable' : 'device')) === 'portable') return { profile: PORTABLE };
  if (device === undefined || !mayBeProfile) return { open: device };
  const profile = builtIn(device);
  if (profile) return { profile };
  if (device.toLowerCase().endsWith('.json')) return { profile: parseProfile(readText(device), device) };
  if (existsSync(device)) throw new EbbError(`--device ${device}: is a path, and a profile's name ends in .json; ebb doctor --profile prints one`);
  return { open: device };
}
