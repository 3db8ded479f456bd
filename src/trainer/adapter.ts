/** @file PEFT folders: an adapter's settings and weights under the parameters' names. */

import { readPeft } from '../formats/peft.ts';
import type { AdapterAbout } from '../runtime/plan.ts';

export interface LoadedAdapter {
  readonly settings: AdapterAbout;
  /** By parameter name. */
  readonly weights: ReadonlyMap<string, Float32Array>;
}

const PREFIX = 'base_model.model.';

/** The parameter an adapter file's tensor is for. */
export function adapterParamName(fileName: string): string {
  return fileName.startsWith(PREFIX) ? fileName.slice(PREFIX.length) : fileName;
}
export function adapterFileName(paramName: string): string {
  return `${PREFIX}${paramName}`;
}

/** Reads a PEFT LoRA folder. @throws EbbError for what is not LoRA */
export function loadAdapter(folder: string, dropout = 0): LoadedAdapter {
  const peft = readPeft(folder);
  return {
    settings: { rank: peft.rank, alpha: peft.alpha, rslora: peft.useRslora, dropout, layers: Object.fromEntries(peft.layers) },
    weights: new Map([...peft.tensors].map(([name, tensor]) => [adapterParamName(name), tensor.data])),
  };
}
