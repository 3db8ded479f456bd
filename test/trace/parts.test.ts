/** @file A stored head in parts of its rows: every part begins where a device can bind it, whatever the rows take. */

import * as fc from 'fast-check';
import { compileModel } from '../../src/compile/compile.ts';
import { storedBytes } from '../../src/runtime/lasting.ts';
import { ALIGNMENT } from '../../src/runtime/link/layout.ts';
import { CPU_DEVICE, tinyModel } from '../support/tinyModels.ts';

const half = fc.record({ dtype: fc.constantFrom('f16' as const, 'bf16' as const), hiddenSize: fc.integer({ min: 4, max: 21 }) });
const blocks = fc.record({
  dtype: fc.constantFrom('q8_0' as const, 'q4_0' as const),
  hiddenSize: fc.constantFrom(32, 96),
  headDim: fc.constant(8),
  intermediateSize: fc.constant(64),
});

it('starts at multiples of 256 bytes inside the weight', () => {
  let parted = 0;
  fc.assert(
    fc.property(fc.oneof(half, blocks), fc.integer({ min: 200, max: 600 }), fc.boolean(), (stored, vocabSize, tie) => {
      const options = { headDim: 2, ...stored, vocabSize, tie, numLayers: 1, lora: true, dims: { B: 1, T: 4 }, logitsKept: 4 * 4 * 90 };
      const { program } = compileModel(tinyModel(options), { device: CPU_DEVICE, optimizers: ['sgd'] });
      for (const call of program.calls)
        for (const argument of call.arguments) {
          if (argument.kind !== 'param' || argument.offset === undefined) continue;
          if (argument.offset > 0) parted++;
          expect(argument.offset % ALIGNMENT).toBe(0);
          expect(argument.offset).toBeLessThan(storedBytes(program.params[argument.param]!));
        }
    }),
    { numRuns: 12 },
  );
  expect(parted).toBeGreaterThan(0);
});
