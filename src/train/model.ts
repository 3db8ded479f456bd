/** @file A compiled model as training sees it: its program, and what the program alone does not say. */

import type { AdapterAbout, ModelAbout } from '../runtime/planFile.ts';
import type { Program } from '../runtime/program.ts';

/** A compiled model as the training loop takes it. */
export interface TrainableModel {
  readonly program: Program;
  readonly about: ModelAbout;
  /** Contents of a computed table (rotary cosines), by parameter. */
  readonly table: (param: string) => Float32Array;
}

const ADAPTER = /\.lora_[AB]\.weight$/;

/** Whether a parameter belongs to a low-rank adapter. */
export const isAdapterParam = (name: string): boolean => ADAPTER.test(name);

/** The layer an adapter's parameter lies on. */
export const adaptedLayer = (param: string): string => param.replace(ADAPTER, '');

const PEFT_PREFIX = 'base_model.model.';

/** The parameter that a tensor of a PEFT adapter file is for. */
export const adapterParamName = (fileName: string): string => (fileName.startsWith(PEFT_PREFIX) ? fileName.slice(PEFT_PREFIX.length) : fileName);

/** What a PEFT adapter file calls a parameter. */
export const adapterFileName = (paramName: string): string => `${PEFT_PREFIX}${paramName}`;

/** Scale of an adapter's product: alpha/rank, or alpha/√rank with rsLoRA (Kalajdzievski 2023). */
export function loraScale({ alpha, rank, rslora }: Pick<AdapterAbout, 'alpha' | 'rank' | 'rslora'>): number {
  return alpha / (rslora ? Math.sqrt(rank) : rank);
}
