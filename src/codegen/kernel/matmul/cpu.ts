/** @file What matmul schedules on a CPU have in common: compilers that take long, sums that are spilled anyway. */

import type { CpuTraits } from '../device.ts';
import { powerAtLeast } from './kind.ts';
import type { MatmulWork } from './work.ts';

/** Multiply-adds below which a product is small: some 5 ms on a software adapter. */
const SMALL_PRODUCT = 2 ** 23;

/** How kernels on a CPU walk and store. */
export const onCpu = ({ fma }: CpuTraits) => ({ inTurn: true, storeLoop: true, fma }) as const;

/** Whether a product is too small for a tall tile, which takes the driver a second to compile. */
export const isSmall = ({ sizes: { m, n, k } }: MatmulWork): boolean => m * n * k < SMALL_PRODUCT;

/** Whether there are few columns and many rows (LoRA), so that lanes go along m. */
export const hasFewColumns = ({ sizes: { m, n } }: MatmulWork): boolean => n <= 16 && m >= 16;

/** The largest number of rows per lane that compiles in a short time. */
export function tallRows(work: MatmulWork, { fma }: CpuTraits): number {
  const { sizes, load } = work;
  return powerAtLeast(sizes.m, isSmall(work) ? 4 : load.everyStep || fma ? 32 : 16);
}
