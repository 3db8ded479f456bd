/** @file The flags that name a device of this machine and a PEFT adapter. In version 0.1.0 `--adapter` named both. */

import { existsSync } from 'node:fs';
import { Option } from 'commander';
import { EbbError } from '../errors.ts';
import { say } from './options.ts';

/** The option `--device` of commands that open a device. */
export const deviceOption = (): Option =>
  new Option('--device <name>', 'device of this machine: auto, gpu, lavapipe, swiftshader, or part of its name (default: EBB_DEVICE, else auto)');

export interface DeviceFlags {
  readonly device?: string | undefined;
  /** The name of `--device` in version 0.1.0. */
  readonly adapter?: string | undefined;
}

/** The option `--adapter` of commands that take no PEFT adapter. */
export const oldDeviceOption = (): Option => new Option('--adapter <name>', 'what --device was called').hideHelp();

const renamed = (name: string): void => say(`--adapter ${name} is called --device ${name} now; the old flag is still taken`);

/** Returns the device that the flags name; undefined where they name none. @throws EbbError where they name two devices, or a PEFT adapter */
export function deviceOf({ device, adapter }: DeviceFlags): string | undefined {
  if (adapter === undefined) return device;
  if (device !== undefined) throw new EbbError(`--adapter ${adapter}: is what --device was called, and --device ${device} is given too; give --device alone`);
  if (existsSync(adapter))
    throw new EbbError(
      `--adapter ${adapter}: is a path, and this command takes no PEFT adapter by a flag; lora.from in a run file goes on with one, and --device names a device`,
    );
  renamed(adapter);
  return adapter;
}

/** The values that `--adapter` takes for a device, in commands in which it can also be a PEFT adapter. */
const DEVICE_NAMES: readonly string[] = ['auto', 'gpu', 'lavapipe', 'swiftshader'];

export interface AdapterFlags {
  readonly device?: string;
  /** The values of all `--adapter` that were given. */
  readonly adapter?: readonly string[];
}

/** The option `--adapter` of commands that take a PEFT adapter. */
export const adapterOption = (description = 'PEFT adapter: its folder, or that of a run'): Option =>
  new Option('--adapter <dir>', description).argParser((text: string, given: readonly string[] = []) => [...given, text]);

/** Returns the device and the PEFT adapter that the flags name, each undefined where they name none. @throws EbbError where they name two of a kind */
export function adapterOf({ device, adapter = [] }: AdapterFlags): { readonly device: string | undefined; readonly adapter: string | undefined } {
  const isDevice = (name: string): boolean => DEVICE_NAMES.includes(name) && !existsSync(name);
  const [folder, second] = adapter.filter((name) => !isDevice(name));
  if (second !== undefined) throw new EbbError(`--adapter: expected one PEFT adapter, found ${folder} and ${second}`);
  const [old, other] = adapter.filter(isDevice);
  if (old === undefined) return { device, adapter: folder };
  const twice = device ?? other;
  if (twice !== undefined) throw new EbbError(`--adapter ${old}: is what --device was called, and the device ${twice} is named too; give --device alone`);
  renamed(old);
  return { device: old, adapter: folder };
}
