/** @file WGSL as a target: https://www.w3.org/TR/WGSL/. */

import { MATRIX_FEATURE } from '../../../runtime/matrices.ts';
import { STARTING_SCHEDULES } from '../../kernel/lower/starting.ts';
import type { Target } from '../target.ts';
import { printWgsl } from './print.ts';
import { wordText } from './printExpr.ts';
import { RESERVED_NAMES } from './reserved.ts';

export const WGSL: Target = {
  name: 'wgsl',
  title: 'WGSL',
  lineComment: '//',
  word: wordText,
  reserved: RESERVED_NAMES,
  print: printWgsl,
  features: ({ subgroups, f16, matrices }) => [...(subgroups ? ['subgroups'] : []), ...(f16 ? ['shader-f16'] : []), ...(matrices ? [MATRIX_FEATURE] : [])],
  schedules: STARTING_SCHEDULES,
};
