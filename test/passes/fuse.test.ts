/** @file Fusion keeps the meaning, keeps to the binding limit, and computes every result once. */

import * as fc from 'fast-check';
import type { Func, Op } from '../../src/ir/types.ts';
import { verify } from '../../src/ir/verify.ts';
import { runPasses } from '../../src/passes/pass.ts';
import { FORWARD, KERNELS } from '../../src/passes/pipeline.ts';
import { randomFunc, randomInputs, run } from '../support/randomFunc.ts';

const fused = (func: Func, maxBuffers: number): Func => runPasses(KERNELS, runPasses(FORWARD, func, undefined), { maxBuffers });
const bindings = (op: Op): number => op.operands.length + op.results.length;

it.each([8, 5])('random functions mean the same when fused for %i bindings', (maxBuffers) => {
  fc.assert(
    fc.property(randomFunc(30), (func) => {
      const made = fused(func, maxBuffers);
      verify({ dims: {}, funcs: [made] });
      for (const op of made.ops) expect(['fused', 'reshape']).toContain(op.name);
      for (const op of made.ops) expect(bindings(op)).toBeLessThanOrEqual(maxBuffers);
      const inputs = randomInputs(func);
      const [a, b] = [run(func, inputs), run(made, inputs)];
      a.forEach((t, i) => t.data.forEach((x, j) => expect(Math.abs(x - b[i]!.data[j]!)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(x)))));
    }),
    { numRuns: 300 },
  );
});

it('a group reads nothing that a later group writes', () => {
  fc.assert(
    fc.property(randomFunc(30), (func) => {
      const written = new Set<unknown>(func.params.map((p) => p.value));
      const made = fused(func, 8);
      for (const op of made.ops) {
        for (const v of op.operands) expect(written.has(v) || made.params.some((p) => p.value === v)).toBe(true);
        for (const r of op.results) written.add(r);
      }
    }),
  );
});
