/** @file What an op that was added from docs/adding.md is held to, as the ops of the house are. */

import { throws } from 'node:assert/strict';
import { compileModel } from '../../src/compile/compile.ts';
import { opDef } from '../../src/ir/ops/index.ts';
import { verify } from '../../src/ir/verify.ts';
import { param, unit } from '../../src/trace/context.ts';
import { mean } from '../../src/trace/math.ts';
import { mul, type Tensor } from '../../src/trace/nn.ts';
import { defineModel, traceModel } from '../../src/trace/trace.ts';
import { checkDerivative, checkKernels, checkSample, hasPlainKernels } from '../support/opChecks.ts';
import { CPU_DEVICE } from '../support/tinyModels.ts';

/** Its samples, its kernels, its derivative, its rejections; and a model that uses it compiles, forward and backward. */
export function checkAddedOp(name: string, use: (x: Tensor) => Tensor): void {
  const def = opDef(name);
  for (const sample of def.samples) {
    checkSample(def, sample);
    checkDerivative(def, sample);
    if (!hasPlainKernels(def, sample)) throw new Error(`${name}: its kernels are not run`);
    checkKernels(def, sample);
  }
  for (const { types, attrs = {}, constraint } of def.rejects ?? []) throws(() => def.infer(types, attrs), new RegExp(`${name} ${constraint}:`));
  throws(() => def.infer([], {}), /C0: takes one operand/);
  const model = traceModel(
    defineModel({
      inputs: { x: { dtype: 'f32', shape: ['B', 6] } },
      build: ({ x }) => mean(unit('branch', x, (v) => mul(param('w', [6]), use(v)))),
    }),
    { dims: { B: 4 } },
  );
  verify(model.module);
  compileModel(model, { device: CPU_DEVICE });
}
