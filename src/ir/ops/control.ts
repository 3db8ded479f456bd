/** @file Ops with no arithmetic of their own: `call` of a function at a call site, and `fused` groups, which become kernels. */

import { type OpDef, OpError } from '../define.ts';

function given(name: string): OpDef {
  return {
    name,
    kind: 'control',
    infer: () => {
      throw new OpError(`${name} C1: result types are given, not inferred`);
    },
    samples: [],
  };
}

/** `call @callee [site](…)`: uses a function of the module; `site` names the use (`layers.3.attn`). */
export const call: OpDef = { ...given('call'), flops: () => [] };
/** `fused %a, … {kind, name} { … }`: a group of ops that is one kernel. */
export const fused: OpDef = given('fused');

export const controlOps: readonly OpDef[] = [call, fused];
