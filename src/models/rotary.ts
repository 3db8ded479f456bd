/** @file Rotary angles: cos and sin of position × frequency, computed in f32 steps as transformers' modeling_rope_utils does. */

import type { Rope, RopeScaling } from '../formats/hfRope.ts';
import { param } from '../trace/context.ts';
import type { Tensor } from '../trace/nn.ts';

/** Rotary settings of heads whose first `width` elements are turned. */
export interface Rotary extends Rope {
  /** An even number; headDim where whole heads are turned. */
  readonly width: number;
}

/** Scales `base` as Llama 3.1 does (§3.4 of its paper): long wavelengths by the factor, short ones not, those between in part. */
function llama3(base: Float32Array, scaling: Extract<RopeScaling, { type: 'llama3' }>): Float32Array {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPosition } = scaling;
  return base.map((f) => {
    const wavelength = (2 * Math.PI) / f;
    if (wavelength < originalMaxPosition / highFreqFactor) return f;
    if (wavelength > originalMaxPosition / lowFreqFactor) return f / factor;
    const smooth = (originalMaxPosition / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return ((1 - smooth) * f) / factor + smooth * f;
  });
}

/** The width / 2 frequencies, in radians a position: theta^(−2i/width), scaled as the settings say. */
function frequenciesOf({ width, ropeTheta, ropeScaling }: Rotary): Float32Array {
  const base = Float32Array.from({ length: width / 2 }, (_, i) => 1 / Math.fround(ropeTheta ** Math.fround((2 * i) / width)));
  if (!ropeScaling) return base;
  return ropeScaling.type === 'linear' ? base.map((f) => f / ropeScaling.factor) : llama3(base, ropeScaling);
}

/**
 * The table [positions, width] that `rope` reads: of each position cos of its width / 2 angles, then sin of them. It is a parameter that is computed,
 * never loaded, saved or trained, and each use may declare it.
 * @param name tells tables of different settings apart, where layers differ
 */
export function rotaryAngles(rotary: Rotary, positions: number, name = 'rope.angles'): Tensor {
  const { width } = rotary;
  const half = width / 2;
  const frequencies = frequenciesOf(rotary);
  const table = (): Float32Array => {
    const rows = new Float32Array(positions * width);
    for (let position = 0; position < positions; position++)
      frequencies.forEach((frequency, i) => {
        const angle = Math.fround(position * frequency);
        rows[position * width + i] = Math.cos(angle);
        rows[position * width + half + i] = Math.sin(angle);
      });
    return rows;
  };
  return param(name, [positions, width], { table });
}
