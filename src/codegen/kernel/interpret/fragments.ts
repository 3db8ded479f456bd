/** @file Fragments on the interpreter: every lane keeps the whole matrix, and stores its share of the elements, so that a missing barrier shows. */

import { at, invariant } from '../../../errors.ts';
import type { Expr, FragmentStmt, FragmentType, Kernel, Stmt } from '../ir.ts';
import { everyStmt } from '../visit.ts';
import { convertTo, type Value } from './arithmetic.ts';
import type { Lane } from './lane.ts';

/** The types of all fragments of a body, by name. */
export function fragmentTypes(body: readonly Stmt[]): ReadonlyMap<string, FragmentType> {
  const types = new Map<string, FragmentType>();
  everyStmt(body, (stmt) => void ((stmt.kind === 'fragment' || stmt.kind === 'loadFragment') && types.set(stmt.name, stmt.type)));
  return types;
}

/** What the interpreter of a kernel knows. */
interface Surroundings {
  readonly kernel: Pick<Kernel, 'name'>;
  readonly slot: (name: string) => number;
  readonly arrayOf: (name: string) => (lane: Lane) => Value[];
  readonly compile: (expr: Expr) => (lane: Lane) => Value;
  /** The index, or an error where it is out of bounds. */
  readonly checked: (name: string, index: number, length: number) => number;
  readonly fragments: ReadonlyMap<string, FragmentType>;
}

/** Elements of a matrix are kept by rows. Products are added up in f64 and rounded once to the result's type. */
export function compileFragment(stmt: FragmentStmt, around: Surroundings): (lane: Lane) => void {
  const { kernel, slot, arrayOf, compile, checked } = around;
  const typeOf = (name: string): FragmentType => {
    const type = around.fragments.get(name);
    invariant(type !== undefined, `${kernel.name}: ${name} is no fragment`);
    return type;
  };
  const elements = (lane: Lane, at: number): readonly number[] => lane.vars[at] as readonly number[];
  switch (stmt.kind) {
    case 'fragment': {
      const [at, size] = [slot(stmt.name), stmt.type.rows * stmt.type.cols];
      return (lane) => {
        lane.vars[at] = Array<number>(size).fill(0);
      };
    }
    case 'loadFragment': {
      const { name, array, stride, by, type } = stmt;
      const [at, from, offset] = [slot(name), arrayOf(array), compile(stmt.offset)];
      return (lane) => {
        const all = from(lane);
        const start = offset(lane) as number;
        const element = (_: unknown, i: number): number => {
          const [r, c] = [Math.floor(i / type.cols), i % type.cols];
          return all[checked(array, start + (by === 'rows' ? r * stride + c : c * stride + r), all.length)] as number;
        };
        lane.vars[at] = Array.from({ length: type.rows * type.cols }, element);
      };
    }
    case 'storeFragment': {
      const { array, stride, value } = stmt;
      const [at, to, offset, { cols }] = [slot(value), arrayOf(array), compile(stmt.offset), typeOf(value)];
      return (lane) => {
        const all = to(lane);
        const start = offset(lane) as number;
        const { subgroupInvocation, subgroupSize } = lane.builtins;
        elements(lane, at).forEach((x, i) => {
          if (i % subgroupSize === subgroupInvocation) all[checked(array, start + Math.floor(i / cols) * stride + (i % cols), all.length)] = x;
        });
      };
    }
    case 'multiplyFragments': {
      const [result, left, right] = [slot(stmt.result), slot(stmt.left), slot(stmt.right)];
      const { scalar, rows, cols } = typeOf(stmt.result);
      const depth = typeOf(stmt.left).cols;
      return (lane) => {
        const [sum, a, b] = [elements(lane, result), elements(lane, left), elements(lane, right)];
        lane.vars[result] = Array.from({ length: rows * cols }, (_, i) => {
          const [r, c] = [Math.floor(i / cols), i % cols];
          let total = at(sum, i);
          for (let k = 0; k < depth; k++) total += at(a, r * depth + k) * at(b, k * cols + c);
          return convertTo(scalar, total);
        });
      };
    }
  }
}
