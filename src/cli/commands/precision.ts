/** @file The flag that lets products round their operands. */

import { Option } from 'commander';

/** The option `--matmul-precision`. It means what the key `matmulPrecision` of a run means. */
export function precisionOption(): Option {
  return new Option(
    '--matmul-precision <type>',
    'type that the operands of products may be rounded to, on devices that multiply matrices of f16; sums are always f32',
  )
    .choices(['f32', 'f16'])
    .default('f32');
}
