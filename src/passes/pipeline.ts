/** @file The passes in order, as data. Between `JOINT` and `KERNELS`, ./dropbp.ts splits forward from backward. */

import type { Func } from '../ir/types.ts';
import { absorb } from './absorb.ts';
import { type FuseOptions, fuse } from './fuse/index.ts';
import { type GradRequest, grad } from './grad.ts';
import { type OverwriteOptions, overwrite } from './overwrite.ts';
import { type OnPass, type Pass, runPasses } from './pass.ts';
import { expand, expandForGrad, simplify } from './simplify.ts';

const expandForGradPass: Pass<unknown> = {
  name: 'expand_for_grad',
  summary: 'composites without a derivative of their own have become primitives',
  run: expandForGrad,
};
const expandPass: Pass<unknown> = { name: 'expand', summary: 'all composites have become primitives', run: expand };
const simplifyPass: Pass<unknown> = { name: 'simplify', summary: 'equal ops are merged; ops that do nothing and unread ops are gone', run: simplify };
const gradPass: Pass<GradRequest> = {
  name: 'grad',
  summary: 'the function computes its results and then the wanted gradients, from the cotangents that arrive',
  run: grad,
};
const absorbPass: Pass<DeriveRequest> = {
  name: 'absorb',
  summary: 'ops are merged with their only reader: the kernels that make dq and dk rotate them back',
  run: (func, { turnsBack }) => (turnsBack ? absorb(func) : func),
};
const fusePass: Pass<FuseOptions> = { name: 'fuse', summary: 'every op is in a group that becomes one kernel', run: fuse };
const overwritePass: Pass<OverwriteOptions> = { name: 'overwrite', summary: 'outputs overwrite operands that are not read again', run: overwrite };

/** Which gradients to make, and how. */
export interface DeriveRequest extends GradRequest {
  /** Whether attention's gradients rotate dq and dk back in their own kernels (see ./absorb.ts). */
  readonly turnsBack: boolean;
}

/** Passes that make the forward of a function. */
export const FORWARD: readonly Pass<unknown>[] = [expandPass, simplifyPass];
/** Passes that make one function of forward and backward. */
export const JOINT: readonly Pass<DeriveRequest>[] = [expandForGradPass, gradPass, absorbPass, expandPass, simplifyPass];
/** Passes from primitives to groups, which are then lowered one by one. */
export const KERNELS: readonly Pass<FuseOptions & OverwriteOptions>[] = [fusePass, overwritePass];

/**
 * Makes one function of the forward and backward of `func`. It returns the results of `func`, then a `grad(i)` for each wanted parameter i that
 * gets a gradient. The cotangents that arrive are its last parameters, `%d_<result>`. `turnsBack` is true by default.
 */
export function differentiate(func: Func, { turnsBack = true, ...request }: GradRequest & Partial<DeriveRequest>, onPass?: OnPass): Func {
  return runPasses(JOINT, func, { ...request, turnsBack }, onPass);
}
