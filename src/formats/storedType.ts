/** @file How tensors are taken to be stored that no header describes: as the configuration says, or as a person asks. */

import { EbbError, option } from '../errors.ts';
import { show } from './bytes.ts';
import type { Json, JsonObject } from './json.ts';

/** Types of tensors in safetensors files that Ebb reads. */
export type StoredType = 'f32' | 'f16' | 'bf16';

/** Names of the types: Ebb's own, and PyTorch's. */
const NAMES: Readonly<Record<string, StoredType>> = {
  f32: 'f32',
  f16: 'f16',
  bf16: 'bf16',
  float32: 'f32',
  float16: 'f16',
  bfloat16: 'bf16',
  float: 'f32',
  half: 'f16',
};

/** What `--dtype` takes. */
export const STORED_TYPE_NAMES: readonly string[] = ['f32', 'f16', 'bf16', 'float32', 'float16', 'bfloat16'];

/** The type a name stands for, undefined for a name of none; PyTorch's may come with `torch.` before them. */
export function storedType(name: string): StoredType | undefined {
  const bare = name.replace(/^torch\./, '');
  return Object.hasOwn(NAMES, bare) ? NAMES[bare] : undefined;
}

/** The field of a config.json that says in which type the weights are stored, and what it holds. */
interface DtypeField {
  readonly field: 'dtype' | 'torch_dtype';
  readonly value: Json;
}

/** The dtype of a config.json: the older name is read where the newer one is absent, as in transformers. */
function dtypeField({ dtype, torch_dtype: older }: JsonObject): DtypeField | null {
  if (dtype !== undefined && dtype !== null) return { field: 'dtype', value: dtype };
  return older === undefined || older === null ? null : { field: 'torch_dtype', value: older };
}

/** What is said of a torch_dtype beside another dtype, which is not used. */
export function unusedDtype(fields: JsonObject): string[] {
  const { dtype, torch_dtype: older } = fields;
  const unused = dtypeField(fields)?.field === 'dtype' && older !== undefined && older !== null && older !== dtype;
  return unused ? [`torch_dtype is ${show(older)}: not used, dtype is ${show(dtype)}`] : [];
}

/** What is said where transformers would round tensors to the dtype that the configuration names: their own values are used. */
export function roundedNotes(fields: JsonObject, tensors: readonly { readonly dtype: string }[]): string[] {
  const field = dtypeField(fields);
  const named = typeof field?.value === 'string' ? storedType(field.value) : undefined;
  // f32 holds the values of every type
  const rounded = !field || named === 'f32' ? [] : tensors.filter(({ dtype }) => dtype !== named);
  if (!field || rounded.length === 0) return [];
  const types = [...new Set(rounded.map(({ dtype }) => dtype))].join(' and ');
  const count = rounded.length === tensors.length ? 'the tensors' : `${rounded.length} of ${tensors.length} tensors`;
  return [`${field.field} is ${show(field.value)}: not used, ${count} are stored as ${types} and keep their values, which transformers would round`];
}

/** How tensors without a header are taken to be stored, and who says so. */
export interface AssumedType {
  readonly dtype: StoredType;
  readonly from: string;
}

/**
 * How tensors without a header are taken to be stored: as asked, else as the configuration says, else in f32, as transformers makes them.
 * @param where the config.json
 * @param fields what it holds
 * @throws EbbError for a type in the configuration that Ebb does not read
 */
export function assumedType(where: string, fields: JsonObject, asked: StoredType | undefined): AssumedType {
  const field = dtypeField(fields);
  if (asked !== undefined) return { dtype: asked, from: option('dtype') };
  if (!field) return { dtype: 'f32', from: 'float32 to transformers, as config.json names no dtype' };
  const dtype = typeof field.value === 'string' ? storedType(field.value) : undefined;
  if (dtype) return { dtype, from: `${field.field} in config.json` };
  throw new EbbError(
    `${where}: ${field.field} is ${show(field.value)}, expected float32, float16 or bfloat16; say with ${option('dtype')} how the weights will be stored`,
  );
}
