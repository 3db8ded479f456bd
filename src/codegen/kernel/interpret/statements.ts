/** @file Statements that no invocation waits at and that hold no others, compiled to closures. */

import type { Stmt } from '../ir.ts';
import type { LaneValue } from './arithmetic.ts';
import { type Context, checked, zeroOf } from './context.ts';
import { compileExpr } from './expressions.ts';
import { compileFragment } from './fragments.ts';
import type { Lane } from './lane.ts';

export type Leaf = Exclude<Stmt, { kind: 'for' | 'if' | 'barrier' | 'return' | 'comment' }>;
type Of<K extends Leaf['kind']> = Extract<Leaf, { kind: K }>;
type Run = (lane: Lane) => void;

export function compileLeaf(stmt: Leaf, context: Context): Run {
  switch (stmt.kind) {
    case 'let':
    case 'set':
      return keep(stmt, context);
    case 'var':
      return declare(stmt, context);
    case 'array':
      return declareArray(stmt, context);
    case 'setComponent':
      return setComponent(stmt, context);
    case 'setElement':
      return setElement(stmt, context);
    case 'store':
      return store(stmt, context);
    default:
      return compileFragment(stmt, context);
  }
}

function keep(stmt: Of<'let' | 'set'>, context: Context): Run {
  const [slot, value] = [context.slot(stmt.name), compileExpr(stmt.value, context)];
  return (lane) => {
    lane.vars[slot] = value(lane);
  };
}

function declare({ name, type, init }: Of<'var'>, context: Context): Run {
  const slot = context.slot(name);
  const value = init === undefined ? (): LaneValue => zeroOf(type) : compileExpr(init, context);
  return (lane) => {
    lane.vars[slot] = value(lane);
  };
}

function declareArray({ name, type, length }: Of<'array'>, context: Context): Run {
  const slot = context.slot(name);
  return (lane) => {
    lane.arrays[slot] = Array.from({ length }, () => zeroOf(type));
  };
}

function setComponent(stmt: Of<'setComponent'>, context: Context): Run {
  const [slot, index, value] = [context.slot(stmt.name), compileExpr(stmt.index, context), compileExpr(stmt.value, context)];
  return (lane) => {
    const changed = [...(lane.vars[slot] as readonly number[])];
    changed[checked(context, stmt.name, index(lane) as number, changed.length)] = value(lane) as number;
    lane.vars[slot] = changed;
  };
}

function setElement(stmt: Of<'setElement'>, context: Context): Run {
  const [array, index, value] = [context.arrayOf(stmt.array), compileExpr(stmt.index, context), compileExpr(stmt.value, context)];
  return (lane) => {
    const all = array(lane);
    all[checked(context, stmt.array, index(lane) as number, all.length)] = value(lane);
  };
}

function store(stmt: Of<'store'>, context: Context): Run {
  const { data, width } = context.bufferOf(stmt.buffer);
  const [index, value] = [compileExpr(stmt.index, context), compileExpr(stmt.value, context)];
  return (lane) => {
    const to = checked(context, stmt.buffer, index(lane) as number, Math.floor(data.length / width)) * width;
    const stored = value(lane);
    if (typeof stored === 'number') data[to] = stored;
    else data.set(stored, to);
  };
}
