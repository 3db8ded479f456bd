/** @file What parameters hold before training: a checkpoint's tensors, an adapter's, or drawn starts; without Node. */

import { EbbError } from '../errors.ts';
import type { WeightSource } from '../formats/checkpoint.ts';
import { dequantise } from '../formats/ggmlBlocks.ts';
import type { TensorInfo } from '../formats/safetensorsHeader.ts';
import type { ParamInfo } from '../runtime/program.ts';
import { initialValues } from '../train/init.ts';
import { isAdapterParam, type TrainableModel } from '../train/model.ts';

/** Where parameters take their starting values from. */
export interface Weights {
  /** Where they come from; null: every parameter is drawn anew. */
  readonly path: string | null;
  readonly tensors: ReadonlyMap<string, WeightSource>;
  /** Whether every tensor is meant for a parameter of its name; a checkpoint may hold more than a model reads. */
  readonly exact?: boolean;
  /** Adapter weights by parameter name; those missing start anew. */
  readonly adapter: ReadonlyMap<string, Float32Array> | null;
}

const STORED: Readonly<Record<string, WeightSource['dtype']>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

/** Tensors of a safetensors file that have the parameters' names. @throws EbbError for a dtype that holds no weights */
export function namedWeights(path: string, tensors: ReadonlyMap<string, TensorInfo>, read: (name: string) => Uint8Array): Weights {
  const sources = [...tensors].map(([name, { shape, dtype, byteLength }]): [string, WeightSource] => {
    const stored = STORED[dtype];
    if (!stored) throw new EbbError(`${path}: tensor ${name} has dtype ${dtype}, expected F32, F16 or BF16`);
    return [name, { name, shape, dtype: stored, byteLength, read: () => read(name) }];
  });
  return { path, tensors: new Map(sources), exact: true, adapter: null };
}

/**
 * An adapter learns what to add to weights, so there must be some.
 * @param give what the person can do, e.g. `give --weights …`
 * @throws EbbError where an adapter is to be trained on weights that nobody gave
 */
export function requireWeights(name: string, { path }: Pick<Weights, 'path'>, give: string): void {
  if (path === null) throw new EbbError(`${name}: a low-rank adapter is trained on a model's own weights, and there are none; ${give}`);
}

/** @throws EbbError for a tensor that no parameter is called like, where each is meant for one */
export function checkNames({ path, tensors, exact = false }: Weights, params: readonly { readonly name: string }[]): void {
  const names = new Set(params.map((p) => p.name));
  const other = exact ? [...tensors.keys()].find((name) => !names.has(name)) : undefined;
  if (other !== undefined)
    throw new EbbError(
      `${path}: tensor ${other} is no parameter of the model, which has ${[...names].slice(0, 5).join(', ')}${names.size > 5 ? `, … (${names.size})` : ''}; leave it out`,
    );
}

/**
 * The bytes a parameter starts with: its table, the adapter's weight, the checkpoint's tensor, or a drawn start.
 * @throws EbbError for a tensor that is missing or does not fit
 */
export function startingValue(p: ParamInfo, weights: Weights, table: TrainableModel['table'], seed: number): ArrayBufferView {
  if (p.table) return table(p.name);
  const count = p.shape.reduce((a, b) => a * b, 1);
  const own = weights.adapter?.get(p.name);
  if (own) return own;
  const source = weights.tensors.get(p.name);
  if (!source) {
    if (weights.path === null || isAdapterParam(p.name)) return initialValues(p.init, count, p.name, seed);
    throw new EbbError(`${weights.path}: has no tensor ${p.name} [${p.shape.join(', ')}], which the model asks for`);
  }
  if (source.shape.join() !== p.shape.join())
    throw new EbbError(`${weights.path}: tensor ${p.name} has shape [${source.shape.join(', ')}], the model asks for [${p.shape.join(', ')}]`);
  if (p.dtype === 'f32') return dequantise(source.dtype, source.read());
  if (source.dtype !== p.dtype)
    throw new EbbError(
      `${weights.path}: tensor ${p.name} is stored as ${source.dtype}, the model was compiled for ${p.dtype}; compile it from this checkpoint`,
    );
  return source.read();
}
