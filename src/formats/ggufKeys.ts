/** @file Reads an architecture's own keys of a GGUF file (`llama.block_count`); a key that nothing reads is refused by name. */

import { EbbError } from '../errors.ts';
import { type ByteSource, show } from './bytes.ts';
import { f32FromBytes } from './floats.ts';
import type { Gguf, GgufValue } from './gguf.ts';

/** Keys that change nothing that a model computes. */
const UNUSED = ['rope.scaling.finetuned', 'rope.scaling.original_context_length', 'tensor_data_layout'];

/** Whether a value switches nothing on. */
export const isOff = (value: GgufValue | undefined): boolean => value === undefined || value === 0 || value === false || value === '';

/** The keys of one architecture, by their names behind `<architecture>.`. */
export interface GgufKeys {
  readonly gguf: Gguf;
  /** A key's whole name, for errors. */
  readonly named: (key: string) => string;
  /** A key's value; undefined where the file has none. */
  readonly value: (key: string) => GgufValue | undefined;
  /** A whole number from 1 to 2³¹ − 1. @throws EbbError for what is none, and where there is neither a value nor an alternative */
  readonly size: (key: string, otherwise?: number) => number;
  /** A number above 0, written as f32. @throws EbbError for what is none, and where there is neither a value nor an alternative */
  readonly positive: (key: string, otherwise?: number) => number;
  /** Throws the error that a key's value is not what was expected. @throws EbbError */
  readonly refuse: (key: string, expected: string) => never;
  /** The id of a token: `bos`, `eos`, `eot`, `padding`; null where the file names none. */
  readonly token: (name: string) => number | null;
  /** The values of a tensor that holds settings rather than weights, `count` in f32; null where there is none. @throws EbbError */
  readonly settings: (tensor: string, count: number) => Float32Array | null;
  /** @throws EbbError for a key that was not asked for and switches something on: it may change what the model computes */
  readonly refuseOthers: () => void;
}

/** f32 of 1e-5 is 9.99999974e-6: the shortest decimal with the same f32 is what was meant, and computes the same in f32. */
export function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === value) return candidate;
  }
  return value;
}

/** What a tensor of settings holds. @throws EbbError for another type or size, and where the file breaks off before it */
function readSettings({ file, tensors }: Gguf, source: ByteSource, name: string, count: number): Float32Array | null {
  const info = tensors.get(name);
  if (!info) return null;
  if (info.type !== 'F32' || info.byteLength !== 4 * count)
    throw new EbbError(`${file}: ${name} is ${info.type} of ${info.dims.join(' × ')}, expected F32 of ${count}`);
  const end = info.byteOffset + info.byteLength;
  if (end > source.size)
    throw new EbbError(
      `${file}: has ${source.size} bytes, but ${name}, which says how rotary embeddings are scaled, ends at byte ${end}; give more of the file`,
    );
  return f32FromBytes(source.read(info.byteOffset, info.byteLength).slice());
}

/** The keys of `architecture`, of a header and the file that it was read from. */
export function ggufKeys(gguf: Gguf, source: ByteSource, architecture: string): GgufKeys {
  const { file, metadata } = gguf;
  const asked = new Set(UNUSED);
  const named = (key: string): string => `${architecture}.${key}`;
  const value = (key: string): GgufValue | undefined => {
    asked.add(key);
    return metadata.get(named(key));
  };
  const refuse = (key: string, expected: string): never => {
    const found = metadata.get(named(key));
    throw new EbbError(`${file}: ${named(key)} is ${found === undefined ? 'missing' : show(found)}, expected ${expected}`);
  };
  const number = (key: string, otherwise: number | undefined, fits: (x: number) => boolean, expected: string): number => {
    const found = value(key) ?? otherwise;
    return typeof found === 'number' && fits(found) ? found : refuse(key, expected);
  };
  return {
    gguf,
    named,
    value,
    refuse,
    size: (key, otherwise) => number(key, otherwise, (x) => Number.isSafeInteger(x) && x >= 1 && x < 2 ** 31, 'a whole number of at least 1'),
    positive: (key, otherwise) => shortest(number(key, otherwise, (x) => x > 0 && Number.isFinite(x), 'a positive number')),
    token: (name) => {
      const id = metadata.get(`tokenizer.ggml.${name}_token_id`);
      return typeof id === 'number' ? id : null;
    },
    settings: (tensor, count) => readSettings(gguf, source, tensor, count),
    refuseOthers() {
      for (const [key, found] of metadata)
        if (key.startsWith(named('')) && !asked.has(key.slice(named('').length)) && !isOff(found))
          throw new EbbError(`${file}: ${key} is ${show(found)}, which may change what the model computes and is not supported`);
    },
  };
}
