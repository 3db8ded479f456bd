/** @file PEFT folders: an adapter's settings and weights under the parameters' names, and whether they fit a model. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { at, EbbError, get } from '../errors.ts';
import { readPeft } from '../formats/peft.ts';
import { openSafetensors, readFloats } from '../formats/safetensors.ts';
import type { AdapterSettings } from '../runtime/planFile.ts';

import { parseConfig, type RunConfig } from '../train/config.ts';
import { adaptedLayer, adapterParamName, isAdapterParam, loraScale } from '../train/model.ts';
import { readRunFile } from './runFile.ts';
import { CONFIG, checkpointNames, TENSORS } from './runFolder.ts';

const PEFT_CONFIG = 'adapter_config.json';

export interface LoadedAdapter {
  /** The folder, and the file of its matrices. */
  readonly path: string;
  readonly file: string;
  readonly settings: AdapterSettings;
  /** For each parameter, by name, a function that reads its weights as f32. */
  readonly weights: ReadonlyMap<string, () => Float32Array>;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
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
    weights: new Map(names.map((name) => [name, () => readFloats(file, name)])),
    shapes: new Map(names.map((name) => [name, shapeOf(name)])),
  };
}

/**
 * Reads an adapter: a PEFT LoRA folder; a run's folder, which stands for what the run has trained, or for its newest checkpoint; or a checkpoint of a run.
 * @throws EbbError for what is not LoRA
 */
export function loadAdapter(path: string, dropout = 0): LoadedAdapter {
  if (!existsSync(path))
    throw new EbbError(`${path}: no such file or folder; expected a PEFT adapter, a run's folder or a checkpoint of it (--device names a device)`, 'file');
  if (existsSync(join(path, PEFT_CONFIG))) return peftAdapter(path, dropout);
  if (existsSync(join(path, TENSORS))) return checkpointAdapter(path, dropout);
  const trained = join(path, 'adapter');
  if (existsSync(join(trained, PEFT_CONFIG))) return peftAdapter(trained, dropout);
  const newest = checkpointNames(path).at(-1);
  return newest === undefined ? peftAdapter(path, dropout) : checkpointAdapter(join(path, 'checkpoints', newest), dropout);
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

/**
 * Every matrix of the adapter must have its parameter, and that parameter's shape.
 * @param params those of a model that was made with the adapter's layers
 * @param key the flag or key that names the folder
 * @throws EbbError naming the file and the layer
 */
export function checkAdapter(
  { file, shapes }: Pick<LoadedAdapter, 'file' | 'shapes'>,
  params: readonly { readonly name: string; readonly shape: readonly number[] }[],
  key: string,
): void {
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
}
