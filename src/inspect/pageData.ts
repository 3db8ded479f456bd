/** @file What the page of `ebb inspect --html` is given: plain data, made once and embedded. Types only. */

import type { Form } from '../runtime/link/forms.ts';
import type { Program, Sizes } from '../runtime/program.ts';

/** What a value is to the function it is in. `inner`: inside of a kernel, never in memory. */
export type ValueRole = 'value' | 'weight' | 'input' | 'scalar' | 'saved' | 'cotangent' | 'state' | 'inner';

/** A value as it is listed. */
export interface ValueView {
  readonly name: string;
  readonly type: string;
  readonly bytes: number;
  readonly role: ValueRole;
  /** `file:line:column` of the model definition. */
  readonly loc?: string;
  /** What becomes of it: `result`, `saved`, `gradient of q_proj`. */
  readonly uses?: readonly string[];
}

/** A box of a graph: an argument, a kernel, or a result. */
export interface GraphNode {
  readonly kind: 'argument' | 'kernel' | 'result';
  readonly title: string;
  /** How the group is lowered (`map`, `row`, `column`, `dot`, `kernel`), or the argument's role. */
  readonly family: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Place among the function's groups of dispatches. */
  readonly dispatch?: number;
  readonly flops?: number;
  /** Values that come from outside and have no box: weights, inputs, saved values, scalars. */
  readonly reads: readonly ValueView[];
  readonly writes: readonly ValueView[];
  readonly inner: readonly ValueView[];
  /** The group in the IR. */
  readonly text?: string;
}

export interface GraphEdge {
  readonly from: number;
  readonly to: number;
  /** Names of the values that flow along it. */
  readonly values: readonly string[];
  readonly points: readonly (readonly [number, number])[];
}

/** A function, fused and laid out. */
export interface FunctionView {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** The whole function in the IR. */
  readonly text: string;
}

/** Everything the page knows. */
export interface PageData {
  readonly title: string;
  /** Sizes at which costs are counted. */
  readonly sizes: Sizes;
  readonly program: Program;
  /** By the program's function indices; null for those that no call runs (the optimizer's). */
  readonly functions: readonly (FunctionView | null)[];
  /** For each call: the names of what is handed to its function. */
  readonly operands: readonly (readonly string[])[];
  /** The pattern to start with: units that are not `full`. */
  readonly pattern: Readonly<Record<string, Form>>;
}
