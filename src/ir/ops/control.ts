/** @file Ops with no arithmetic of their own: `call` of a function at a call site, and `fused` groups, which become kernels. */

import { OpError } from '../constraint.ts';
import type { OpDef } from '../define.ts';
import type { Op } from '../types.ts';

function given<const N extends string>(name: N): OpDef & { readonly name: N; readonly kind: 'control' } {
  return {
    name,
    kind: 'control',
    operands: null,
    attrs: null,
    effects: null,
    ids: null,
    infer: () => {
      throw new OpError(`${name} C1: result types are given, not inferred`);
    },
    fourWide: () => null,
    samples: [],
  };
}

/** `call @callee [site](…)`: calls a function of the module. `site` names the call (`layers.3.attn`). */
export const call = { ...given('call'), flops: () => [] } as const;
/** `fused %a, … {kind, name} { … }`: a group of ops that becomes one kernel. */
export const fused = given('fused');

export const isCall = (op: Op): boolean => op.name === call.name;
export const isFused = (op: Op): boolean => op.name === fused.name;

export const controlOps = [call, fused] as const;
