/** @file The models that are trained, with everything that their settings have in common. */

import type { RunOptions } from '../../src/index.ts';

export interface Subject {
  readonly name: 'bundled' | 'smollm2';
  /** The title of its page. */
  readonly title: string;
  /** The model and its data, in a sentence. */
  readonly about: string;
  /** The limits of what its runs can show. */
  readonly small: string;
  /** Keys of the run file. Paths are relative to the repository's root. */
  readonly config: Pick<RunOptions, 'model' | 'data' | 'fields' | 'batch' | 'length' | 'lora' | 'evalLimit' | 'schedule' | 'warmupSteps'> & {
    readonly evalData: string;
  };
  readonly lr: number;
  /** The learning rates of the sweep. */
  readonly sweep: readonly number[];
  /** Tokens of a sequence, where memory is planned. */
  readonly memoryLength: number;
  readonly steps: number;
  readonly seeds: number;
  /** Steps between evaluations. 0 evaluates only at the beginning and the end. */
  readonly evalEvery: number;
  /** Steps between checkpoints. */
  readonly saveEvery: number;
  /** The settings that are run, as a glob over their names. */
  readonly only: string;
}

/** The bundled model. Everything is trained, because that is where leaving out backwards saves most. */
export const BUNDLED: Subject = {
  name: 'bundled',
  title: 'The bundled model, everything trained',
  about:
    'The bundled model (Llama, 1.2 million parameters, 6 layers: 12 units), which knows Shakespeare, learns 600 arithmetic questions, a domain new to it; 32 more are held out.',
  small:
    'What is small: the model, where one unit of twelve is a large part of the gradient; the data, twice through; the held-out set, 32 questions, the same for all, so that differences are surer than losses. What holds here need not hold at a billion parameters.',
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
  memoryLength: 128,
  steps: 300,
  seeds: 3,
  evalEvery: 100,
  saveEvery: 100,
  only: '*',
};

/** SmolLM2 with LoRA on all linear layers. */
export const smollm2 = (checkpoint: string, data: string, evalData: string): Subject => ({
  name: 'smollm2',
  title: 'SmolLM2-135M with LoRA on GSM8K',
  about: 'SmolLM2-135M-Instruct (Q4_1, 30 layers: 60 units) learns to answer GSM8K’s questions; loss on answers alone.',
  small: 'What is small: one seed, so no spread; 100 sequences in all, cut at 128 tokens; 32 held-out examples. Differences of a few thousandths say nothing.',
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
  memoryLength: 512,
  steps: 100,
  seeds: 1,
  evalEvery: 0,
  saveEvery: 25,
  only: '{none,none-as-0.875,uniform-0.5-fixed-budget,uniform-0.875-fixed-budget,dropbp-0.875}',
});
