/**
 * @file Gradients of whole modules: what the compiled forms of random models make, under random patterns, is what finite differences give.
 * EBB_RUNS asks for another number of models.
 */

import * as fc from 'fast-check';
import { formModel } from '../../src/compile/forms.ts';
import { verify } from '../../src/ir/verify.ts';
import type { Form } from '../../src/runtime/link/forms.ts';
import { direction, type Frozen, type Setting, surrogateLoss, variantGradients } from '../support/moduleEvaluator.ts';
import { BOUNDS, modelOf, randomRecipe, randomValues } from '../support/randomModule.ts';

const STEP = 1e-5;
const FORMS: readonly Form[] = ['full', 'dropped', 'remat', 'full'];

it('agree with finite differences, over random graphs, forms, branch weights and loss scales', () => {
  fc.assert(
    fc.property(randomRecipe(), fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }), fc.nat(1000), (recipe, forms, seed) => {
      const model = modelOf(recipe);
      verify(model.module);
      const sizes = recipe.fixed ? BOUNDS : { B: 1 + (seed % 3), T: 2 + (seed % 2) };
      const values = randomValues(model, sizes, seed);
      const setting: Setting = {
        sizes,
        values,
        forms: new Map(model.units.map((u, i): [string, Form] => [u, FORMS[forms[i % forms.length]!]!])),
        weight: (site) => 1 + ((site.length + seed) % 3) / 2,
      };
      const scale = 1 / (1 + (seed % 2));
      const { results, gradients } = variantGradients(model, formModel(model), setting, scale);
      const frozen: Frozen = new Map();
      const base = surrogateLoss(model, setting, frozen);
      base.forEach((t, i) => t.data.forEach((x, k) => expect(results[i]!.data[k]).toBeCloseTo(x, 9)));
      for (const [i, { name, shape }] of model.params.entries()) {
        const along = direction(shape, seed + i);
        const value = values.get(name)!;
        const moved = (step: number): number => {
          const shifted = { ...value, data: value.data.map((x, k) => x + step * along[k]!) };
          return surrogateLoss(model, { ...setting, values: new Map([...values, [name, shifted]]) }, frozen)[0]!.data[0]!;
        };
        const wanted = (scale * (moved(STEP) - moved(-STEP))) / (2 * STEP);
        const found = gradients.get(name)?.data.reduce((sum, g, k) => sum + g * along[k]!, 0) ?? 0;
        expect({ name, off: Math.abs(found - wanted) <= 1e-6 * Math.max(1, Math.abs(wanted)), found, wanted }).toMatchObject({ off: true });
      }
    }),
    { numRuns: Number(process.env['EBB_RUNS'] ?? 300) },
  );
});
