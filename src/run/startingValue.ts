/** @file What parameters hold before training: a checkpoint's tensors, an adapter's, or drawn starts, in pieces; without Node. */

import { at, EbbError, option } from '../errors.ts';
import { refuseNonFinite } from '../formats/finite.ts';
import { BLOCKS, dequantise } from '../formats/ggmlBlocks.ts';
import { piecesOf } from '../formats/pieces.ts';
import type { TensorInfo } from '../formats/safetensorsHeader.ts';
import type { WeightHeader } from '../formats/weights.ts';
import type { ParamInfo } from '../runtime/program.ts';
import { initialValues } from '../train/init.ts';
import { isAdapterParam, type TrainableModel } from '../train/model.ts';

/** A tensor that is read in pieces: at once from a disk, after a while from a file in a page. */
export interface StoredTensor extends WeightHeader {
  /** The file it lies in, where that is not the one path of all weights. */
  readonly file?: string;
  /** Pieces start and end at whole multiples of so many bytes. */
  readonly unit: number;
  /** Bytes [offset, offset + length) of the tensor as it is stored. @throws EbbError where they cannot be read */
  readonly read: (offset: number, length: number) => Uint8Array | Promise<Uint8Array>;
}

/** Where parameters take their starting values from. */
export interface Weights {
  /** Where they come from; null: every parameter is drawn anew. */
  readonly path: string | null;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Whether every tensor is meant for a parameter of its name; a checkpoint may hold more than a model reads. */
  readonly exact?: boolean;
  /** For each parameter of an adapter, by name, a function that reads its weights as f32. Parameters that are not in it are drawn anew. */
  readonly adapter: ReadonlyMap<string, () => Float32Array> | null;
}

const STORED: Readonly<Record<string, StoredTensor['dtype']>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

/**
 * Tensors of a safetensors file that have the parameters' names.
 * @param read gives bytes [offset, offset + length) of a tensor, counted from where the tensor begins
 * @throws EbbError for a dtype that holds no weights
 */
export function namedWeights(
  path: string,
  tensors: ReadonlyMap<string, TensorInfo>,
  read: (tensor: TensorInfo, offset: number, length: number) => Uint8Array | Promise<Uint8Array>,
): Weights {
  const sources = [...tensors].map(([name, info]): [string, StoredTensor] => {
    const { shape, byteLength } = info;
    const dtype = STORED[info.dtype];
    if (!dtype) throw new EbbError(`${path}: tensor ${name} has dtype ${info.dtype}, expected F32, F16 or BF16; convert it to F32 (tensor.float() in PyTorch)`);
    const unit = BLOCKS[dtype].bytesPerBlock;
    return [name, { name, shape, dtype, byteLength, unit, read: (offset, length) => read(info, offset, length) }];
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

/** How many letters have to be put in, taken out or changed to make one word of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) next.push(Math.min(at(row, j + 1) + 1, at(next, j) + 1, at(row, j) + (a[i] === b[j] ? 0 : 1)));
    row = next;
  }
  return at(row, b.length);
}

/** The most like of some names. */
const nearest = (name: string, others: readonly string[]): string | undefined =>
  others.map((other) => [distance(name, other), other] as const).sort(([a], [b]) => a - b)[0]?.[1];

/** @throws EbbError for a tensor that no parameter is called like, where each is meant for one; with the parameter it seems to be meant for, where one has none */
export function checkNames({ path, tensors, exact = false }: Weights, params: readonly Pick<ParamInfo, 'name' | 'shape' | 'table'>[]): void {
  const names = new Set(params.map((p) => p.name));
  const others = exact ? [...tensors.keys()].filter((name) => !names.has(name)) : [];
  const [other] = others;
  if (other === undefined) return;
  const [missing, ...more] = params.filter((p) => !p.table && !isAdapterParam(p.name) && !tensors.has(p.name));
  if (missing)
    throw new EbbError(
      `${path}: has no tensor ${missing.name} [${missing.shape.join(', ')}], which the model asks for${more.length > 0 ? ` (nor ${more.length} more)` : ''}; the most like of those that are no parameter is ${nearest(missing.name, others)}: rename it`,
    );
  throw new EbbError(
    `${path}: tensor ${other} is no parameter of the model, which has ${[...names].slice(0, 5).join(', ')}${names.size > 5 ? `, … (${names.size})` : ''}; leave it out`,
  );
}

/** The most like of the tensors that there are, for one that is missing. */
function likeText(name: string, { tensors }: Weights): string {
  const like = nearest(name, [...tensors.keys()]);
  return like === undefined ? '; it holds none' : `; the most like of its ${tensors.size} tensors is ${like}`;
}

/** Where one parameter's start comes from: values as a whole, numbers drawn from a seed, or a tensor that is stored somewhere. */
export type Start =
  | { readonly kind: 'values'; readonly values: () => Float32Array }
  | { readonly kind: 'drawn' }
  | { readonly kind: 'stored'; readonly path: string; readonly tensor: StoredTensor };

/**
 * Where a parameter starts: its table, the adapter's weight, the checkpoint's tensor, or a drawn start. Nothing is read yet.
 * @throws EbbError for a tensor that is missing or does not fit
 */
export function startOf(p: ParamInfo, weights: Weights, table: TrainableModel['table']): Start {
  if (p.table) return { kind: 'values', values: () => table(p.name) };
  const own = weights.adapter?.get(p.name);
  if (own) return { kind: 'values', values: own };
  const path = weights.path ?? '';
  const tensor = weights.tensors.get(p.name);
  if (!tensor) {
    if (weights.path !== null && !isAdapterParam(p.name))
      throw new EbbError(`${path}: has no tensor ${p.name} [${p.shape.join(', ')}], which the model asks for${likeText(p.name, weights)}`);
    if (p.dtype !== 'f32')
      throw new EbbError(
        `parameter ${p.name} is not trained and is stored as ${p.dtype}: it comes with a checkpoint, it is not drawn; give ${option('weights')}`,
      );
    return { kind: 'drawn' };
  }
  if (tensor.shape.join() !== p.shape.join())
    throw new EbbError(`${path}: tensor ${p.name} has shape [${tensor.shape.join(', ')}], the model asks for [${p.shape.join(', ')}]`);
  if (p.dtype !== 'f32' && tensor.dtype !== p.dtype)
    throw new EbbError(
      `${path}: tensor ${p.name} is stored as ${tensor.dtype}, the model was compiled for ${p.dtype}; compile it from this checkpoint, or from its configuration with ${option('dtype')} f32`,
    );
  return { kind: 'stored', path, tensor };
}

/** Bytes of a parameter, as they lie on the device, from byte `offset` on. */
export interface StartPiece {
  readonly offset: number;
  readonly data: ArrayBufferView;
}

/** Most bytes of a piece, unless a test asks for less. */
const PIECE = 16 * 2 ** 20;

/**
 * The values a parameter starts with, from first to last, no more than a piece of them in memory.
 * @param most bytes of a piece, on the device; a unit of the tensor may be larger
 * @throws EbbError for a tensor that cannot be read, and for values that are NaN or infinite
 */
export async function* startPieces(p: ParamInfo, start: Start, seed: number, most: number = PIECE): AsyncGenerator<StartPiece> {
  if (start.kind === 'values') {
    const values = start.values();
    for (const { offset, length } of piecesOf(values.byteLength, 4, most)) yield { offset, data: values.subarray(offset / 4, (offset + length) / 4) };
  } else if (start.kind === 'drawn') {
    const bytes = 4 * p.shape.reduce((a, b) => a * b, 1);
    for (const { offset, length } of piecesOf(bytes, 4, most)) yield { offset, data: initialValues(p.init, length / 4, p.name, seed, offset / 4) };
  } else {
    const { path, tensor } = start;
    const { blockSize, bytesPerBlock } = BLOCKS[tensor.dtype];
    // a trained parameter is f32 whatever its tensor is stored as
    const onDevice = p.dtype === 'f32' ? 4 * blockSize : bytesPerBlock;
    for (const { offset, length } of piecesOf(tensor.byteLength, tensor.unit, most * Math.min(1, bytesPerBlock / onDevice))) {
      const bytes = await tensor.read(offset, length);
      if (bytes.length !== length) throw new EbbError(`${path}: tensor ${p.name}: ${bytes.length} bytes were read from byte ${offset} on, expected ${length}`);
      refuseNonFinite(`${tensor.file ?? path}: tensor ${tensor.name}`, tensor.dtype, bytes, (offset / bytesPerBlock) * blockSize);
      yield { offset: (offset / bytesPerBlock) * onDevice, data: p.dtype === 'f32' ? dequantise(tensor.dtype, bytes) : bytes };
    }
  }
}

/**
 * What a parameter starts with, in pieces: its table, the adapter's weight, the checkpoint's tensor, or a drawn start.
 * @throws EbbError for a tensor that is missing, does not fit or cannot be read
 */
export async function* startingValue(p: ParamInfo, weights: Weights, table: TrainableModel['table'], seed: number): AsyncGenerator<StartPiece> {
  yield* startPieces(p, startOf(p, weights, table), seed);
}
