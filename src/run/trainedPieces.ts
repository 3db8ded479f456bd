/** @file What was trained as it is written: every value is looked at, and rounded to the type that the file is to have. */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { f32ToBf16, f32ToF16 } from '../formats/floats.ts';
import { notFinite } from '../runtime/inputs.ts';
import type { RunConfig } from '../train/config.ts';

/** Types that weights are written in, by their names in safetensors files. */
export type WrittenDtype = 'F32' | 'F16' | 'BF16';

/** What a run's weights come back as: as the checkpoint has them, or a type for all of them. */
export type ResultDtype = RunConfig['resultDtype'];

/** Types by the names of run files. */
const DTYPES: Readonly<Record<string, WrittenDtype>> = { f32: 'F32', f16: 'F16', bf16: 'BF16' };
/**
 * The type that a trained tensor is written in: the one it has in the checkpoint, so that a model comes back as it went in. Blocks of quants
 * cannot be trained on, and come back as f32, which rounds nothing; so does what was drawn, and an adapter.
 */
export function writtenDtype(asked: ResultDtype, stored: string | undefined): WrittenDtype {
  return DTYPES[asked === 'checkpoint' ? (stored ?? 'f32') : asked] ?? 'F32';
}

/** Nearest values of a type, ties to even, as bytes. */
const ROUNDED: Readonly<Record<WrittenDtype, (values: Float32Array) => ArrayBufferView>> = { F32: (values) => values, F16: f32ToF16, BF16: f32ToBf16 };

/** From where on a type rounds to infinity: half a step behind its largest number. */
const ENDS: Readonly<Record<WrittenDtype, number>> = { F32: Number.POSITIVE_INFINITY, F16: 65520, BF16: 2 ** 128 - 2 ** 119 };

/**
 * The pieces of a tensor, as they are to be written.
 * @param name of the tensor, for errors
 * @throws EbbError for a value that is NaN or infinite, and for one that the type does not reach
 */
export async function* trainedPieces(name: string, pieces: AsyncIterable<Float32Array>, dtype: WrittenDtype = 'F32'): AsyncGenerator<ArrayBufferView> {
  let before = 0;
  for await (const values of pieces) {
    const broken = notFinite(values);
    if (broken >= 0)
      throw new EbbError(
        `after training ${show(name)} holds ${values[broken]} at element ${before + broken}, expected finite numbers; it is not written: go on from the last checkpoint with a lower learning rate (optimizer.lr)`,
        'numbers',
      );
    const far = values.findIndex((value) => Math.abs(value) >= ENDS[dtype]);
    if (far >= 0)
      throw new EbbError(
        `after training ${show(name)} holds ${values[far]} at element ${before + far}, which ${dtype} has no number for; it is not written: resume with resultDtype: f32`,
        'numbers',
      );
    before += values.length;
    yield ROUNDED[dtype](values);
  }
}
