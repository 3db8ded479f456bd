/** @file How rotary embeddings are scaled, as a GGUF file says it: by a key, or by a tensor of factors. */

import { EbbError } from '../errors.ts';
import { type GgufKeys, shortest } from '../formats/ggufKeys.ts';
import type { RopeScaling } from '../formats/hfRope.ts';

type Llama3Scaling = Extract<RopeScaling, { type: 'llama3' }>;

/** The factor of a head's pair `i` that llama.cpp's converter writes for the llama3 rope type (convert_hf_to_gguf.py, LlamaModel.generate_extra_tensors). */
function llama3Factor(i: number, headDim: number, theta: number, s: Llama3Scaling): number {
  const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
  if (wavelength < s.originalMaxPosition / s.highFreqFactor) return 1;
  if (wavelength > s.originalMaxPosition / s.lowFreqFactor) return s.factor;
  const smooth = (s.originalMaxPosition / wavelength - s.lowFreqFactor) / (s.highFreqFactor - s.lowFreqFactor);
  return 1 / ((1 - smooth) / s.factor + smooth);
}

/** The factors of all pairs of a head, headDim / 2 of them. */
export function llama3Factors(headDim: number, theta: number, scaling: Llama3Scaling): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => llama3Factor(i, headDim, theta, scaling));
}

/** Positions of pretraining that Llama 3.1 and 3.2, and models made like them, are scaled from. */
const ORIGINAL_POSITIONS = [8192, 4096, 16384, 32768];

/** The scaling that a tensor of factors stands for: GGUF keeps llama3 scaling as nothing else. It is accepted where it is Llama 3.1's or 3.2's own setting. */
function scalingOfFactors({ gguf: { file }, settings }: GgufKeys, headDim: number, theta: number): RopeScaling | null {
  const found = settings('rope_freqs.weight', headDim / 2);
  if (!found || found.every((x) => x === 1)) return null;
  const factor = shortest(Math.max(...found));
  for (const originalMaxPosition of ORIGINAL_POSITIONS) {
    const candidate = { type: 'llama3', factor, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition } as const;
    const isFactor = (x: number, i: number): boolean => {
      const expected = llama3Factor(i, headDim, theta, candidate);
      return Math.abs(expected - x) <= 1e-4 * expected;
    };
    if (found.every(isFactor)) return candidate;
  }
  throw new EbbError(`${file}: rope_freqs.weight holds factors that are no llama3 scaling Ebb knows (low_freq_factor 1, high_freq_factor 4)`);
}

/** How the frequencies of a model are scaled; null: they are not. @throws EbbError for a kind of scaling that Ebb does not support */
export function readGgufScaling(keys: GgufKeys, headDim: number, theta: number): RopeScaling | null {
  const type = keys.value('rope.scaling.type') ?? 'none';
  if (type === 'linear') {
    const factor = keys.positive('rope.scaling.factor');
    return factor === 1 ? null : { type, factor };
  }
  if (type !== 'none') keys.refuse('rope.scaling.type', 'none or linear');
  return scalingOfFactors(keys, headDim, theta);
}
