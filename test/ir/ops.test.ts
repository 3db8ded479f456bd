/** @file Every op of the registry: decomposition and kernels against evaluation, derivative against finite differences, a rejection per constraint. */

import { allOps } from '../../src/ir/ops/index.ts';
import { checkDerivative, checkKernels, checkSample, hasPlainKernels } from '../support/opChecks.ts';

const tested = allOps().filter((def) => def.samples.length > 0);

describe('ops', () => {
  it('all have samples, but those without arithmetic of their own', () => {
    expect(
      allOps()
        .filter((def) => def.samples.length === 0)
        .map((def) => def.name),
    ).toEqual(['call', 'fused']);
  });

  for (const def of tested) {
    def.samples.forEach((sample, n) => {
      it(`${def.name} ${n}: types as inferred, decomposition as evaluated`, () => {
        checkSample(def, sample);
      });

      if (hasPlainKernels(def, sample))
        it(`${def.name} ${n}: kernels as evaluated`, () => {
          checkKernels(def, sample);
        });

      if (!def.vjp || !sample.types.some((t) => t.dtype === 'f32')) return;
      it(`${def.name} ${n}: derivative against central differences`, () => {
        checkDerivative(def, sample);
      });
    });

    for (const rejected of def.rejects ?? []) {
      it(`${def.name} ${rejected.constraint} is refused by name`, () => {
        expect(() => def.infer(rejected.types, rejected.attrs ?? {})).toThrow(`${def.name} ${rejected.constraint}:`);
      });
    }
  }
});
