/** @file What a model is traced for, as the library's functions take it. */

import type { StoredType } from '../formats/storedType.ts';
import { parseBy } from '../issues.ts';
import { type RunInput, runSchema } from '../train/config.ts';
import type { LoraOptions } from './session.ts';
import { adaptersOf } from './train.ts';

/** What a model is traced for. */
export interface ModelSizes {
  /** Most sequences at once. Default: as the definition says, else 2. */
  readonly batch?: number | undefined;
  /** Most tokens of a sequence. Default: as the definition says, else 256. */
  readonly length?: number | undefined;
  /** A low-rank adapter instead of all weights: true, or its settings. */
  readonly lora?: RunInput['lora'] | undefined;
  /** The type that weights are taken to have where only a configuration describes them. Default: as the configuration says. */
  readonly dtype?: StoredType | undefined;
}

/** @throws EbbError naming the setting that is wrong */
export function loraOptions(lora: RunInput['lora']): LoraOptions | null {
  return adaptersOf(parseBy(runSchema.shape.lora, lora, 'lora', 'docs/training.md lists its settings')).lora;
}
