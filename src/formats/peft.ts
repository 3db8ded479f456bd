/** @file PEFT LoRA folders: adapter_config.json and adapter_model.safetensors, read and written as Python's peft has them. */

import { join } from 'node:path';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { fileError, fileExists, makeFolder, pathKind, readText } from './files.ts';
import { parseJsonObject } from './json.ts';
import { layerAdapter, onAllLinear, type PeftConfig, readPeftConfig, targets } from './peftConfig.ts';
import { idleSettings } from './peftNotes.ts';
import {
  openSafetensors,
  readFiniteFloats,
  type SafetensorsEntry,
  type SafetensorsFile,
  type StreamedEntry,
  streamSafetensors,
  writeTextAside,
} from './safetensors.ts';
import { floatReader } from './safetensorsData.ts';

export type { PeftConfig } from './peftConfig.ts';

export interface PeftTensor {
  /** A: [rank, in]; B: [out, rank]. */
  readonly shape: readonly number[];
  /** Reads its values, in f32. @throws EbbError for values that are NaN or infinite */
  readonly read: () => Float32Array;
}

/** Something of a model that adapter_config.json may name. */
export interface AdaptedModule {
  readonly name: string;
  /** Whether it is known to be a linear layer. */
  readonly linear: boolean;
}

export interface PeftAdapter extends PeftConfig {
  readonly path: string;
  /** Whether adapter_config.json gives a module of a model an adapter, so that its matrices must be there. @throws EbbError for a pattern that is none */
  readonly names: (module: AdaptedModule) => boolean;
  /** By layer name ("model.layers.0.self_attn.q_proj"): rank and scale (what B·A·x is multiplied by). */
  readonly layers: ReadonlyMap<string, { readonly rank: number; readonly scale: number }>;
  /** Under the file's names ("base_model.model.….lora_A.weight"). */
  readonly tensors: ReadonlyMap<string, PeftTensor>;
  /** What of its settings does nothing. */
  readonly notes: readonly string[];
}

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';
const NAME = /^base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight$/;

/** Layer → its two matrices' names in the file. */
function pairs(file: SafetensorsFile): Map<string, { A?: string; B?: string }> {
  const result = new Map<string, { A?: string; B?: string }>();
  for (const name of file.tensors.keys()) {
    const [, layer, part] = NAME.exec(name) ?? [];
    if (layer === undefined || (part !== 'A' && part !== 'B')) {
      throw new EbbError(`${file.path}: tensor ${show(name)} is no LoRA matrix Ebb supports, expected base_model.model.<layer>.lora_A.weight or lora_B.weight`);
    }
    const known = result.get(layer);
    if (known?.[part] !== undefined) throw new EbbError(`${file.path}: layer ${layer} has lora_${part}.weight twice, as ${known[part]} and as ${name}`);
    result.set(layer, { ...known, [part]: name });
  }
  if (result.size === 0) throw new EbbError(`${file.path}: holds no tensors, expected LoRA matrices`);
  return result;
}

function readMatrix(file: SafetensorsFile, name: string | undefined, layer: string, axis: 0 | 1, rank: number): PeftTensor {
  const info = name === undefined ? undefined : file.tensors.get(name);
  if (name === undefined || !info) throw new EbbError(`${file.path}: layer ${layer} lacks its lora_${axis === 0 ? 'A' : 'B'}.weight`);
  if (info.shape.length !== 2 || info.shape[axis] !== rank) {
    throw new EbbError(
      `${file.path}: tensor ${show(name)} has shape [${info.shape.join(', ')}], expected rank ${rank} (r in ${CONFIG}) as its ${axis === 0 ? 'first' : 'second'} size`,
    );
  }
  // a dtype that holds no weights is refused before anything is read
  floatReader(`${file.path}: tensor ${show(name)}`, info.dtype);
  return { shape: info.shape, read: () => readFiniteFloats(file, name) };
}

/**
 * Reads a PEFT LoRA folder. Whether its matrices fit a model, checkAdapter says.
 * @throws EbbError for other kinds of adapter, unsupported settings, and matrices that are missing, twice there, or of another rank than the settings say
 */
export function readPeft(folder: string): PeftAdapter {
  if (pathKind(folder) !== 'folder') throw new EbbError(`${folder}: is a file, expected a PEFT adapter folder`);
  const configPath = join(folder, CONFIG);
  if (!fileExists(configPath)) throw new EbbError(`${folder}: holds no ${CONFIG}, expected a PEFT adapter folder`);
  const config = readPeftConfig(configPath, parseJsonObject(configPath, readText(configPath, 2 ** 24)));
  const path = join(folder, WEIGHTS);
  if (!fileExists(path)) throw new EbbError(`${folder}: holds no ${WEIGHTS}, expected the adapter's weights as safetensors`);
  const file = openSafetensors(path);
  const layers = new Map<string, { rank: number; scale: number }>();
  const tensors = new Map<string, PeftTensor>();
  for (const [layer, { A, B }] of pairs(file)) {
    if (!targets(configPath, config, layer)) throw new EbbError(`${path}: has a matrix for layer ${layer}, which target_modules in ${CONFIG} does not name`);
    const setting = layerAdapter(configPath, config, layer);
    layers.set(layer, setting);
    tensors.set(`base_model.model.${layer}.lora_A.weight`, readMatrix(file, A, layer, 0, setting.rank));
    tensors.set(`base_model.model.${layer}.lora_B.weight`, readMatrix(file, B, layer, 1, setting.rank));
  }
  const names = ({ name, linear }: AdaptedModule): boolean => (linear || !onAllLinear(config)) && targets(configPath, config, name);
  return { ...config, path: folder, names, layers, tensors, notes: idleSettings(configPath, config, [...layers.keys()]) };
}

/**
 * The shortest target_modules that name exactly `layers` out of `all` linear layers: last parts of names ("q_proj") where those
 * suffice, else whole names.
 */
export function targetModulesFor(layers: readonly string[], all: readonly string[]): string[] {
  const short = [...new Set(layers.map((layer) => layer.slice(layer.lastIndexOf('.') + 1)))].sort();
  const chosen = new Set(layers);
  const exact = all.every((layer) => chosen.has(layer) || !short.some((name) => layer === name || layer.endsWith(`.${name}`)));
  return exact ? short : [...chosen].sort();
}

export interface PeftOutput {
  readonly rank: number;
  readonly alpha: number;
  readonly useRslora: boolean;
  readonly dropout: number;
  readonly targetModules: readonly string[] | string;
  readonly layersToTransform?: readonly number[] | null;
  readonly rankPattern?: Readonly<Record<string, number>>;
  readonly alphaPattern?: Readonly<Record<string, number>>;
  /** Whether the weights under the adapter are stored [in, out], as transformers' Conv1D does. */
  readonly fanInFanOut: boolean;
  readonly baseModel: string | null;
  /** What stands in the file of the matrices besides; default: that it is PyTorch's. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Under PEFT's names. */
  readonly tensors: readonly (SafetensorsEntry | StreamedEntry)[];
}

/** Writes a folder that Python's peft loads: weights first, piece by piece, each file aside and renamed. @throws EbbError where it cannot be written */
export async function writePeft(folder: string, adapter: PeftOutput): Promise<void> {
  const config = {
    base_model_name_or_path: adapter.baseModel,
    bias: 'none',
    fan_in_fan_out: adapter.fanInFanOut,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: adapter.layersToTransform ?? null,
    lora_alpha: adapter.alpha,
    lora_dropout: adapter.dropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: adapter.rank,
    rank_pattern: adapter.rankPattern ?? {},
    alpha_pattern: adapter.alphaPattern ?? {},
    revision: null,
    target_modules: adapter.targetModules,
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: adapter.useRslora,
  };
  try {
    makeFolder(folder);
  } catch (error) {
    throw fileError(folder, error);
  }
  await streamSafetensors(join(folder, WEIGHTS), adapter.tensors, adapter.metadata);
  writeTextAside(join(folder, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
}
