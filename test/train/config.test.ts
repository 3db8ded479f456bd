/** @file A run's configuration: defaults, and errors that name the key, the value found and what is expected. */

import { parseConfig } from '../../src/train/config.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

const parse = (input: object) => parseConfig({ model: 'm', data: 'd', ...input }, 'run.yaml');

it.each<[object, string]>([
  [{ lora: { layers: '*.q_proj' } }, 'lora.layers: is "*.q_proj", expected a list'],
  [{ lora: { rank: 0 } }, 'lora.rank: is 0, expected more than 0'],
  [{ lora: { rank: 1.5 } }, 'lora.rank: is 1.5, expected a whole number'],
  [{ lora: { rang: 4 } }, 'unknown key lora.rang (did you mean lora.rank?)'],
  [{ lora: 'yes' }, 'lora: is "yes", expected false, true or keys with values'],
  [{ optimizer: { name: 'lion' } }, 'optimizer.name: is "lion", expected "adamw" or "sgd"'],
  [{ optimizer: { betas: [0.9, 1] } }, 'optimizer.betas.1: is 1, expected less than 1'],
  [
    { optimizer: { name: 'sgd', nesterov: true, momentum: 0.9, dampening: 0.1 } },
    'optimizer.nesterov: is true, expected false, or a momentum above 0 and no dampening (momentum is 0.9, dampening 0.1)',
  ],
  [{ optimizer: { betas: [0.99999999, 0.9] } }, 'optimizer.betas.0: is 0.99999999, expected less than 0.9999999, which f32 does not round to 1'],
  [
    { optimizer: { eps: 1e-50 } },
    'optimizer.eps: is 1e-50, expected at least 1.1754943508222875e-38, which f32 keeps apart from 0: a weight whose gradients are all 0 is divided by it',
  ],
  [{ optimizer: { weightDecay: -1 } }, 'optimizer.weightDecay: is -1, expected at least 0'],
  [
    { optimizer: { lr: 0.001, weightDecay: 2000 } },
    'optimizer.weightDecay: is 2000, expected less than 1000, since lr is 0.001 and a step takes away lr · weightDecay of a weight',
  ],
  [{ optimizer: { lr: 100 } }, 'optimizer.lr: is 100, expected less than 100, since weightDecay is 0.01 and a step takes away lr · weightDecay of a weight'],
  [{ optimizer: { name: 'sgd', lr: 1e39 } }, 'optimizer.lr: is 1e+39, expected less than 3.402823669209385e+38, where f32 ends'],
  [{ optimizer: { name: 'sgd', momentum: 1 } }, 'optimizer.momentum: is 1, expected less than 1'],
  [{ optimizer: { name: 'sgd', momentum: 0.9, dampening: 1 } }, 'optimizer.dampening: is 1, expected less than 1'],
  [
    { optimizer: { name: 'sgd', dampening: 0.1 } },
    'optimizer.dampening: is 0.1, expected 0, or a momentum above 0: it is the share of the gradient that does not enter the momentum',
  ],
  [{ resultDtype: 'f64' }, 'resultDtype: is "f64", expected "checkpoint", "f32", "bf16" or "f16"'],
  [{ pack: true, bucket: true }, 'bucket: is true, expected false where pack is true: packed rows are of like length anyway'],
  [{ lossOver: 'batches' }, 'lossOver: is "batches", expected "tokens" or "microBatches"'],
  [{ optimizer: { name: 'sgd', betas: [0, 1] } }, 'unknown key optimizer.betas'],
  [{ optimizer: { name: 'adamw', betas: [0, 'x'] } }, 'optimizer.betas.1: is "x", expected a number'],
  [{ drop: { kind: 'uniform', rate: 1.5 } }, 'drop.rate: is 1.5, expected a number from 0 to 1'],
  [{ drop: { kind: 'uniform' } }, 'drop.rate: is missing, expected a number from 0 to 1'],
  [{ drop: { kind: 'uniform', rate: 0.5, sampling: 'poisson' } }, 'drop.sampling: is "poisson", expected "bernoulli" or "official" or "fixed-budget"'],
  [{ drop: { kind: 'uniform', rate: 0.5, weight: true } }, 'unknown key drop.weight (did you mean drop.weights?)'],
  [
    { drop: { kind: 'uniform', rate: 1, weights: true } },
    'drop.weights: is true, expected false at a rate of 1: a unit that is never kept has no weight 1/(1−rate)',
  ],
  [{ drop: { kind: 'dropbp' } }, 'drop.rate: is missing, expected a number from 0 to 1'],
  [
    { drop: { kind: 'dropbp', rate: 0.5, sensitivities: { 'layers.0.mlp': -1 } } },
    'drop.sensitivities: is {"layers.0.mlp":-1}, expected a number of 0 or more for every unit, by its name',
  ],
  [{ drop: { kind: 'dropbp', rate: 0.5, sensitivities: {}, minRate: 0.9 } }, 'drop.minRate: is 0.9, expected a number from 0 to below 0.9'],
  [{ drop: { kind: 'lcsb', blocks: 1.5 } }, 'drop.blocks: is 1.5, expected a whole number, 1 or more'],
  [{ drop: { kind: 'fixed', patterns: ['layers.0.mlp'] } }, 'drop.patterns: is ["layers.0.mlp"], expected lists of unit names'],
  [
    { drop: { kind: 'sensitivity' } },
    'drop.kind: is "sensitivity", expected "none", "uniform", "dropbp", "lcsb", "lisa", "last-k", "fixed", "layerdrop" or "stochastic-depth"',
  ],
  [{ memoryBudget: '2 bananas' }, 'memoryBudget: is "2 bananas", expected bytes, as a number or like 2GiB, 500MB'],
  [{ memoryBudget: -1 }, 'memoryBudget: is -1, expected bytes, as a number or like 2GiB, 500MB'],
  [{ decay: 'none' }, 'decay: is "none", expected "matrices" or "all"'],
  [{ steps: 0 }, 'steps: is 0, expected more than 0'],
  [{ data: undefined }, 'data is missing; give data, or the key in a run file (YAML)'],
  [{ drop: 2 }, 'drop: is 2, expected at most 1'],
  [{ lora: { r: 4 } }, 'unknown key lora.r (did you mean lora.rank?)'],
  [{ optimizer: { learning_rate: 1 } }, 'unknown key optimizer.learning_rate (did you mean optimizer.lr?)'],
  [{ learningRate: 3 }, 'unknown key learningRate (did you mean optimizer.lr?)'],
])('%j is refused by its key', (input, message) => {
  expect(messageOf(() => parse(input))).toBe(`run.yaml: ${message}; docs/training.md lists the keys`);
});

it('says all that is wrong at once', () => {
  const message = messageOf(() => parse({ warmup_steps: 3, lora: { rank: 0, alfa: 2 }, schedule: 'exponential', optimizer: { lr: -1 } }));
  expect(message.split('\n')).toEqual([
    'run.yaml: 5 keys are wrong; docs/training.md lists the keys',
    '  lora.rank: is 0, expected more than 0',
    '  unknown key lora.alfa (did you mean lora.alpha?)',
    '  optimizer.lr: is -1, expected at least 0',
    '  schedule: is "exponential", expected "constant", "linear" or "cosine"',
    '  unknown key warmup_steps (did you mean warmupSteps?)',
  ]);
});

it('takes an optimizer without a name for AdamW', () => {
  expect(parse({ optimizer: { lr: 3e-4 } }).optimizer).toEqual({ ...parse({}).optimizer, lr: 3e-4 });
  expect(messageOf(() => parse({ optimizer: { momentum: 0.9 } }))).toContain('unknown key optimizer.momentum');
});

it('refuses what is no list of keys', () => {
  expect(messageOf(() => parseConfig('text', 'run.yaml'))).toBe('run.yaml: is "text", expected keys with values; docs/training.md lists the keys');
});

it('takes lora: true for an adapter with the defaults; one that goes on has no defaults of its own', () => {
  expect(parse({ lora: true }).lora).toEqual({ layers: ['*'], rank: 8, alpha: 16, rslora: false, dropout: 0 });
  expect(parse({ lora: {} }).lora).toEqual(parse({ lora: true }).lora);
  expect(parse({ lora: { from: 'a', rank: 4 } }).lora).toEqual({ from: 'a', rank: 4, dropout: 0 });
  expect(parse({}).lora).toBe(false);
});

it('takes a rate for a uniform plan', () => {
  expect(parse({ drop: 0.25 }).drop).toEqual({ kind: 'uniform', rate: 0.25 });
  expect(parse({ drop: 0 }).drop).toEqual({ kind: 'none' });
});

it('takes a memory budget in bytes or with a unit', () => {
  const budgets = ['2GiB', '500MB', '1.5 kib', '7', 8].map((memoryBudget) => parse({ memoryBudget }).memoryBudget);
  expect(budgets).toEqual([2 ** 31, 5e8, 1536, 7, 8]);
  expect(parse({}).memoryBudget).toBeUndefined();
});

it('fills in the keys of a drop plan that are not given', () => {
  expect(parse({}).drop).toEqual({ kind: 'none' });
  expect(parse({ drop: { kind: 'uniform', rate: 0.5 } }).drop).toEqual({ kind: 'uniform', rate: 0.5, sampling: 'bernoulli', weights: false });
  expect(parse({ drop: { kind: 'lisa', period: 3 } }).drop).toEqual({ kind: 'lisa', layers: 2, period: 3 });
});

it('reads keys by the names they had in version 0.1.0, and tells of them', () => {
  const notes: string[] = [];
  const note = (text: string): void => void notes.push(text);
  expect(parseConfig({ model: 'm', data: 'd', adapter: 'gpu' }, 'run.yaml', note).device).toBe('gpu');
  expect(notes).toEqual(['run.yaml: the key adapter is called device now; the old name is still read']);
  expect(messageOf(() => parse({ adapter: 'gpu', device: 'gpu' }))).toBe('run.yaml: adapter is what device was called, and both are given; give device alone');
  expect(messageOf(() => parse({ adapter: { rank: 8 } }))).toBe('run.yaml: unknown key adapter; docs/training.md lists the keys');
});
