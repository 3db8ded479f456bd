/** @file A PEFT folder as the session wants it. */

import { readPeft } from '../formats/peft.ts';
import type { LoraOptions } from '../session.ts';

export interface LoadedAdapter {
  readonly lora: LoraOptions;
  readonly weights: ReadonlyMap<string, Float32Array>;
}

const PREFIX = 'base_model.model.';

/** Ebb's name of an adapter file's tensor. */
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
    lora: { layers: ['*'], rank: peft.rank, alpha: peft.alpha, rslora: peft.useRslora, dropout, existing: peft.layers },
    weights: new Map([...peft.tensors].map(([name, tensor]) => [adapterParamName(name), tensor.data])),
  };
}
