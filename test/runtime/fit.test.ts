/** @file Fitting a pattern into less memory: it fits, and no other choice of units to run again that fits costs fewer FLOPs. */

import { fitPattern } from '../../src/runtime/link/fit.ts';
import type { Form, Pattern } from '../../src/runtime/link/forms.ts';
import type { Linker } from '../../src/runtime/link/link.ts';
import { functionFlops } from '../../src/runtime/program.ts';
import { linkedModel } from '../support/linkers.ts';

const MODELS = {
  'llama, full': linkedModel({ numLayers: 4, dims: { B: 2, T: 32 } }),
  'llama, LoRA': linkedModel({ numLayers: 4, lora: true, dims: { B: 2, T: 32 } }),
  'gpt2, full': linkedModel({ kind: 'gpt2', numLayers: 4, dims: { B: 2, T: 32 } }),
};

describe.each(Object.entries(MODELS))('%s', (_name, { program, linker, units, sizes }) => {
  const cost = (again: readonly string[]): number =>
    program.calls.filter((c) => again.includes(c.site)).reduce((sum, c) => sum + functionFlops(program.functions[c.forward]!, sizes), 0);

  it.each([
    ['nothing dropped', []],
    ['some dropped', ['layers.1.attn', 'layers.2.mlp', 'layers.3.attn']],
  ])('%s', (_what, dropped) => {
    const pattern: Pattern = new Map(dropped.map((u): [string, Form] => [u, 'dropped']));
    const free = units.filter((u) => !dropped.includes(u));
    const subsets = Array.from({ length: 2 ** free.length }, (_, bits) => {
      const again = free.filter((_u, i) => (bits >> i) & 1);
      return { again, bytes: linker.link(new Map([...pattern, ...again.map((u) => [u, 'remat'] as const)])).stackBytes };
    });
    const [least, most] = [Math.min(...subsets.map((s) => s.bytes)), subsets[0]!.bytes];
    expect(least).toBeLessThan(0.9 * most);
    const counts = new Set<number>();
    for (let k = 0; k <= 40; k++) {
      const budget = least + Math.round(((most - least) * k) / 40);
      const fitted = fitPattern(program, linker, sizes, pattern, budget)!;
      expect(fitted.variant.stackBytes).toBeLessThanOrEqual(budget);
      expect(linker.link(fitted.pattern).stackBytes).toBe(fitted.variant.stackBytes);
      counts.add(fitted.again.length);
      const optimum = Math.min(...subsets.filter((s) => s.bytes <= budget).map((s) => cost(s.again)));
      expect({ budget, cost: cost(fitted.again) }).toEqual({ budget, cost: optimum });
    }
    expect(counts.size).toBeGreaterThan(3);
    expect(fitPattern(program, linker, sizes, pattern, least - 1)).toBeNull();
  });
});

it('fits a pattern of 64 units that was never seen in a few links', () => {
  const { program, linker, units, sizes } = linkedModel({ numLayers: 32, dims: { B: 2, T: 32 } });
  const whole = linker.link(new Map()).stackBytes;
  const links = Array.from({ length: 21 }, (_, k) => {
    const forms = new Map(units.filter((_u, i) => ((i * 2654435761 + k * 40503) >>> 7) % 3 === 0).map((u): [string, Form] => [u, 'dropped']));
    let count = 0;
    const link: Linker['link'] = (...given) => {
      count++;
      return linker.link(...given);
    };
    expect(fitPattern(program, { ...linker, link }, sizes, forms, 0.4 * whole)!.again.length).toBeGreaterThan(5);
    return count;
  });
  // It is linked as it is, with everything run again, and as it was found to fit; each stack that is larger than was foreseen costs one more.
  expect(Math.max(...links)).toBeLessThan(5);
});
