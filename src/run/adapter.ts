/** @file PEFT folders: an adapter's settings and weights under the parameters' names, and whether they fit a model. */

import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { at, EbbError, get, option } from '../errors.ts';
import { type AdaptedModule, readPeft } from '../formats/peft.ts';
import { openSafetensors, readFiniteFloats } from '../formats/safetensors.ts';
import type { AdapterSettings } from '../runtime/planFile.ts';

import { parseConfig, type RunConfig } from '../train/config.ts';
import { adaptedLayer, adapterParamName, isAdapterParam, loraScale } from '../train/model.ts';
import { checkpointNames, checkpointPath, TENSORS } from './checkpointNames.ts';
import { CONFIG } from './earlierRun.ts';
import { tellNotes, type Watch } from './progress.ts';
import { trainedIn } from './results.ts';
import { readRunFile } from './runFile.ts';

const PEFT_CONFIG = 'adapter_config.json';

export interface LoadedAdapter {
  /** The folder, and the file of its matrices. */
  readonly path: string;
  readonly file: string;
  readonly settings: AdapterSettings;
  /** For each parameter, by name, a function that reads its weights as f32. */
  readonly weights: ReadonlyMap<string, () => Float32Array>;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** Whether the adapter's own settings name a module of a model, whose matrices must be there; left out where a run's layers are all there is. */
  readonly names?: (module: AdaptedModule) => boolean;
  /** The model that the adapter says it was made for; null where it does not say. */
  readonly base: string | null;
  /** What of its settings does nothing. */
  readonly notes: readonly string[];
}

/** Whether a folder is a PEFT adapter. */
export const isPeftFolder = (path: string): boolean => existsSync(join(path, PEFT_CONFIG));

/** An adapter as a checkpoint of a run holds it. @throws EbbError for a run that trains no adapter */
function checkpointAdapter(folder: string, dropout: number): LoadedAdapter {
  const runFile = join(folder, '..', '..', CONFIG);
  const { lora } = parseConfig(readRunFile(runFile), runFile);
  if (lora === false)
    throw new EbbError(`${folder}: is a checkpoint of a run that trains all weights, and holds no adapter (lora in ${runFile} is false)`, 'run');
  const settings = lora.from === undefined ? { ...lora, layers: {} } : loadAdapter(lora.from).settings;
  const known = new Map(Object.entries(settings.layers));
  const path = join(folder, TENSORS);
  const file = openSafetensors(path);
  const names = [...file.tensors.keys()].filter((name) => isAdapterParam(name) && !/^[mv]\./.test(name));
  const shapeOf = (name: string): readonly number[] => get(file.tensors, name).shape;
  const layers = Object.fromEntries(
    names
      .filter((name) => name.endsWith('.lora_A.weight'))
      .map((name): [string, AdapterSettings['layers'][string]] => {
        const layer = adaptedLayer(name);
        return [layer, known.get(layer) ?? { rank: at(shapeOf(name), 0), scale: loraScale(settings) }];
      }),
  );
  return {
    path: folder,
    file: path,
    settings: { rank: settings.rank, alpha: settings.alpha, rslora: settings.rslora, dropout, layers },
    weights: new Map(names.map((name) => [name, () => readFiniteFloats(file, name)])),
    shapes: new Map(names.map((name) => [name, shapeOf(name)])),
    base: null,
    notes: [],
  };
}

/**
 * Reads an adapter: a PEFT LoRA folder; a run's folder, which stands for what the run has trained, or for its newest checkpoint; or a checkpoint of a run.
 * @throws EbbError for what is not LoRA
 */
export function loadAdapter(path: string, dropout = 0): LoadedAdapter {
  if (!existsSync(path))
    throw new EbbError(
      `${path}: no such file or folder; expected a PEFT adapter, a run's folder or a checkpoint of it (${option('device')} names a device)`,
      'file',
    );
  const trained = trainedIn(path);
  if (existsSync(join(trained, PEFT_CONFIG))) return peftAdapter(trained, dropout);
  if (trained !== path) throw new EbbError(`${path}: is of a run that trains all weights, and holds no adapter; what it trained is a model: ${trained}`, 'run');
  // checkpoints of earlier versions hold no folder of what was trained
  if (existsSync(join(path, TENSORS))) return checkpointAdapter(path, dropout);
  const newest = checkpointNames(path).at(-1);
  return newest === undefined ? peftAdapter(path, dropout) : checkpointAdapter(checkpointPath(path, newest), dropout);
}

/** Reads a PEFT LoRA folder. @throws EbbError for what is not LoRA */
function peftAdapter(folder: string, dropout: number): LoadedAdapter {
  const peft = readPeft(folder);
  const tensors = [...peft.tensors].map(([name, tensor]) => ({ name: adapterParamName(name), ...tensor }));
  return {
    path: folder,
    file: join(folder, 'adapter_model.safetensors'),
    settings: { rank: peft.rank, alpha: peft.alpha, rslora: peft.useRslora, dropout, layers: Object.fromEntries(peft.layers) },
    weights: new Map(tensors.map(({ name, read }) => [name, read])),
    shapes: new Map(tensors.map(({ name, shape }) => [name, shape])),
    names: peft.names,
    base: peft.baseModel,
    notes: peft.notes,
  };
}

/**
 * The adapter a run goes on with, null where it starts without one.
 * @throws EbbError for settings beside `lora.from` that the adapter there does not have
 */
export function adapterToGoOn(lora: RunConfig['lora']): LoadedAdapter | null {
  if (lora === false || lora.from === undefined) return null;
  const adapter = loadAdapter(lora.from, lora.dropout);
  for (const key of ['rank', 'alpha', 'rslora'] as const)
    if (lora[key] !== undefined && lora[key] !== adapter.settings[key])
      throw new EbbError(`lora.${key} is ${lora[key]}, the adapter in lora.from (${lora.from}) has ${adapter.settings[key]}; leave lora.${key} out`);
  if (lora.layers !== undefined)
    throw new EbbError(`lora.layers: an adapter in lora.from (${lora.from}) brings its own layers; leave lora.layers out, or start without lora.from`);
  return adapter;
}

/** A parameter of a model that an adapter is put on. */
interface BaseParam {
  readonly name: string;
  readonly shape: readonly number[];
  /** Of a linear layer's weight: how it is stored. Left out where that is not known. */
  readonly linear?: unknown;
}

/** @throws EbbError for modules of the model that the adapter's settings name, and that have no matrices in its file */
function refuseMissing({ file, shapes, names }: Pick<LoadedAdapter, 'file' | 'shapes' | 'names'>, params: readonly BaseParam[], key: string): void {
  if (!names) return;
  const modules = params
    .filter(({ name, shape }) => shape.length === 2 && name.endsWith('.weight') && !isAdapterParam(name))
    .map(({ name, linear }) => ({ name: name.replace(/\.weight$/, ''), linear: linear !== undefined }));
  const named = modules.filter(names).map(({ name }) => name);
  const missing = named.filter((name) => !shapes.has(`${name}.lora_A.weight`));
  if (missing.length === 0) return;
  const more = missing.length > 3 ? ` and ${missing.length - 3} more` : '';
  throw new EbbError(
    `${key}: ${file} lacks ${2 * missing.length} of ${2 * named.length} matrices, lora_A and lora_B of ${missing.slice(0, 3).join(', ')}${more}, which target_modules in ${PEFT_CONFIG} names; give the whole adapter, or name the layers that it has in target_modules`,
  );
}

/**
 * Every matrix of the adapter must have its parameter, and that parameter's shape; and every layer that the adapter's settings name must have its matrices.
 * @param params those of a model that was made with the adapter's layers
 * @param key the flag or key that names the folder
 * @throws EbbError naming the file and the layer
 */
export function checkAdapter(adapter: Pick<LoadedAdapter, 'file' | 'shapes' | 'names'>, params: readonly BaseParam[], key: string): void {
  const { file, shapes } = adapter;
  const made = new Map(params.map((p) => [p.name, p.shape]));
  const hint = 'give an adapter of this model';
  for (const [name, shape] of shapes) {
    const expected = made.get(name);
    const layer = adaptedLayer(name);
    if (!expected) {
      const like = params.find((p) => !isAdapterParam(p.name) && p.shape.length === 2 && /\.\d+\..*\.weight$/.test(p.name))?.name.replace(/\.weight$/, '');
      throw new EbbError(
        `${key}: ${file} adapts layer ${layer}, which the model does not have${like === undefined ? '' : ` (its layers have names like ${like})`}; ${hint}`,
      );
    }
    if (shape.join() !== expected.join())
      throw new EbbError(
        `${key}: ${file} holds ${name.slice(layer.length + 1)} of layer ${layer} as [${shape.join(', ')}], the model's layer takes [${expected.join(', ')}]; ${hint}`,
      );
  }
  refuseMissing(adapter, params, key);
}

/** The folder or file behind a path, links aside; null where there is nothing. */
const placeOf = (path: string): string | null => (existsSync(path) ? realpathSync(path) : null);

/** What a model is called: the last part of its path or hub id that says something, without the ending of a file. */
function modelName(path: string): string {
  // a model out of the hub's cache is called as on the hub
  const [, cached] = /models--([^\\/]+)[\\/]snapshots[\\/]/.exec(path) ?? [];
  const parts = (cached?.split('--') ?? path.split(/[\\/]/)).filter((part) => !['', '.', '..', 'model'].includes(part));
  return (parts.at(-1) ?? 'model').toLowerCase();
}

/** Whether two paths or hub ids may be one model: they are one place, or, where one of them is not there, have one name. */
function isSameModel(one: string, other: string): boolean {
  const [a, b] = [placeOf(one), placeOf(other)];
  return a !== null && b !== null ? a === b : modelName(one) === modelName(other);
}

/** What is said of an adapter that was made for another model than the one it is put on; nothing where it does not say, or it is the same. */
export function baseNotes({ base }: Pick<LoadedAdapter, 'base'>, model: string): string[] {
  if (base === null || base === '' || isSameModel(base, model)) return [];
  return [`base_model_name_or_path in ${PEFT_CONFIG} is ${base}, and the adapter is put on ${model}; it is used, since its shapes are those of this model`];
}

/** Tells what of an adapter's settings does nothing, and that it was made for another model, where there is an adapter and it says so. */
export function tellAdapter(watch: Watch, adapter: Pick<LoadedAdapter, 'path' | 'base' | 'notes'> | null | undefined, model: string): void {
  if (adapter) tellNotes(watch, adapter.path, [...adapter.notes, ...baseNotes(adapter, model)]);
}
