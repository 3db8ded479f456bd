/** @file The flag that lets products round their operands. */

import { Option } from 'commander';
import type { MatmulPrecision } from '../../codegen/kernel/matmul/work.ts';
import type { DeviceProfile } from '../../runtime/deviceProfile.ts';
import { say } from '../../terminal/options.ts';

/** The option `--matmul-precision`. It means what the key `matmulPrecision` of a run means. */
export function precisionOption(): Option {
  return new Option(
    '--matmul-precision <type>',
    'type that the operands of products may be rounded to, on devices that multiply matrices of f16; sums are always f32',
  )
    .choices(['f32', 'f16'])
    .default('f32');
}

/** Says on stderr that f16 was asked for and changes nothing, where the device multiplies no matrices of f16. */
export function tellPrecision(precision: MatmulPrecision, { name, matrices }: DeviceProfile): void {
  if (precision === 'f16' && !matrices?.shapes.some(({ input }) => input === 'f16'))
    say(`--matmul-precision f16: ${name} multiplies no matrices of f16, so this option changes nothing`);
}
