/** @file Floating-point operations of a step by arithmetic alone: what PyTorch's times are held against, and every step's GFLOP/s. */

import { modelSpec } from './spec.ts';

/** How a step is trained: units that get no backward, and the rank of low-rank adapters (0: everything is trained). */
export interface Tuning {
  readonly drop: readonly string[];
  readonly lora: number;
}

/** Units of a model in order, by name. */
export function unitsOfModel(model: string): string[] {
  return Array.from({ length: modelSpec(model).layers }, (_, i) => [`layers.${i}.attn`, `layers.${i}.mlp`]).flat();
}

/** Linear layers as [inputs, outputs, whether the layer's input is the branch's own], and FLOPs of the attention between them. */
interface Branch {
  readonly linears: readonly (readonly [inputs: number, outputs: number, first: boolean])[];
  readonly attention: number;
}

function branches(model: string): { readonly attn: Branch; readonly mlp: Branch } {
  const { dim, ffn, batch, seq } = modelSpec(model);
  return {
    attn: {
      linears: [
        [dim, dim, true],
        [dim, dim, true],
        [dim, dim, true],
        [dim, dim, false],
      ],
      // scores and weighted sum, the masked half counted too
      attention: 4 * batch * seq * seq * dim,
    },
    mlp: {
      linears: [
        [dim, ffn, true],
        [dim, ffn, true],
        [ffn, dim, false],
      ],
      attention: 0,
    },
  };
}

/**
 * FLOPs of forward and backward. A backward takes a product for the input and one for the weight of each linear layer (adapters alone: no
 * weight's, and below the first kept unit no input's), twice the forward's for attention; dropped units take none.
 */
export function stepFlops(model: string, { drop, lora }: Tuning): number {
  const { dim, vocab, batch, seq } = modelSpec(model);
  const rows = batch * seq;
  const kinds = branches(model);
  const head = 2 * rows * dim * vocab;
  const units = unitsOfModel(model);
  const kept = units.filter((unit) => !drop.includes(unit));
  let total = head;
  for (const unit of units) {
    const { linears, attention } = unit.endsWith('attn') ? kinds.attn : kinds.mlp;
    const keeps = !drop.includes(unit);
    // with everything else frozen no gradient is asked of the stream before the first kept unit
    const ends = lora > 0 && unit === kept[0];
    total += attention * (keeps ? 3 : 1);
    for (const [inputs, outputs, first] of linears) {
      const product = 2 * rows * inputs * outputs;
      const adapter = 2 * rows * lora * (inputs + outputs);
      total += product + adapter;
      if (!keeps) continue;
      const [input, weight] = [ends && first ? 0 : 1, lora > 0 ? 0 : 1];
      total += product * (input + weight) + adapter * 2 - (ends && first ? 2 * rows * lora * inputs : 0);
    }
  }
  return total + head * (lora > 0 ? (kept.length > 0 ? 1 : 0) : 2);
}
