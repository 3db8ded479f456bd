/** @file Parsers of options that several commands take. */

import { InvalidArgumentError, Option } from 'commander';
import type { FieldNames } from '../formats/dataset.ts';
import { STORED_TYPE_NAMES, type StoredType, storedType } from '../formats/storedType.ts';
import { list } from '../terminal/options.ts';

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
