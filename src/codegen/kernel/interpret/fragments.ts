/** @file Fragments on the interpreter: every lane keeps the whole matrix, by rows, and stores its share of the elements, so that a missing barrier shows. */

import { at } from '../../../errors.ts';
import type { FragmentStmt } from '../ir.ts';
import { convertTo } from './arithmetic.ts';
import { type Context, checked } from './context.ts';
import { compileExpr } from './expressions.ts';
import type { Lane } from './lane.ts';

type Of<K extends FragmentStmt['kind']> = Extract<FragmentStmt, { kind: K }>;
type Run = (lane: Lane) => void;

export function compileFragment(stmt: FragmentStmt, context: Context): Run {
  switch (stmt.kind) {
    case 'fragment':
      return declare(stmt, context);
    case 'loadFragment':
      return load(stmt, context);
    case 'storeFragment':
      return store(stmt, context);
    case 'multiplyFragments':
      return multiply(stmt, context);
  }
}

const elements = (lane: Lane, slot: number): readonly number[] => lane.vars[slot] as readonly number[];

function declare({ name, type }: Of<'fragment'>, { slot }: Context): Run {
  const [to, size] = [slot(name), type.rows * type.cols];
  return (lane) => {
    lane.vars[to] = Array<number>(size).fill(0);
  };
}

function load(stmt: Of<'loadFragment'>, context: Context): Run {
  const { name, array, stride, by, type } = stmt;
  const [to, from, offset] = [context.slot(name), context.arrayOf(array), compileExpr(stmt.offset, context)];
  return (lane) => {
    const all = from(lane);
    const start = offset(lane) as number;
    const element = (_: unknown, i: number): number => {
      const [r, c] = [Math.floor(i / type.cols), i % type.cols];
      return all[checked(context, array, start + (by === 'rows' ? r * stride + c : c * stride + r), all.length)] as number;
    };
    lane.vars[to] = Array.from({ length: type.rows * type.cols }, element);
  };
}

function store(stmt: Of<'storeFragment'>, context: Context): Run {
  const { array, stride, value } = stmt;
  const [from, to, offset] = [context.slot(value), context.arrayOf(array), compileExpr(stmt.offset, context)];
  const { cols } = context.fragmentOf(value);
  return (lane) => {
    const all = to(lane);
    const start = offset(lane) as number;
    const { subgroupInvocation, subgroupSize } = lane.builtins;
    elements(lane, from).forEach((x, i) => {
      if (i % subgroupSize === subgroupInvocation) all[checked(context, array, start + Math.floor(i / cols) * stride + (i % cols), all.length)] = x;
    });
  };
}

/** Products are added up in f64 and rounded once to the result's type. */
function multiply(stmt: Of<'multiplyFragments'>, { slot, fragmentOf }: Context): Run {
  const [result, left, right] = [slot(stmt.result), slot(stmt.left), slot(stmt.right)];
  const { scalar, rows, cols } = fragmentOf(stmt.result);
  const depth = fragmentOf(stmt.left).cols;
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
