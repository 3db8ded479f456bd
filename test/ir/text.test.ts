/** @file The text form: whatever is built prints, parses back to itself, and keeps its meaning; errors name line and column. */

import * as fc from 'fast-check';
import { parseModule } from '../../src/ir/parse.ts';
import { printModule } from '../../src/ir/print.ts';
import type { Func, Module } from '../../src/ir/types.ts';
import { verify } from '../../src/ir/verify.ts';
import { randomFunc, randomInputs, run } from '../support/randomFunc.ts';
import { tinyModel } from '../support/tinyModels.ts';

const moduleOf = (func: Func): Module => ({ dims: {}, funcs: [func] });

it('random functions come back from their text with the same text and the same numbers', () => {
  fc.assert(
    fc.property(randomFunc(), (func) => {
      const text = printModule(moduleOf(func));
      const back = parseModule(text, 'random.ebb');
      verify(back);
      expect(printModule(back)).toBe(text);
      const inputs = randomInputs(func);
      expect(run(back.funcs[0]!, inputs).map((t) => [...t.data])).toEqual(run(func, inputs).map((t) => [...t.data]));
    }),
    { numRuns: 200 },
  );
});

it('text that is damaged in one place is refused with its line and column, or still means something well formed', () => {
  const text = printModule(tinyModel({ numLayers: 1 }).module);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom('', '%', '(', '}', '@@', 'x', ' = ', '9'), (at, piece) => {
      const damaged = text.slice(0, at) + piece + text.slice(at + 1);
      try {
        const module = parseModule(damaged, 'damaged.ebb');
        expect(printModule(parseModule(printModule(module), 'again.ebb'))).toBe(printModule(module));
      } catch (error) {
        expect(error).toMatchObject({ message: expect.stringMatching(/^damaged\.ebb:\d+:\d+: |^[a-z_]+ C\d+: |^@|^damaged\.ebb: /) });
      }
    }),
    // a line end lost before `return`: an op without results
    { numRuns: 300, examples: [[text.indexOf('\n  return'), 'x']] },
  );
});

it.each([
  ['func @f(%x: f32[2]) -> (f32[2]) {\n  return %y\n}', /:\d+:\d+: .*%y/],
  ['func @f(%x: f32[2]) -> f32[2] {\n  return %x\n}', /:2:24: expected "\("/],
  ['ebb 99\n', /^bad\.ebb:1:5: expected version 1 of the text form, found "99"; print the module again with this Ebb$/],
  ['func @f(%x: f32[2]) -> (f32[3]) {\n  return %x\n}', /:\d+:\d+: expected @f above to return \(f32\[3\]\)/],
  ['func @f(%x: f99[2]) -> f32[2] {\n  return %x\n}', /:\d+:\d+: .*f99/],
  ['func @f(%x: f32[2] -> f32[2] {\n  return %x\n}', /:\d+:\d+: expected/],
  ['func @f(%x: f32[2]) -> (f32[2]) {\n  %y = frobnicate %x : f32[2]\n  return %y\n}', /frobnicate/],
])('refuses %j', (body, message) => {
  const header = printModule({ dims: {}, funcs: [] }).trim();
  const text = body.startsWith('ebb') ? body : `${header}\n${body}`;
  expect(() => verify(parseModule(text, 'bad.ebb'))).toThrow(message);
});
