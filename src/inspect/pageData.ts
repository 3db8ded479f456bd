/** @file The types of the data that the page of `ebb inspect --html` carries. */

import type { Form } from '../runtime/link/forms.ts';
import type { Program, Sizes } from '../runtime/program.ts';

/** The role of a value in its function. `inner` is a value inside a kernel, which is never in memory. */
export type ValueRole = 'value' | 'weight' | 'input' | 'scalar' | 'saved' | 'cotangent' | 'state' | 'inner';

/** A value as the page lists it. */
export interface ValueView {
  readonly name: string;
  readonly type: string;
  readonly bytes: number;
  readonly role: ValueRole;
  /** `file:line:column` of the model definition. */
  readonly loc?: string;
  /** What it becomes: `result`, `saved`, `gradient of q_proj`. */
  readonly uses?: readonly string[];
}

/** What all boxes of a graph have. Lengths are in pixels. */
interface NodeCommon {
  readonly title: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** The values that it reads and that have no box of their own: weights, inputs, saved values, scalars. */
  readonly reads: readonly ValueView[];
  readonly writes: readonly ValueView[];
}

/** A box for an argument or a result of the function. */
export interface ValueNode extends NodeCommon {
  readonly kind: 'argument' | 'result';
  /** Its role. */
  readonly family: string;
}

/** A box for a kernel. */
export interface KernelNode extends NodeCommon {
  readonly kind: 'kernel';
  /** How its group of ops is lowered: `map`, `row`, `column`, `dot` or `kernel`. */
  readonly family: string;
  /** Its place among the function's groups of dispatches. */
  readonly dispatch: number;
  readonly flops: number;
  readonly inner: readonly ValueView[];
  /** Its group of ops in the IR. */
  readonly text: string;
}

export type GraphNode = ValueNode | KernelNode;

/** A connection between two boxes, which are given by their indices. */
export interface GraphEdge {
  readonly from: number;
  readonly to: number;
  /** The names of the values that flow along it. */
  readonly values: readonly string[];
  readonly points: readonly (readonly [number, number])[];
}

/** The graph of a fused function, laid out. Lengths are in pixels. */
export interface FunctionView {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** The whole function in the IR. */
  readonly text: string;
}

/** All data of the page. */
export interface PageData {
  readonly title: string;
  /** The sizes at which costs are counted. */
  readonly sizes: Sizes;
  readonly program: Program;
  /** By the index of the program's functions. Null for a function that no call runs, such as the optimizer's. */
  readonly functions: readonly (FunctionView | null)[];
  /** For each call, the names of its operands. */
  readonly operands: readonly (readonly string[])[];
  /** The pattern that the page starts with: the units that are not `full`. */
  readonly pattern: Readonly<Record<string, Form>>;
}
