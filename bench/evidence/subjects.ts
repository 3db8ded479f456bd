/** @file The models that are trained, and how: all that the settings have in common. */

import type { RunInput } from '../../src/train/config.ts';

export interface Subject {
  readonly name: 'bundled' | 'smollm2';
  /** Keys of the run's file; paths from the repository's root. */
  readonly config: Pick<RunInput, 'model' | 'data' | 'fields' | 'batch' | 'length' | 'lora' | 'evalLimit' | 'schedule' | 'warmupSteps'> & {
    readonly evalData: string;
  };
  readonly lr: number;
  /** Learning rates of the sweep. */
  readonly sweep: readonly number[];
  readonly steps: number;
  readonly seeds: number;
  /** Steps between evaluations, and between checkpoints. */
  readonly evalEvery: number;
  readonly saveEvery: number;
  /** Which settings, as a glob over their names. */
  readonly only: string;
}

/** Everything is trained: that is where leaving out backwards saves most. */
export const BUNDLED: Subject = {
  name: 'bundled',
  config: {
    model: 'examples/tiny-llama/model',
    data: 'examples/demo/questions.jsonl',
    evalData: 'examples/demo/held-out.jsonl',
    batch: 4,
    length: 96,
    evalLimit: 32,
    schedule: 'cosine',
    warmupSteps: 10,
  },
  lr: 1e-3,
  sweep: [3e-4, 1e-3, 3e-3],
  steps: 300,
  seeds: 3,
  evalEvery: 100,
  saveEvery: 100,
  only: '*',
};

/** LoRA on all linear layers. */
export const smollm2 = (checkpoint: string, data: string, evalData: string): Subject => ({
  name: 'smollm2',
  config: {
    model: checkpoint,
    data,
    evalData,
    fields: { prompt: 'question', completion: 'answer' },
    batch: 1,
    length: 128,
    lora: { rank: 8 },
    evalLimit: 32,
    schedule: 'cosine',
    warmupSteps: 10,
  },
  lr: 5e-4,
  sweep: [],
  steps: 100,
  seeds: 1,
  evalEvery: 0,
  saveEvery: 25,
  only: '{none,uniform-0.5-fixed-budget,uniform-0.875-fixed-budget,dropbp-0.875}',
});
