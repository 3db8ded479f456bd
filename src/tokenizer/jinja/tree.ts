/** @file The tree of a template. */

import type { Arithmetic, Comparison } from './operators.ts';
import type { Value } from './values.ts';

/** The arguments of a call: `f(a, name=b, *rest, **named)`. */
export interface CallArguments {
  readonly positional: readonly Expression[];
  readonly keywords: readonly (readonly [name: string, value: Expression])[];
  readonly rest: Expression | null;
  readonly named: Expression | null;
}

export type Expression =
  | { readonly kind: 'constant'; readonly value: Value }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'tuple' | 'list' | 'concat'; readonly items: readonly Expression[] }
  | { readonly kind: 'dict'; readonly pairs: readonly (readonly [Expression, Expression])[] }
  | { readonly kind: 'not'; readonly operand: Expression }
  | { readonly kind: 'sign'; readonly sign: '-' | '+'; readonly operand: Expression }
  | { readonly kind: 'arithmetic'; readonly sign: Arithmetic; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'compare'; readonly first: Expression; readonly rest: readonly (readonly [Comparison, Expression])[] }
  | { readonly kind: 'conditional'; readonly test: Expression; readonly then: Expression; readonly otherwise: Expression | null }
  | { readonly kind: 'attribute'; readonly object: Expression; readonly name: string }
  | { readonly kind: 'item'; readonly object: Expression; readonly key: Expression }
  | {
      readonly kind: 'slice';
      readonly object: Expression;
      readonly from: Expression | null;
      readonly to: Expression | null;
      readonly step: Expression | null;
    }
  | { readonly kind: 'call'; readonly callee: Expression; readonly args: CallArguments }
  | Filter
  | { readonly kind: 'test'; readonly operand: Expression; readonly name: string; readonly args: CallArguments };

export interface Filter {
  readonly kind: 'filter';
  /** Null where the operand is what a block writes. */
  readonly operand: Expression | null;
  readonly name: string;
  readonly args: CallArguments;
}

/** What is assigned to. */
export type Target =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'member'; readonly namespace: string; readonly name: string }
  | { readonly kind: 'tuple'; readonly items: readonly Target[] };

/** The parameters and the body of a macro. */
export interface MacroBody {
  readonly name: string;
  readonly parameters: readonly (readonly [name: string, fallback: Expression | null])[];
  readonly body: readonly Statement[];
  /** Which of the variables `caller`, `varargs` and `kwargs` the body reads. */
  readonly reads: ReadonlySet<string>;
}

export type Statement =
  | { readonly kind: 'data'; readonly text: string }
  | { readonly kind: 'print'; readonly expression: Expression }
  | { readonly kind: 'if'; readonly test: Expression; readonly then: readonly Statement[]; readonly otherwise: readonly Statement[] }
  | ForLoop
  | { readonly kind: 'set'; readonly target: Target; readonly value: Expression }
  | { readonly kind: 'set block'; readonly target: Target; readonly filter: Filter | null; readonly body: readonly Statement[] }
  | { readonly kind: 'macro'; readonly macro: MacroBody }
  | { readonly kind: 'call block'; readonly caller: MacroBody; readonly callee: Expression; readonly args: CallArguments }
  | { readonly kind: 'filter block'; readonly filter: Filter; readonly body: readonly Statement[] }
  | { readonly kind: 'with'; readonly targets: readonly (readonly [Target, Expression])[]; readonly body: readonly Statement[] }
  | { readonly kind: 'generation'; readonly body: readonly Statement[] }
  | { readonly kind: 'break' }
  | { readonly kind: 'continue' };

export interface ForLoop {
  readonly kind: 'for';
  readonly target: Target;
  readonly items: Expression;
  readonly test: Expression | null;
  readonly isRecursive: boolean;
  readonly body: readonly Statement[];
  readonly otherwise: readonly Statement[];
}
