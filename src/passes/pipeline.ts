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
  summary: 'composites without a derivative of their own are primitives',
  run: expandForGrad,
};
const expandPass: Pass<unknown> = { name: 'expand', summary: 'composites are primitives', run: expand };
const simplifyPass: Pass<unknown> = { name: 'simplify', summary: 'equal ops are one, ops that do nothing and unread ops are gone', run: simplify };
const gradPass: Pass<GradRequest> = {
  name: 'grad',
  summary: 'forward and backward in one, for the wanted gradients and the cotangents that arrive',
  run: grad,
};
const absorbPass: Pass<DeriveRequest> = {
  name: 'absorb',
  summary: 'ops take in the op that reads them: dq and dk are turned back by the kernels that make them',
  run: (func, { turnsBack }) => (turnsBack ? absorb(func) : func),
};
const fusePass: Pass<FuseOptions> = { name: 'fuse', summary: 'every op is in a group that becomes one kernel', run: fuse };
const overwritePass: Pass<OverwriteOptions> = { name: 'overwrite', summary: 'outputs take the bytes of operands that are not read again', run: overwrite };

/** What a derivative is asked for, and whether attention's gradients turn dq and dk back themselves (default; see ./absorb.ts). */
export interface DeriveRequest extends GradRequest {
  readonly turnsBack: boolean;
}

/** A forward as it is when nothing is differentiated. */
export const FORWARD: readonly Pass<unknown>[] = [expandPass, simplifyPass];
/** Forward and backward of one function as one. */
export const JOINT: readonly Pass<DeriveRequest>[] = [expandForGradPass, gradPass, absorbPass, expandPass, simplifyPass];
/** From primitives to groups that are lowered one by one. */
export const KERNELS: readonly Pass<FuseOptions & OverwriteOptions>[] = [fusePass, overwritePass];

/**
 * The function's forward and backward as one: its results, then for each wanted parameter that gets one a `grad(i)`.
 * Cotangents are further parameters `%d_<result>`.
 */
export function differentiate(func: Func, { turnsBack = true, ...request }: GradRequest & Partial<DeriveRequest>, onPass?: OnPass): Func {
  return runPasses(JOINT, func, { ...request, turnsBack }, onPass);
}
