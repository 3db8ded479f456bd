/** @file What matmul schedules on a CPU have in common: compilers that take long, sums that are spilled anyway. */

import type { CpuTraits } from '../device.ts';
import { powerAtLeast } from './kind.ts';
import type { MatmulWork } from './work.ts';

/** Multiply-adds below which a product is small: some 5 ms on a software adapter. */
const SMALL_PRODUCT = 2 ** 23;

/** How a kernel walks and stores. */
export const onCpu = ({ fma }: CpuTraits) => ({ inTurn: true, storeLoop: true, fma }) as const;

/** A tall tile takes the driver a second to compile, which a small product does not earn back. */
export const isSmall = ({ sizes: { m, n, k } }: MatmulWork): boolean => m * n * k < SMALL_PRODUCT;

/** Whether there are few columns and many rows (LoRA): lanes go along m then. */
export const hasFewColumns = ({ sizes: { m, n } }: MatmulWork): boolean => n <= 16 && m >= 16;

/** Rows a lane: as many as compile time allows. */
export function tallRows(work: MatmulWork, { fma }: CpuTraits): number {
  const { sizes, load } = work;
  return powerAtLeast(sizes.m, isSmall(work) ? 4 : load.everyStep || fma ? 32 : 16);
}
