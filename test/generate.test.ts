/** @file How a token is chosen from logits: the likeliest one, or a draw that temperature, top-k and top-p restrict. */

import { chooseToken } from '../src/session/generator.ts';

const logits = Float32Array.from([0, 2, 1, 2, -1]);
const all = { temperature: 1, topK: 0, topP: 1, seed: 7 };
const draws = (settings: typeof all, count = 4000): number[] => Array.from({ length: count }, (_, i) => chooseToken(logits, settings, i));

test('a temperature of 0 takes the likeliest token, the first of equals', () => {
  expect(chooseToken(logits, { ...all, temperature: 0 }, 3)).toBe(1);
});

test('one token is left by top-k of 1 and by a small top-p', () => {
  expect(new Set(draws({ ...all, topK: 1 }, 50))).toEqual(new Set([1]));
  expect(new Set(draws({ ...all, topP: 1e-6 }, 50))).toEqual(new Set([1]));
});

test('tokens that top-k and top-p leave out are never drawn', () => {
  expect(new Set(draws({ ...all, topK: 3 }))).toEqual(new Set([1, 2, 3]));
  // the probabilities are 0.398 for tokens 1 and 3, 0.146 for token 2, 0.054 for token 0
  expect(new Set(draws({ ...all, topP: 0.9 }))).toEqual(new Set([1, 2, 3]));
  expect(new Set(draws({ ...all, topP: 0.95 }))).toEqual(new Set([0, 1, 2, 3]));
});

test('tokens are drawn as often as their probabilities after the temperature say', () => {
  for (const temperature of [0.5, 1, 2]) {
    const weights = Array.from(logits, (x) => Math.exp(x / temperature));
    const total = weights.reduce((a, b) => a + b, 0);
    const drawn = draws({ ...all, temperature });
    weights.forEach((weight, id) => {
      const share = drawn.filter((d) => d === id).length / drawn.length;
      // five standard errors of a share
      expect(Math.abs(share - weight / total)).toBeLessThan(5 * Math.sqrt(0.25 / drawn.length));
    });
  }
});
