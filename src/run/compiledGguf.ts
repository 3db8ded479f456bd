/**
 * @file Compares the metadata of a GGUF file with the configuration that a model was compiled with, by what both formats call a setting: no family is asked, as it may
 * be one of the user's own.
 */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import type { Gguf, GgufValue } from '../formats/gguf.ts';
import { isOff, shortest } from '../formats/ggufKeys.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import type { CheckpointAbout } from '../runtime/planFile.ts';
import { isSame } from './compiledConfig.ts';

/** A setting that no shape of a tensor tells. */
interface Setting {
  /** The key behind `<architecture>.`, as llama.cpp's converter writes it. */
  readonly key: string;
  /** What config.json calls it, by family. */
  readonly fields: readonly string[];
  /** What a file means that leaves the key out. */
  readonly otherwise?: number;
}

const SETTINGS: readonly Setting[] = [
  { key: 'rope.freq_base', fields: ['rope_theta'], otherwise: 10000 },
  { key: 'attention.layer_norm_rms_epsilon', fields: ['rms_norm_eps'] },
  { key: 'attention.layer_norm_epsilon', fields: ['layer_norm_epsilon', 'layer_norm_eps'] },
  { key: 'attention.head_count', fields: ['num_attention_heads', 'n_head'] },
  { key: 'attention.head_count_kv', fields: ['num_key_value_heads'] },
  { key: 'attention.key_length', fields: ['head_dim'] },
];
const WINDOW = { key: 'attention.sliding_window', field: 'sliding_window' } as const;

/** How positions are scaled, in words. */
function scalingText(scaling: Json | undefined): string {
  if (scaling === undefined || scaling === null || !isObject(scaling)) return 'none';
  return scaling['rope_type'] === 'linear' ? `linear by ${String(scaling['factor'])}` : String(scaling['rope_type']);
}

function ggufScaling({ tensors }: Gguf, value: (key: string) => GgufValue | undefined): string {
  const type = value('rope.scaling.type');
  if (type !== undefined && type !== 'none') return type === 'linear' ? `linear by ${shortest(Number(value('rope.scaling.factor')))}` : String(type);
  return tensors.has('rope_freqs.weight') ? 'llama3' : 'none';
}

/** Compares what a GGUF file says with what a model was compiled with. @throws EbbError that names every key that differs: found, compiled for */
export function checkCompiledGguf(gguf: Gguf, architecture: string, { config: compiled }: CheckpointAbout): void {
  const config = compiled as JsonObject;
  const value = (key: string): GgufValue | undefined => gguf.metadata.get(`${architecture}.${key}`);
  const wrong = SETTINGS.flatMap(({ key, fields, otherwise }) => {
    const own = fields.map((field) => config[field]).find((found) => typeof found === 'number');
    const found = value(key) ?? otherwise;
    if (own === undefined || typeof found !== 'number' || isSame(found, own)) return [];
    return [`${architecture}.${key} is ${show(found)}${value(key) === undefined ? ' (the file leaves it out)' : ''}, compiled for ${show(own)}`];
  });
  const window = value(WINDOW.key);
  const ownWindow = config[WINDOW.field] ?? null;
  if (!isOff(window) && !isSame(Number(window), ownWindow)) wrong.push(`${architecture}.${WINDOW.key} is ${show(window)}, compiled for ${show(ownWindow)}`);
  const [scaling, ownScaling] = [ggufScaling(gguf, value), scalingText(config['rope_scaling'])];
  if (scaling !== ownScaling) wrong.push(`positions are scaled by ${scaling}, compiled for ${ownScaling}`);
  if (wrong.length === 0) return;
  throw new EbbError(
    `${gguf.file}: ${wrong.join('; ')}; give a checkpoint with the settings that the model was compiled with, or compile it again for this one`,
  );
}
