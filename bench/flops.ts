/** @file Counts the floating-point operations of a step by arithmetic alone. PyTorch's times and the GFLOP/s of all steps are based on it. */

import { modelSpec } from './spec.ts';

/** What a step trains: the units without a backward, and the rank of low-rank adapters (0 trains everything). */
export interface Tuning {
  readonly drop: readonly string[];
  readonly lora: number;
}

/** The names of a model's units, in order. */
export function unitsOfModel(model: string): string[] {
  return Array.from({ length: modelSpec(model).layers }, (_, i) => [`layers.${i}.attn`, `layers.${i}.mlp`]).flat();
}

/** A residual branch. */
interface Branch {
  /** `first` says whether the layer's input is the input of the branch. */
  readonly linears: readonly (readonly [inputs: number, outputs: number, first: boolean])[];
  /** FLOPs of the attention between them. */
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
      // scores and the weighted sum, including the masked half
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
 * Returns the FLOPs of forward and backward. The backward of a linear layer takes one product for its input and one for its weight. Where
 * only adapters are trained, it takes none for the weight, and at the first kept unit none for the input. The backward of attention takes
 * twice its forward. Dropped units have no backward.
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
    // where everything else is frozen, no gradient is needed below the first kept unit
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
