/** @file The options that several commands take. */

import { InvalidArgumentError, Option } from 'commander';
import { FIELDS, type FieldNames } from '../data/fieldNames.ts';
import { EbbError } from '../errors.ts';
import { STORED_TYPE_NAMES, type StoredType, storedType } from '../formats/storedType.ts';
import { list } from '../terminal/options.ts';
import type { RunInput } from '../train/config.ts';

/** The option `--dtype`: how tensors are stored where only the configuration describes them. */
export const dtypeOption = (): Option =>
  new Option('--dtype <type>', 'type that missing weights are taken to have (f32, f16, bf16); default as config.json says, else f32').argParser(
    (text: string): StoredType => {
      const found = STORED_TYPE_NAMES.includes(text) ? storedType(text) : undefined;
      if (found === undefined) throw new InvalidArgumentError(`expected one of ${STORED_TYPE_NAMES.join(', ')}.`);
      return found;
    },
  );

/** The rank of an adapter where `--lora` is given without `--rank`. */
export const DEFAULT_RANK = 8;

/** What a command line says of the adapter to look at. */
interface AdapterWishes {
  readonly lora?: boolean | undefined;
  readonly rank?: number | undefined;
  /** A PEFT adapter. */
  readonly adapter?: string | undefined;
}

/**
 * Returns the adapter that `--adapter` names, or one on all linear layers where `--lora`, `--rank` or both ask for it; false where none is asked for.
 * @throws EbbError for a rank beside an adapter, which has its own
 */
export function wantedAdapter({ lora, rank, adapter }: AdapterWishes): NonNullable<RunInput['lora']> {
  if (adapter !== undefined) {
    if (rank !== undefined) throw new EbbError(`--rank: the adapter of --adapter (${adapter}) has its own ranks; leave --rank out`);
    return { from: adapter };
  }
  if (!lora && rank === undefined) return false;
  const given = rank ?? DEFAULT_RANK;
  return { layers: ['*'], rank: given, alpha: 2 * given };
}

/** Parses the names of a record's fields: `text=body`, or `prompt=q,completion=a`. @throws InvalidArgumentError for anything else */
export function fieldNames(text: string): FieldNames {
  const pairs = list(text).map((pair): [string, string] => {
    const [field = '', name = ''] = pair.split('=').map((s) => s.trim());
    if (!FIELDS.some((f) => f === field) || name === '') throw new InvalidArgumentError(`expected pairs such as prompt=question for ${FIELDS.join(', ')}.`);
    return [field, name];
  });
  const twice = pairs.find(([field], i) => pairs.findIndex(([other]) => other === field) !== i);
  if (twice) throw new InvalidArgumentError(`names ${twice[0]} twice.`);
  return Object.fromEntries(pairs);
}
