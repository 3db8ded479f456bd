/** @file The flag that lets products round their operands. */

import { Option } from 'commander';

/** `--matmul-precision`, as the key `matmulPrecision` of a run. */
export function precisionOption(): Option {
  return new Option('--matmul-precision <type>', 'what operands of products may be rounded to, where the device multiplies matrices of f16; sums are f32')
    .choices(['f32', 'f16'])
    .default('f32');
}
