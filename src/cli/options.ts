/** @file Options of commands that take a PEFT adapter as well as a WebGPU one. */

import { Option } from 'commander';
import { DEVICE_NAMES } from '../node/device.ts';

export interface Adapters {
  /** PEFT adapter folder. */
  readonly adapter?: string;
  /** WebGPU adapter. */
  readonly device: string;
}

/** Commands that take a PEFT adapter take both kinds under one flag: a WebGPU adapter's name says which it is. */
export const adapterOption = (): Option =>
  new Option('--adapter <dir|name>', `PEFT adapter folder; or one of ${DEVICE_NAMES.join(', ')}: the WebGPU adapter (give the flag twice for both)`)
    .default({ device: 'auto' } satisfies Adapters, 'none, auto')
    .argParser((text: string, sofar: Adapters): Adapters => (DEVICE_NAMES.includes(text) ? { ...sofar, device: text } : { ...sofar, adapter: text }));
