/** Reads the models of the benchmark as plain arrays, for libraries that read no checkpoints. */

import { readFileSync } from 'node:fs';
import { DATA, benchTokens, modelSpec } from '../spec.ts';

/** Reads a model: its sizes, its tokens, and its weights with their names (linear weights are [in, out]). */
export function readModel(name) {
  const spec = modelSpec(name);
  const bytes = readFileSync(`${DATA}/${name}.weights.bin`);
  const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const weights = JSON.parse(readFileSync(`${DATA}/${name}.manifest.json`, 'utf8')).map(({ name: of, shape, offset }) => ({
    name: of,
    shape,
    data: all.slice(offset, offset + shape.reduce((a, b) => a * b, 1)),
  }));
  return { ...spec, ...benchTokens(name), weights };
}

/** Makes a rotary table [seq, headDim]: cos or sin of position times frequency, with both halves of a row equal. */
export function rotary(of, { seq, dim, heads }, theta) {
  const width = dim / heads;
  return Float32Array.from({ length: seq * width }, (_, i) => of(Math.floor(i / width) * theta ** (-((i % width) % (width / 2)) / (width / 2))));
}

export function readMatrix(file, rows, columns) {
  const bytes = readFileSync(file);
  return { data: new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)), shape: [rows, columns] };
}
