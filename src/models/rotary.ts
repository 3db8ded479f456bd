/** @file Rotary angles: cos and sin of position × frequency, computed in f32 steps as transformers' modeling_rope_utils does. */

import type { LlamaConfig } from '../formats/hfConfig.ts';
import { param } from '../trace/context.ts';
import type { Tensor } from '../trace/nn.ts';

/** Frequencies, `headDim / 2` of them, after the scaling config.json names (linear; llama3: Llama 3.1 §3.4 as in `_compute_llama3_parameters`). */
export function inverseFrequencies({ headDim, ropeTheta, ropeScaling }: Pick<LlamaConfig, 'headDim' | 'ropeTheta' | 'ropeScaling'>): Float32Array {
  const base = Float32Array.from({ length: headDim / 2 }, (_, i) => 1 / Math.fround(ropeTheta ** Math.fround((2 * i) / headDim)));
  if (!ropeScaling) return base;
  if (ropeScaling.type === 'linear') return base.map((f) => f / ropeScaling.factor);
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPosition } = ropeScaling;
  return base.map((f) => {
    const wavelength = (2 * Math.PI) / f;
    if (wavelength < originalMaxPosition / highFreqFactor) return f;
    if (wavelength > originalMaxPosition / lowFreqFactor) return f / factor;
    const smooth = (originalMaxPosition / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return ((1 - smooth) * f) / factor + smooth * f;
  });
}

/** The fixed parameter [positions, headDim] that `rope` reads: cos of a position's headDim / 2 angles, then sin of them. */
export function rotaryAngles(config: LlamaConfig, positions: number): Tensor {
  const { headDim } = config;
  const half = headDim / 2;
  const frequencies = inverseFrequencies(config);
  const table = (): Float32Array => {
    const rows = new Float32Array(positions * headDim);
    for (let position = 0; position < positions; position++)
      frequencies.forEach((frequency, i) => {
        const angle = Math.fround(position * frequency);
        rows[position * headDim + i] = Math.cos(angle);
        rows[position * headDim + half + i] = Math.sin(angle);
      });
    return rows;
  };
  return param('rope.angles', [positions, headDim], { table });
}
