/** @file A run's configuration: defaults, and errors that name the key, the value found and what is expected. */

import { parseConfig } from '../../src/train/config.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

const parse = (input: object) => parseConfig({ model: 'm', data: 'd', ...input }, 'run.yaml');

it.each<[object, string]>([
  [{ lora: { layers: '*.q_proj' } }, 'lora.layers: is "*.q_proj", expected array'],
  [{ lora: { rank: 0 } }, 'lora.rank: is 0, expected >0'],
  [{ lora: { rank: 1.5 } }, 'lora.rank: is 1.5, expected int'],
  [{ lora: { rang: 4 } }, 'unknown key lora.rang'],
  [{ lora: 'yes' }, 'lora: is "yes", expected false or true or object'],
  [{ optimizer: { name: 'lion' } }, 'optimizer.name: is "lion", expected "adamw" or "sgd"'],
  [{ optimizer: {} }, 'optimizer.name: is missing, expected "adamw" or "sgd"'],
  [{ optimizer: { name: 'sgd', betas: [0, 1] } }, 'unknown key optimizer.betas'],
  [{ optimizer: { name: 'adamw', betas: [0, 'x'] } }, 'optimizer.betas.1: is "x", expected number'],
  [{ drop: { kind: 'uniform', rate: 1.5 } }, 'drop.rate: is 1.5, expected <=1'],
  [{ drop: { kind: 'sensitivity' } }, 'drop.kind: is "sensitivity", expected "none" or "uniform" or "fixed"'],
  [{ decay: 'none' }, 'decay: is "none", expected "matrices" or "all"'],
  [{ steps: 0 }, 'steps: is 0, expected >0'],
  [{ data: undefined }, 'data is missing; give --data, or the key in a run file (YAML)'],
  [{ learningRate: 3 }, 'unknown key learningRate'],
])('%j is refused by its key', (input, message) => {
  expect(messageOf(() => parse(input))).toBe(`run.yaml: ${message}; docs/training.md lists the keys`);
});

it('refuses what is no list of keys', () => {
  expect(messageOf(() => parseConfig('text', 'run.yaml'))).toBe('run.yaml: is "text", expected object; docs/training.md lists the keys');
});

it('takes lora: true for an adapter with the defaults; one that goes on has no defaults of its own', () => {
  expect(parse({ lora: true }).lora).toEqual({ layers: ['*'], rank: 8, alpha: 16, rslora: false, dropout: 0 });
  expect(parse({ lora: {} }).lora).toEqual(parse({ lora: true }).lora);
  expect(parse({ lora: { from: 'a', rank: 4 } }).lora).toEqual({ from: 'a', rank: 4, dropout: 0 });
  expect(parse({}).lora).toBe(false);
});
