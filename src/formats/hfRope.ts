/** @file Rotary position settings of config.json: rope_theta and rope_scaling (old style), or rope_parameters (transformers 5). */

import { z } from 'zod';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { type FieldsOf, field } from './hfConfig.ts';
import { isObject, type Json, type JsonObject } from './json.ts';

/** How the frequencies of rotary embeddings are scaled for texts longer than those of pretraining. */
export type RopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPosition: number;
    };

/** Rotary settings: the base of the frequencies, and how they are scaled. */
export interface Rope {
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | null;
}

/** The fields that hold rotary settings, in the old style and in that of transformers 5. */
export const ropeFields = { rope_theta: field.any.optional(), rope_scaling: field.any.optional(), rope_parameters: field.any.optional() };

const KNOWN = new Set([
  'rope_theta',
  'rope_type',
  'factor',
  'low_freq_factor',
  'high_freq_factor',
  'original_max_position_embeddings',
  'partial_rotary_factor',
]);

function numberField(where: string, block: string, fields: JsonObject, name: string, least: number): number {
  const result = z.number().min(least).safeParse(fields[name]);
  if (result.success) return result.data;
  throw new EbbError(`${where}: ${block}.${name} is ${fields[name] === undefined ? 'missing' : show(fields[name])}, expected a number of at least ${least}`);
}

function readScaling(where: string, block: string, fields: JsonObject): RopeScaling | null {
  const type = fields['rope_type'] ?? 'default';
  const number = (name: string, least: number): number => numberField(where, block, fields, name, least);
  if (type === 'default') return null;
  if (type === 'linear') return { type, factor: number('factor', 1) };
  if (type === 'llama3') {
    const lowFreqFactor = number('low_freq_factor', Number.MIN_VALUE);
    const highFreqFactor = number('high_freq_factor', Number.MIN_VALUE);
    if (highFreqFactor <= lowFreqFactor) {
      throw new EbbError(`${where}: ${block}.high_freq_factor is ${highFreqFactor}, expected more than low_freq_factor, which is ${lowFreqFactor}`);
    }
    return { type, factor: number('factor', 1), lowFreqFactor, highFreqFactor, originalMaxPosition: number('original_max_position_embeddings', 1) };
  }
  throw new EbbError(`${where}: ${block}.rope_type is ${show(type)}, expected default, linear or llama3 (others are not supported)`);
}

const BLOCKS = ['rope_scaling', 'rope_parameters'] as const;
type Block = (typeof BLOCKS)[number];

/** What a block holds; null where there is none. `type` is what rope_type was called. */
function blockOf(where: string, name: Block, value: Json | undefined): JsonObject | null {
  if (value === undefined || value === null) return null;
  if (!isObject(value)) throw new EbbError(`${where}: ${name} is ${show(value)}, expected an object or null`);
  const { type, ...rest } = value;
  return type === undefined ? rest : { rope_type: type, ...rest };
}

function readBlock(where: string, name: Block, block: JsonObject): { readonly theta: Json; readonly scaling: RopeScaling | null } {
  const strange = Object.keys(block).find((key) => !KNOWN.has(key) && block[key] !== null);
  if (isObject(block['full_attention'] ?? null)) throw new EbbError(`${where}: ${name} differs by kind of layer, expected one setting for all layers`);
  const scaling = readScaling(where, name, block);
  if (strange !== undefined) throw new EbbError(`${where}: ${name}.${strange} is ${show(block[strange])}, a rope setting Ebb does not support`);
  const { partial_rotary_factor: partial = null, rope_theta: theta = null } = block;
  if (partial !== null && partial !== 1)
    throw new EbbError(`${where}: ${name}.partial_rotary_factor is ${show(partial)}, expected 1 (partial rotation is not supported)`);
  return { theta, scaling };
}

/**
 * The rotary settings of a config.json. Where a file has both styles, rope_scaling takes the place of rope_parameters, as in transformers; what
 * they then say otherwise is refused.
 * @throws EbbError for a kind of scaling or a setting that Ebb does not support, and for settings that contradict each other
 */
export function readRope(where: string, fields: FieldsOf<typeof ropeFields>): Rope {
  const given = BLOCKS.flatMap((name) => {
    const block = blockOf(where, name, fields[name]);
    return block === null ? [] : [{ name, ...readBlock(where, name, block) }];
  });
  const [first, second] = given;
  const outer = fields['rope_theta'] ?? null;
  if (first && first.theta !== null && outer !== null && first.theta !== outer)
    throw new EbbError(`${where}: rope_theta is ${show(outer)}, expected ${show(first.theta)} as in ${first.name}, or none beside it`);
  const theta = first?.theta ?? outer ?? 10000;
  if (typeof theta !== 'number' || !(theta > 0)) throw new EbbError(`${where}: rope_theta is ${show(theta)}, expected a positive number`);
  const scaling = first?.scaling ?? null;
  if (second && second.theta !== null && second.theta !== theta)
    throw new EbbError(`${where}: ${second.name}.rope_theta is ${show(second.theta)}, expected ${theta}, since rope_scaling is given and takes its place`);
  if (second?.scaling && JSON.stringify(second.scaling) !== JSON.stringify(scaling))
    throw new EbbError(`${where}: ${second.name} and rope_scaling scale in two ways; rope_scaling would count, so leave one of them out`);
  return { ropeTheta: theta, ropeScaling: scaling };
}

/** The fields that `readRope` reads back, in the old style, which all versions of transformers read. */
export function writeRope({ ropeTheta, ropeScaling }: Rope): JsonObject {
  return { rope_theta: ropeTheta, rope_scaling: ropeScaling && writeScaling(ropeScaling) };
}

function writeScaling(scaling: RopeScaling): JsonObject {
  if (scaling.type === 'linear') return { rope_type: 'linear', factor: scaling.factor };
  return {
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFreqFactor,
    high_freq_factor: scaling.highFreqFactor,
    original_max_position_embeddings: scaling.originalMaxPosition,
  };
}
