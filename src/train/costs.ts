/** @file What units' backwards cost, counted. */

import { formsOfCalls, functionOf } from '../runtime/link/forms.ts';
import { functionFlops, type Program, type Sizes } from '../runtime/program.ts';

/** FLOPs of each unit's backward with nothing dropped, by unit in the order of the model; 0 below the frontier. */
export function unitCosts(program: Program, sizes: Sizes): number[] {
  return formsOfCalls(program, new Map(), false).flatMap(({ call, backward }) =>
    call.unit ? [backward ? functionFlops(functionOf(program, backward.function), sizes) : 0] : [],
  );
}
