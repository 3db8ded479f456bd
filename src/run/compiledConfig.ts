/** @file Compares a checkpoint's config.json with what a model was compiled with: every field that the family's configuration has, and all that are wrong at once. */

import { z } from 'zod';
import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { readFields } from '../formats/hfConfig.ts';
import { unusedFields } from '../formats/hfConfigFields.ts';
import { readRope, ropeFields, writeRope } from '../formats/hfRope.ts';
import { readWindow, windowFields } from '../formats/hfWindow.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import type { CheckpointAbout } from '../runtime/planFile.ts';

/** Fields in which a checkpoint may differ from the one that was compiled: they change nothing that the model computes. */
const FREE = new Set(['architectures', 'bos_token_id', 'dtype', 'eos_token_id', 'torch_dtype', 'transformers_version']);

/** Whether two fields say the same. Numbers are compared as f32, since GGUF keeps them so. */
export function isSame(a: Json | undefined, b: Json | undefined): boolean {
  if (typeof a === 'number' && typeof b === 'number') return Math.fround(a) === Math.fround(b);
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((x, i) => isSame(x, b[i]));
  if (a !== undefined && b !== undefined && isObject(a) && isObject(b))
    return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((name) => isSame(a[name], b[name]));
  return a === b;
}

/** What a plan assumes, as JSON. */
interface Assumed {
  readonly absent: JsonObject;
  readonly nulls: JsonObject;
  readonly read: readonly string[];
  readonly only: JsonObject;
}

/**
 * Fields of which several say one thing, as the one that the compiled configuration has. A family that reads all fields of a kind reads them by
 * the same function as this.
 * @throws EbbError where they contradict each other
 */
function together(where: string, fields: JsonObject, { read, absent }: Assumed): JsonObject {
  const readsAll = (kind: object): boolean => Object.keys(kind).every((name) => read.includes(name));
  const rope = readsAll(ropeFields) ? writeRope(readRope(where, fields)) : {};
  if (!readsAll(windowFields) || !Object.keys(windowFields).some((name) => fields[name] !== undefined)) return rope;
  const { sliding_window: otherwise } = absent;
  const { num_hidden_layers: layers, ...window } = readFields(where, z.object({ ...windowFields, num_hidden_layers: z.number().optional() }), fields);
  const given = { ...window, ...(layers === undefined ? {} : { num_hidden_layers: layers }) };
  return { ...rope, sliding_window: readWindow(where, given, typeof otherwise === 'number' ? otherwise : null) };
}

/** What a plan of an earlier version can be compared by: the fields that a file names. */
function differencesOfNamed(fields: JsonObject, { config }: CheckpointAbout): string[] {
  const { rope_parameters: rope } = fields;
  const given: JsonObject = { ...(isObject(rope) ? rope : {}), ...fields };
  return Object.entries(config as JsonObject).flatMap(([name, compiled]) => {
    const found = Object.hasOwn(given, name) ? given[name] : undefined;
    const isPlain = typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean';
    return isPlain && !FREE.has(name) && !isSame(found, compiled) ? [`${name} is ${show(found)}, compiled for ${show(compiled)}`] : [];
  });
}

/** The fields that mean something else than they did, each with what was found and what it was compiled for. */
function differences(where: string, fields: JsonObject, config: JsonObject, assumed: Assumed): string[] {
  const { absent, nulls } = assumed;
  const settled = together(where, fields, assumed);
  // a window that the compiled model has none of is in no field of its configuration
  const names = [...new Set([...Object.keys(config), ...Object.keys(settled)])].filter((name) => !FREE.has(name));
  return names.flatMap((name) => {
    const compiled = config[name] ?? null;
    const own = fields[name];
    const meant = name in settled ? settled[name] : own === undefined ? absent[name] : own === null ? nulls[name] : own;
    // without a default it is a size, of which the tensors' shapes speak, or stands under another name
    if (meant === undefined || isSame(meant, compiled)) return [];
    const said = `${name} is ${show(meant)}${own === undefined && !(name in settled) ? ' (the file leaves it out)' : ''}`;
    return [`${said}, compiled for ${show(compiled)}`];
  });
}

/**
 * Compares a config.json with what the model was compiled with. Returns notes on what of it is not used.
 * @param fields with a head that lies beside a tie settled
 * @throws EbbError that names every field that differs: found, compiled for
 */
export function checkCompiledConfig(where: string, fields: JsonObject, checkpoint: CheckpointAbout): string[] {
  const config = checkpoint.config as JsonObject;
  const assumed = checkpoint.assumed as Assumed | undefined;
  const kind = String(config['model_type'] ?? 'compiled');
  const wrong = assumed ? differences(where, fields, config, assumed) : differencesOfNamed(fields, checkpoint);
  if (wrong.length > 0)
    throw new EbbError(
      `${where}: ${wrong.join('; ')}; give a checkpoint with the configuration that the model was compiled with, or compile it again for this one`,
    );
  if (!assumed)
    return ['the plan is of an earlier version, which knows no defaults, so only the fields that this file names were compared; compile the model again'];
  return unusedFields(where, { kind, read: new Set([...assumed.read, ...Object.keys(config)]), only: assumed.only }, fields);
}
