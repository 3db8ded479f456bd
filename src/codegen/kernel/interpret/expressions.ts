/** @file Evaluates kernel expressions and simple statements for ./interpret.ts: compiled once to closures, run per invocation. */

import { at, invariant } from '../../../errors.ts';
import { type Expr, isVector, type Kernel, type KType, type Stmt, scalarOf, widthOf } from '../ir.ts';
import { applyBin, applyCall, convertTo, type Value } from './arithmetic.ts';
import { compileFragment, fragmentTypes } from './fragments.ts';
import type { Lane } from './lane.ts';

type Evaluate = (lane: Lane) => Value;
type Data = Float32Array | Uint32Array | Int32Array;

const zeroOf = (type: KType): Value => (isVector(type) ? Array<number>(widthOf(type)).fill(0) : 0);

/** The compiler of one kernel's expressions and leaf statements. */
export function evaluator(kernel: Kernel, params: Uint32Array, buffers: Readonly<Record<string, Data>>) {
  const slots = new Map<string, number>();
  const slot = (name: string): number => {
    const known = slots.get(name) ?? slots.size;
    slots.set(name, known);
    return known;
  };
  const sharedIndex = new Map(kernel.shared.map(({ name }, index) => [name, index]));
  const lengths = new Map(kernel.shared.map(({ name, length }) => [name, length]));
  const elements = new Map(kernel.buffers.map(({ name, element }) => [name, element]));

  const fragments = fragmentTypes(kernel.body);

  const bufferOf = (name: string): { data: Data; width: number; type: KType } => {
    const data = buffers[name];
    const type = elements.get(name);
    invariant(data !== undefined && type !== undefined, `${kernel.name}: unknown buffer ${name}`);
    return { data, width: widthOf(type), type };
  };
  const checked = (name: string, index: number, length: number): number => {
    invariant(index >= 0 && index < length, `${kernel.name}: index ${index} of ${name}, which has ${length} elements`);
    return index;
  };
  const arrayOf = (name: string): ((lane: Lane) => Value[]) => {
    const shared = sharedIndex.get(name);
    if (shared !== undefined) return (lane) => lane.shared[shared] as Value[];
    const own = slot(name);
    return (lane) => lane.arrays[own] as Value[];
  };

  function compile(expr: Expr): Evaluate {
    switch (expr.kind) {
      case 'const': {
        const value = convertTo(scalarOf(expr.type), expr.value);
        const constant: Value = isVector(expr.type) ? Array<number>(widthOf(expr.type)).fill(value) : value;
        return () => constant;
      }
      case 'var': {
        const at = slot(expr.name);
        return (lane) => {
          const value = lane.vars[at];
          invariant(value !== undefined, `${kernel.name}: ${expr.name} is read before it is set`);
          return value;
        };
      }
      case 'builtin':
        return (lane) => lane.builtins[expr.name];
      case 'param':
        return () => at(params, expr.index);
      case 'bin': {
        const [a, b] = [compile(expr.a), compile(expr.b)];
        if (expr.op === '&&') return (lane) => (a(lane) ? b(lane) : 0);
        if (expr.op === '||') return (lane) => (a(lane) ? 1 : b(lane));
        const op = applyBin(expr.op, scalarOf(expr.a.type));
        return (lane) => zip(a(lane), b(lane), op);
      }
      case 'un': {
        const a = compile(expr.a);
        const type = scalarOf(expr.a.type);
        const op = (x: number): number => (expr.op === '!' ? (x ? 0 : 1) : convertTo(type, expr.op === '-' ? -x : ~x));
        return (lane) => each(a(lane), op);
      }
      case 'call': {
        if (expr.fn.startsWith('subgroup')) {
          return (lane) => {
            const value = lane.pending.get(expr);
            invariant(value !== undefined, 'a subgroup operation is evaluated before its operands');
            return value;
          };
        }
        const args = expr.args.map(compile);
        const apply = applyCall(
          expr.fn,
          expr.type,
          expr.args.map(({ type }) => type),
        );
        return (lane) => apply(args.map((arg) => arg(lane)));
      }
      case 'vec': {
        const parts = expr.parts.map(compile);
        const width = widthOf(expr.type);
        return (lane) => {
          const flat = parts.flatMap((part) => part(lane));
          return flat.length === 1 ? Array<number>(width).fill(flat[0] as number) : flat;
        };
      }
      case 'component': {
        const [of, index] = [compile(expr.of), compile(expr.index)];
        return (lane) => {
          const vector = of(lane) as readonly number[];
          return vector[checked('a vector', index(lane) as number, vector.length)] as number;
        };
      }
      case 'load': {
        const { data, width } = bufferOf(expr.buffer);
        const index = compile(expr.index);
        return (lane) => {
          const at = checked(expr.buffer, index(lane) as number, Math.floor(data.length / width)) * width;
          return width === 1 ? (data[at] as number) : Array.from(data.subarray(at, at + width));
        };
      }
      case 'element': {
        const [array, index] = [arrayOf(expr.array), compile(expr.index)];
        return (lane) => {
          const all = array(lane);
          return all[checked(expr.array, index(lane) as number, all.length)] as Value;
        };
      }
    }
  }

  function compileLeaf(stmt: Stmt): (lane: Lane) => void {
    switch (stmt.kind) {
      case 'let':
      case 'set': {
        const [at, value] = [slot(stmt.name), compile(stmt.value)];
        return (lane) => {
          lane.vars[at] = value(lane);
        };
      }
      case 'var': {
        const at = slot(stmt.name);
        const init = stmt.init === undefined ? (): Value => zeroOf(stmt.type) : compile(stmt.init);
        return (lane) => {
          lane.vars[at] = init(lane);
        };
      }
      case 'array': {
        const at = slot(stmt.name);
        return (lane) => {
          lane.arrays[at] = Array.from({ length: stmt.length }, () => zeroOf(stmt.type));
        };
      }
      case 'setComponent': {
        const [at, index, value] = [slot(stmt.name), compile(stmt.index), compile(stmt.value)];
        return (lane) => {
          const changed = [...(lane.vars[at] as readonly number[])];
          changed[checked(stmt.name, index(lane) as number, changed.length)] = value(lane) as number;
          lane.vars[at] = changed;
        };
      }
      case 'setElement': {
        const [array, index, value] = [arrayOf(stmt.array), compile(stmt.index), compile(stmt.value)];
        return (lane) => {
          const all = array(lane);
          all[checked(stmt.array, index(lane) as number, all.length)] = value(lane);
        };
      }
      case 'store': {
        const { data, width } = bufferOf(stmt.buffer);
        const [index, value] = [compile(stmt.index), compile(stmt.value)];
        return (lane) => {
          const at = checked(stmt.buffer, index(lane) as number, Math.floor(data.length / width)) * width;
          const stored = value(lane);
          if (typeof stored === 'number') data[at] = stored;
          else data.set(stored, at);
        };
      }
      case 'fragment':
      case 'loadFragment':
      case 'storeFragment':
      case 'multiplyFragments':
        return compileFragment(stmt, { kernel, slot, arrayOf, compile, checked, fragments });
      default:
        throw new Error(`internal: ${stmt.kind} is no leaf statement`);
    }
  }

  return {
    compile,
    compileLeaf,
    slot,
    newShared: (): Value[][] => kernel.shared.map(({ name, type }) => Array.from({ length: lengths.get(name) ?? 0 }, () => zeroOf(type))),
  };
}

function each(a: Value, op: (x: number) => number): Value {
  return typeof a === 'number' ? op(a) : a.map(op);
}

function zip(a: Value, b: Value, op: (x: number, y: number) => number): Value {
  if (typeof a === 'number') return typeof b === 'number' ? op(a, b) : b.map((y) => op(a, y));
  return a.map((x, i) => op(x, typeof b === 'number' ? b : (b[i] as number)));
}
