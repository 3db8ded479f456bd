/** @file Options of commands that take a PEFT adapter as well as a WebGPU one. */

import { InvalidArgumentError, Option } from 'commander';
import { EbbError } from '../errors.ts';
import type { FieldNames } from '../formats/dataset.ts';
import { STORED_TYPE_NAMES, type StoredType, storedType } from '../formats/storedType.ts';
import { DEVICE_NAMES } from '../node/device.ts';
import { list, RepeatableOption } from '../terminal/options.ts';

export interface Adapters {
  /** PEFT adapter folder; none by default. */
  readonly adapter?: string;
  /** WebGPU adapter; `auto` by default. */
  readonly device?: string;
}

/** Commands that take a PEFT adapter take both kinds under one flag, each once: a WebGPU adapter's name says which it is. */
export const adapterOption = (): Option =>
  new RepeatableOption('--adapter <dir|name>', `PEFT adapter folder; or one of ${DEVICE_NAMES.join(', ')}: the WebGPU adapter (give the flag twice for both)`)
    .default({} satisfies Adapters, 'none, auto')
    .argParser((text: string, sofar: Adapters): Adapters => {
      const [kind, what] = DEVICE_NAMES.includes(text) ? (['device', 'a WebGPU adapter'] as const) : (['adapter', 'a PEFT adapter folder'] as const);
      if (sofar[kind] !== undefined) throw new EbbError(`--adapter is given twice for ${what}, as ${sofar[kind]} and as ${text}; give each kind once`);
      return { ...sofar, [kind]: text };
    });

/** How tensors are stored where nothing but the configuration describes them. */
export const dtypeOption = (): Option =>
  new Option('--dtype <type>', 'how weights that are not there are stored (f32, f16, bf16); default as config.json says, else f32').argParser(
    (text: string): StoredType => {
      const found = STORED_TYPE_NAMES.includes(text) ? storedType(text) : undefined;
      if (found === undefined) throw new InvalidArgumentError(`expected one of ${STORED_TYPE_NAMES.join(', ')}.`);
      return found;
    },
  );

const FIELDS = ['text', 'prompt', 'completion'] as const;

/** Names of a record's fields: `text=body`, or `prompt=q,completion=a`. */
export function fieldNames(text: string): FieldNames {
  const pairs = list(text).map((pair): [string, string] => {
    const [field = '', name = ''] = pair.split('=').map((s) => s.trim());
    if (!FIELDS.some((f) => f === field) || name === '') throw new InvalidArgumentError(`expected pairs such as prompt=question for ${FIELDS.join(', ')}.`);
    return [field, name];
  });
  return Object.fromEntries(pairs);
}
