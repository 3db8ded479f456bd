/** @file adapter_config.json of a PEFT LoRA adapter: what Ebb reads, and what it refuses by name. */

import { z } from 'zod';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { readFields } from './hfConfig.ts';
import type { Json, JsonObject } from './json.ts';

export interface PeftConfig {
  readonly rank: number;
  readonly alpha: number;
  /** Scale is alpha/√rank instead of alpha/rank. */
  readonly useRslora: boolean;
  readonly dropout: number;
  /** Suffixes of layer names, or one regular expression over whole names. */
  readonly targetModules: readonly string[] | string;
  /** Names of modules, or ends of their names, or one regular expression over whole names: what gets no adapter although it is targeted. */
  readonly excludeModules: readonly string[] | string;
  /** Layers that get an adapter; none: all. */
  readonly layersToTransform: readonly number[] | null;
  /** Regular expressions of what stands before a layer's number in its name; none: whatever stands before the first number. */
  readonly layersPattern: readonly string[];
  readonly fanInFanOut: boolean;
  /** Ranks and alphas that differ, by regular expression over the ends of layer names. */
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
  readonly baseModel: string | null;
  /** What the adapter was trained for; null where it does not say. */
  readonly taskType: string | null;
}

const pattern = z.record(z.string(), z.number().positive());

const names = z.union([z.string(), z.array(z.string())], { error: 'a name or a list of names' });

const schema = z.object({
  r: z.int().min(1).max(65536),
  lora_alpha: z.number().positive(),
  use_rslora: z.boolean().nullish(),
  lora_dropout: z.number().min(0).max(1).nullish(),
  fan_in_fan_out: z.boolean().nullish(),
  rank_pattern: pattern.nullish(),
  alpha_pattern: pattern.nullish(),
  base_model_name_or_path: z.string().nullish(),
  task_type: z.string().nullish(),
  exclude_modules: names.nullish(),
  layers_pattern: names.nullish(),
});

/** Read, or without influence on what the adapter computes. */
const KNOWN = new Set([
  'peft_type',
  'r',
  'lora_alpha',
  'use_rslora',
  'lora_dropout',
  'fan_in_fan_out',
  'rank_pattern',
  'alpha_pattern',
  'base_model_name_or_path',
  'target_modules',
  'auto_mapping',
  'revision',
  'task_type',
  'inference_mode',
  'peft_version',
  'exclude_modules',
  'layers_to_transform',
  'layers_pattern',
  'megatron_core',
  'qalora_group_size',
  'eva_config',
  'runtime_config',
  'init_lora_weights',
  'bias',
]);

/** Kinds of adapter that Ebb reads, by `peft_type`. */
export const PEFT_TYPES = ['LORA'] as const;

/** Settings that make something else of such an adapter, which Ebb does not compute; they are refused unless they are off. */
export const ONLY_OFF = {
  use_dora: 'false (DoRA is not supported)',
  modules_to_save: 'none (fully trained modules in an adapter are not supported)',
} as const;

/** Initialisations that also change the base weights. */
const CHANGES_BASE = /^(pissa|olora|corda|loftq|lora_ga)/;

function neutral(value: Json | undefined): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === false;
}

function refuse(where: string, name: string, value: Json | undefined, expected: string): never {
  throw new EbbError(`${where}: ${name} is ${value === undefined ? 'missing' : show(value)}, expected ${expected}`);
}

function checkSupported(where: string, fields: JsonObject): void {
  const { peft_type: type, bias, init_lora_weights: init } = fields;
  if (!PEFT_TYPES.some((known) => known === type)) refuse(where, 'peft_type', type, `${PEFT_TYPES.join(' or ')} (other kinds of adapter are not supported)`);
  for (const [name, expected] of Object.entries(ONLY_OFF)) if (!neutral(fields[name])) refuse(where, name, fields[name], expected);
  if (!neutral(bias) && bias !== 'none') refuse(where, 'bias', bias, 'none (trained biases in an adapter are not supported)');
  if (typeof init === 'string' && CHANGES_BASE.test(init)) refuse(where, 'init_lora_weights', init, 'an initialisation that leaves the base weights alone');
  for (const [name, value] of Object.entries(fields)) {
    if (!KNOWN.has(name) && !neutral(value)) refuse(where, name, value, 'none (Ebb does not support it)');
  }
}

function readTargets(where: string, value: Json | undefined): readonly string[] | string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.length > 0 && value.every((x) => typeof x === 'string')) return value;
  return refuse(where, 'target_modules', value, 'a list of layer names or a regular expression');
}

function readLayers(where: string, value: Json | undefined): readonly number[] | null {
  if (value === undefined || value === null) return null;
  const list = [value].flat();
  // an empty list means all layers to peft
  if (list.every((x): x is number => Number.isInteger(x) && Number(x) >= 0)) return list.length > 0 ? list : null;
  return refuse(where, 'layers_to_transform', value, 'a layer number or a list of them');
}

/** Refuses what peft refuses: numbers of layers beside one regular expression over whole names, and names of layers without numbers. */
function checkTogether(where: string, fields: JsonObject): void {
  const { target_modules: targeted, layers_to_transform: numbers = null, layers_pattern: pattern = null } = fields;
  for (const [name, value] of Object.entries({ layers_to_transform: numbers, layers_pattern: pattern }))
    if (typeof targeted === 'string' && value !== null) refuse(where, name, value, 'none beside a target_modules that is one text, as peft does');
  if (numbers === null && pattern !== '' && !neutral(pattern)) refuse(where, 'layers_pattern', pattern, 'none without layers_to_transform, as peft does');
}

/** The settings in the fields of an adapter_config.json; `where` (the file) begins every error. */
export function readPeftConfig(where: string, fields: JsonObject): PeftConfig {
  checkSupported(where, fields);
  checkTogether(where, fields);
  const raw = readFields(where, schema, fields);
  const ranks = raw.rank_pattern ?? {};
  const odd = Object.keys(ranks).find((key) => !Number.isInteger(ranks[key]));
  if (odd !== undefined) refuse(where, `rank_pattern.${odd}`, ranks[odd], 'a whole number');
  return {
    rank: raw.r,
    alpha: raw.lora_alpha,
    useRslora: raw.use_rslora ?? false,
    dropout: raw.lora_dropout ?? 0,
    targetModules: readTargets(where, fields['target_modules']),
    excludeModules: raw.exclude_modules ?? [],
    layersToTransform: readLayers(where, fields['layers_to_transform']),
    layersPattern: [raw.layers_pattern ?? []].flat().filter((pattern) => pattern !== ''),
    fanInFanOut: raw.fan_in_fan_out ?? false,
    rankPattern: ranks,
    alphaPattern: raw.alpha_pattern ?? {},
    baseModel: raw.base_model_name_or_path ?? null,
    taskType: raw.task_type ?? null,
  };
}

function compile(where: string, source: string): RegExp {
  try {
    return new RegExp(source);
  } catch {
    throw new EbbError(`${where}: ${show(source)} is not a regular expression Ebb understands`);
  }
}

/** Whether a pattern of ranks or alphas is for a layer, as peft's get_pattern_key: it matches the end of the name, at a dot. */
export const patternMatches = (where: string, pattern: string, layer: string): boolean => compile(where, `^(?:.*\\.)?(?:${pattern})$`).test(layer);

/** The value that patterns give a layer: that of the first that is for it. */
function byPattern(where: string, patterns: Readonly<Record<string, number>>, layer: string, otherwise: number): number {
  const found = Object.entries(patterns).find(([pattern]) => patternMatches(where, pattern, layer));
  return found === undefined ? otherwise : found[1];
}

/** Rank and scale of one layer's adapter. */
export function layerAdapter(where: string, config: PeftConfig, layer: string): { readonly rank: number; readonly scale: number } {
  const rank = byPattern(where, config.rankPattern, layer, config.rank);
  const alpha = byPattern(where, config.alphaPattern, layer, config.alpha);
  return { rank, scale: alpha / (config.useRslora ? Math.sqrt(rank) : rank) };
}

/** Whether a list of names, or ends of names from a dot on, has a layer's; or whether one regular expression over whole names matches it. */
export function isNamed(where: string, names: readonly string[] | string, layer: string): boolean {
  if (typeof names === 'string') return names !== '' && compile(where, `^(?:${names})$`).test(layer);
  return names.some((name) => layer === name || layer.endsWith(`.${name}`));
}

/** The number of the layer that a name lies in, as peft finds it; undefined where it lies in none. */
export function layerNumber(where: string, patterns: readonly string[], layer: string): number | undefined {
  const sources = patterns.length > 0 ? patterns.map((pattern) => `^(?:|.*?\\.)(?:${pattern})\\.(\\d+)\\.`) : ['^.*?\\.[^.]*\\.(\\d+)\\.'];
  const number = sources.map((source) => compile(where, source).exec(layer)?.at(-1)).find((found) => found !== undefined);
  return number === undefined ? undefined : Number(number);
}

/** Whether an adapter is on every linear layer, whatever it is called. */
export const onAllLinear = ({ targetModules }: Pick<PeftConfig, 'targetModules'>): boolean =>
  typeof targetModules === 'string' && targetModules.toLowerCase() === 'all-linear';

/** Whether the settings give a layer an adapter, as peft's check_target_module_exists. Under "all-linear" the layer is taken to be linear. */
export function targets(where: string, config: PeftConfig, layer: string): boolean {
  const { targetModules, excludeModules, layersToTransform, layersPattern } = config;
  if (isNamed(where, excludeModules, layer)) return false;
  if (onAllLinear(config)) return true;
  if (!isNamed(where, targetModules, layer)) return false;
  if (layersToTransform === null) return true;
  const number = layerNumber(where, layersPattern, layer);
  return number !== undefined && layersToTransform.includes(number);
}
