/** @file A stub of a target: kernels as S-expressions, as WebAssembly's text format writes its modules. What it prints says all that runs. */

import type { Kernel } from '../../kernel/ir.ts';
import { STARTING_SCHEDULES } from '../../kernel/lower/starting.ts';
import type { Target } from '../target.ts';

const list = (words: readonly string[]): string => `(${words.join(' ')})`;
const isComment = (value: unknown): boolean => typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'comment';

/** A text in quotes, a number bare, `(list value …)`, `(node key value …)`; comments are left out. */
function written(value: unknown): string {
  if (Array.isArray(value)) return list(['list', ...value.filter((item) => !isComment(item)).map(written)]);
  if (typeof value === 'object' && value !== null)
    return list(['node', ...Object.entries(value).flatMap(([key, item]) => (key === 'comment' || item === undefined ? [] : [key, written(item)]))]);
  if (typeof value === 'string') return `"${value}"`;
  return Object.is(value, -0) ? '-0' : String(value);
}

const printWat = ({ name, buffers, shared, workgroup, body }: Kernel): string => `${written({ name, buffers, shared, workgroup, body })}\n`;

export const WAT: Target = {
  name: 'wat',
  title: 'WebAssembly text',
  lineComment: ';;',
  word: (index) => `(node kind "param" type "u32" index ${index})`,
  reserved: new Set(),
  print: printWat,
  features: () => [],
  schedules: STARTING_SCHEDULES,
};
