/** @file Amounts where room is short. */

import { amount } from '../report.ts';

/** An amount in three digits: `529 kB`, `1.05 MB`. */
export function short(value: number, unit: string): string {
  return amount(Number(value.toPrecision(3)), unit)
    .replace(/(\.\d*?)0+ /, '$1 ')
    .replace('. ', ' ')
    .trim();
}
