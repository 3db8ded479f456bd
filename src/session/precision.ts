/** @file Says where rounding operands of products changes nothing. */

import type { MatmulPrecision } from '../codegen/kernel/matmul/work.ts';
import { tell, type Watch } from '../run/progress.ts';
import type { DeviceProfile } from '../runtime/deviceProfile.ts';

/** Tells that f16 was asked for and changes nothing, where the device multiplies no matrices of f16. */
export function tellPrecision(watch: Watch, precision: MatmulPrecision, { name, matrices }: DeviceProfile): void {
  if (precision === 'f16' && !matrices?.shapes.some(({ input }) => input === 'f16'))
    tell(watch, `--matmul-precision f16: ${name} multiplies no matrices of f16, so this option changes nothing`);
}
