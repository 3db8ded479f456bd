/** @file Short amounts, for where there is little room. */

import { amount } from '../report.ts';

/** Writes an amount with three digits: `529 kB`, `1.05 MB`. */
export function short(value: number, unit: string): string {
  return amount(Number(value.toPrecision(3)), unit)
    .replace(/(\.\d*?)0+ /, '$1 ')
    .replace('. ', ' ')
    .trim();
}
