/** @file Draws the benchmark's checkpoints and tokens where there is no numpy. Only Ebb can take part then, and the published losses do not apply to them. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { initialValues, parseHfConfig, writeSafetensors } from '../src/index.ts';
import { configText, DATA, modelSpec, SPEC } from './spec.ts';

/** A number without a sign that looks as if it were drawn. */
function mixed(seed: number, i: number): number {
  const x = Math.imul(seed ^ Math.imul(i + 1, 0x9e3779b1), 0x85ebca6b);
  return Math.imul(x ^ (x >>> 15), 0xc2b2ae35) >>> 0;
}

/** Writes the files that the contestant `ebb` reads for each model: NAME/config.json, NAME/model.safetensors and NAME.tokens.bin. */
export function drawData(names: readonly string[]): void {
  console.log(`drawing weights and tokens in ${DATA}`);
  for (const name of names) {
    const { vocab, batch, seq } = modelSpec(name);
    const text = configText(modelSpec(name));
    mkdirSync(`${DATA}/${name}`, { recursive: true });
    writeFileSync(`${DATA}/${name}/config.json`, text);
    const tensors = [...parseHfConfig(`${name}/config.json`, text).model.tensors()].map(({ name: tensor, shape }) => {
      const init = shape.length === 1 ? ({ kind: 'constant', value: 1 } as const) : ({ kind: 'normal', std: SPEC.initStd } as const);
      const count = shape.reduce((a, b) => a * b, 1);
      return { name: tensor, dtype: 'F32' as const, shape, data: initialValues(init, count, tensor, SPEC.seed) };
    });
    writeSafetensors(`${DATA}/${name}/model.safetensors`, tensors);
    const tokens = Int32Array.from({ length: batch * (seq + 1) }, (_, i) => mixed(SPEC.seed, i) % vocab);
    writeFileSync(`${DATA}/${name}.tokens.bin`, tokens);
  }
}
