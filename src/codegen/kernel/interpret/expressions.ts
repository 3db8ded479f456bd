/** @file Kernel expressions compiled to closures, which run per invocation. */

import { invariant } from '../../../errors.ts';
import { type Expr, isVector, type KType, scalarOf, widthOf } from '../ir.ts';
import { applyBin, applyCall, convertTo, type LaneValue } from './arithmetic.ts';
import { type Context, checked, type Evaluate } from './context.ts';

type Of<K extends Expr['kind']> = Extract<Expr, { kind: K }>;

export function compileExpr(expr: Expr, context: Context): Evaluate {
  const compile = (operand: Expr): Evaluate => compileExpr(operand, context);
  switch (expr.kind) {
    case 'const':
      return constant(expr.type, expr.value);
    case 'var':
      return variable(expr, context);
    case 'builtin':
      return (lane) => lane.builtins[expr.name];
    case 'param': {
      const word = context.params[expr.index];
      // Words that are not given are 0.
      return () => (word === undefined ? 0 : word);
    }
    case 'bin':
      return binary(expr, compile(expr.a), compile(expr.b));
    case 'un':
      return unary(expr, compile(expr.a));
    case 'call':
      return call(expr, expr.args.map(compile));
    case 'vec':
      return vector(widthOf(expr.type), expr.parts.map(compile));
    case 'component':
      return component(context, compile(expr.of), compile(expr.index));
    case 'load':
      return load(expr, context, compile(expr.index));
    case 'element':
      return element(expr, context, compile(expr.index));
  }
}

function constant(type: KType, value: number): Evaluate {
  const single = convertTo(scalarOf(type), value);
  const whole: LaneValue = isVector(type) ? Array<number>(widthOf(type)).fill(single) : single;
  return () => whole;
}

function variable({ name }: Of<'var'>, context: Context): Evaluate {
  const slot = context.slot(name);
  return (lane) => {
    const value = lane.vars[slot];
    invariant(value !== undefined, `${context.name}: ${name} is read before it is set`);
    return value;
  };
}

function binary({ op, a: { type } }: Of<'bin'>, a: Evaluate, b: Evaluate): Evaluate {
  if (op === '&&') return (lane) => (a(lane) ? b(lane) : 0);
  if (op === '||') return (lane) => (a(lane) ? 1 : b(lane));
  const apply = applyBin(op, scalarOf(type));
  return (lane) => zip(a(lane), b(lane), apply);
}

function unary({ op, a: { type } }: Of<'un'>, a: Evaluate): Evaluate {
  const scalar = scalarOf(type);
  const apply = (x: number): number => (op === '!' ? (x ? 0 : 1) : convertTo(scalar, op === '-' ? -x : ~x));
  return (lane) => each(a(lane), apply);
}

function call(expr: Of<'call'>, args: readonly Evaluate[]): Evaluate {
  if (expr.fn.startsWith('subgroup')) {
    return (lane) => {
      const value = lane.pending.get(expr);
      invariant(value !== undefined, 'a subgroup operation is evaluated before its operands');
      return value;
    };
  }
  const types = expr.args.map(({ type }) => type);
  const apply = applyCall(expr.fn, expr.type, types);
  return (lane) => apply(args.map((arg) => arg(lane)));
}

function vector(width: number, parts: readonly Evaluate[]): Evaluate {
  return (lane) => {
    const flat = parts.flatMap((part) => part(lane));
    return flat.length === 1 ? Array<number>(width).fill(flat[0] as number) : flat;
  };
}

function component(context: Context, of: Evaluate, index: Evaluate): Evaluate {
  return (lane) => {
    const whole = of(lane) as readonly number[];
    return whole[checked(context, 'a vector', index(lane) as number, whole.length)] as number;
  };
}

function load({ buffer }: Of<'load'>, context: Context, index: Evaluate): Evaluate {
  const { data, width } = context.bufferOf(buffer);
  return (lane) => {
    const from = checked(context, buffer, index(lane) as number, Math.floor(data.length / width)) * width;
    return width === 1 ? (data[from] as number) : Array.from(data.subarray(from, from + width));
  };
}

function element({ array }: Of<'element'>, context: Context, index: Evaluate): Evaluate {
  const arrayOf = context.arrayOf(array);
  return (lane) => {
    const all = arrayOf(lane);
    return all[checked(context, array, index(lane) as number, all.length)] as LaneValue;
  };
}

function each(a: LaneValue, op: (x: number) => number): LaneValue {
  return typeof a === 'number' ? op(a) : a.map(op);
}

function zip(a: LaneValue, b: LaneValue, op: (x: number, y: number) => number): LaneValue {
  if (typeof a === 'number') return typeof b === 'number' ? op(a, b) : b.map((y) => op(a, y));
  return a.map((x, i) => op(x, typeof b === 'number' ? b : (b[i] as number)));
}
