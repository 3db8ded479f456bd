/** @file Emits the value of a fused group's expression at an index: every op that moves or computes element by element. */

import { kernelSpelling } from '../../ir/ops/pointwise.ts';
import { type Dim, type Op, type Shape, sameShape, type Value } from '../../ir/types.ts';
import type { BufferRef, KernelBuilder } from './builder.ts';
import { dequantised } from './dequantise.ts';
import {
  add,
  bin,
  bitcast,
  bool,
  call,
  component,
  constant,
  convert,
  div,
  f32,
  i32,
  lt,
  min,
  neg,
  not,
  param,
  rem,
  select,
  splat,
  sub,
  u32,
  vec,
} from './expr.ts';
import { axesIndex, flatIndex, type Index, type IndexScope, shiftedIndex } from './index.ts';
import { type BinOp, type Expr, FIRST_SCALAR_WORD, type Fn, isVector, type KScalar } from './ir.ts';
import { applied } from './numerics.ts';
import { lastOf, type Width } from './width.ts';

export interface GroupContext {
  readonly b: KernelBuilder;
  /** Ops of the group by result. */
  readonly producer: ReadonlyMap<Value, Op>;
  /** Buffers of the values read, and whether they are bound as vec4. */
  readonly leaves: ReadonlyMap<Value, BufferRef>;
  /** Uniform word of a run-time scalar. */
  readonly scalarWord: ReadonlyMap<Value, number>;
  readonly dim: (dim: Dim) => Expr;
}

/** Emits into one block: what it has emitted once it reads again, and positions are equal if they were made of the same values that never change. */
export interface Emitter {
  readonly scope: IndexScope;
  /** The value at an index; `width` 4: four consecutive elements of the last axis, starting at a multiple of 4. */
  emit(value: Value, index: Index, width: Width): Expr;
  /** Fixes a value, wherever it is read, for the rest of the emitter's life. */
  define(value: Value, expr: Expr): void;
  /** An emitter for an inner scope: it knows what is defined here and forgets what it adds. */
  inner(): Emitter;
}

export function dimOf(dims: readonly string[]): (dim: Dim) => Expr {
  return (dim) => {
    if (typeof dim === 'number') return u32(dim);
    const word = dims.indexOf(dim);
    if (word < 0) throw new Error(`dimension ${dim} is not one of the module's ${dims.join(', ')}`);
    return param(word, dim);
  };
}

/** Position in an operand that broadcasts into `index`'s shape. */
function operandIndex(shape: Shape, index: Index, scope: IndexScope): Index {
  if (sameShape(shape, index.shape)) return index;
  if (shape.length === 0) return flatIndex(shape, u32(0), scope);
  const skip = index.shape.length - shape.length;
  const axes = index.axes();
  return axesIndex(
    shape,
    shape.map((dim, i) => (dim === 1 ? u32(0) : (axes[i + skip] ?? u32(0)))),
    scope,
  );
}

export function emitter(context: GroupContext, defined: ReadonlyMap<Value, Expr> = new Map()): Emitter {
  const { b, producer } = context;
  const scope: IndexScope = { dim: context.dim, bind: (name, value) => (value.kind === 'bin' || value.kind === 'call' ? b.let(name, value) : value) };
  const fixed = new Map(defined);
  const memo = new Map<Value, Map<string, Expr>>();
  const ids = new Map<string, number>();
  const others = new Map<Expr, number>();
  const spelled = (expr: Expr): string => {
    if (expr.kind === 'var') return expr.name;
    if (expr.kind === 'const') return `${expr.value}`;
    const known = others.get(expr) ?? others.size;
    others.set(expr, known);
    return `#${known}`;
  };
  /** Equal for positions made of the same: what was computed at one is known at the other. */
  const idOf = ({ shape, given }: Index): number => {
    const key = `${shape.join()}|${'flat' in given ? `@${spelled(given.flat)}` : given.axes.map(spelled).join()}`;
    const known = ids.get(key) ?? ids.size;
    ids.set(key, known);
    return known;
  };
  const shared = new Map<string, Index>();
  /** The same derived index again for the same source, so that memoised values are found. */
  const derive = (key: string, make: () => Index): Index => {
    const known = shared.get(key);
    if (known) return known;
    const made = make();
    shared.set(key, made);
    return made;
  };
  const wide = (value: Expr, width: Width): Expr => (width === 4 && !isVector(value.type) && value.type === 'f32' ? splat('vec4f', value) : value);

  const emit = (value: Value, index: Index, width: Width): Expr => {
    const known = fixed.get(value);
    if (known) return wide(known, width);
    const narrow = width === 4 && (value.type.shape.length === 0 || lastOf(value.type.shape) === 1);
    if (narrow) return wide(emit(value, index, 1), 4);
    const key = `${idOf(index)}:${width}`;
    const cached = memo.get(value)?.get(key);
    if (cached) return cached;
    const op = producer.get(value);
    const made = op ? emitOp(op, value, index, width) : leaf(value, index, width);
    const bound = made.kind === 'const' || made.kind === 'param' ? made : b.let(value.name, made);
    const perValue = memo.get(value) ?? new Map<string, Expr>();
    perValue.set(key, bound);
    memo.set(value, perValue);
    return bound;
  };

  const leaf = (value: Value, index: Index, width: Width): Expr => {
    const word = context.scalarWord.get(value);
    if (word !== undefined) {
      const raw = param(word, value.name);
      return value.type.dtype === 'u32' ? raw : bitcast(value.type.dtype === 'i32' ? 'i32' : 'f32', raw);
    }
    const buffer = context.leaves.get(value);
    if (!buffer) throw new Error(`group reads %${value.name}, which has no buffer`);
    return loadFrom(buffer, value, index.flat(), width);
  };

  const operand = (op: Op, i: number, index: Index, width: Width): Expr => {
    const o = op.operands[i];
    if (!o) throw new Error(`${op.name} has no operand ${i}`);
    const at = derive(`${idOf(index)}>${o.type.shape.join()}`, () => operandIndex(o.type.shape, index, scope));
    return emit(o, at, lastOf(o.type.shape) === 1 || o.type.shape.length === 0 ? 1 : width);
  };

  const emitOp = (op: Op, value: Value, index: Index, width: Width): Expr => {
    const { shape } = value.type;
    switch (op.name) {
      case 'constant':
        return literal(value, Number(op.attrs['value']));
      case 'iota':
        return convert('i32', index.axes()[Number(op.attrs['axis'])] ?? u32(0));
      case 'reshape': {
        const [x] = op.operands;
        if (!x) throw new Error('reshape has no operand');
        return emit(
          x,
          derive(`${idOf(index)}=${x.type.shape.join()}`, () => flatIndex(x.type.shape, index.flat(), scope)),
          lastOf(x.type.shape) === 1 ? 1 : width,
        );
      }
      case 'broadcast':
        return wide(operand(op, 0, index, width), width);
      case 'transpose': {
        const [x] = op.operands;
        const perm = op.attrs['perm'] as readonly number[];
        const axes = index.axes();
        if (!x) throw new Error('transpose has no operand');
        return emit(
          x,
          derive(`${idOf(index)}t${perm.join()}`, () =>
            axesIndex(
              x.type.shape,
              x.type.shape.map((_, i) => axes[perm.indexOf(i)] ?? u32(0)),
              scope,
            ),
          ),
          width,
        );
      }
      case 'slice':
        return moved(op, index, width, Number(op.attrs['axis']), (at) => add(at, u32(Number(op.attrs['start']))), 0);
      case 'concat':
        return emitConcat(op, index, width);
      case 'gather':
        return emitGather(op, index, width);
      case 'dequantise': {
        const [w] = op.operands;
        const buffer = w && context.leaves.get(w);
        if (!w || !buffer) throw new Error('dequantise reads a weight that has no buffer');
        return dequantised(b, buffer, w.type.dtype, index.flat(), width);
      }
      case 'convert':
        return convertTo(operand(op, 0, index, 1), value.type.dtype as KScalar);
      case 'select':
        return width === 4 ? selectFour(op, index) : select(operand(op, 2, index, 1), operand(op, 1, index, 1), operand(op, 0, index, 1));
      default:
        return pointwise(op, shape, index, width);
    }
  };

  const pointwise = (op: Op, _shape: Shape, index: Index, width: Width): Expr => {
    const spelling = kernelSpelling(op.name);
    if (!spelling) throw new Error(`op ${op.name} cannot be computed element by element`);
    const args = op.operands.map((_, i) => wide(operand(op, i, index, width), width));
    const [x, y] = args;
    if (!x) throw new Error(`${op.name} has no operand`);
    if ('prefix' in spelling) return spelling.prefix === '!' ? not(x) : neg(x);
    if ('infix' in spelling) return bin(spelling.infix as BinOp, x, y ?? x);
    if (spelling.fn === 'identity') return x;
    return applied(b.let, spelling.fn as Fn, x, y);
  };

  /** Of four elements each by its own condition, unless one holds for the whole row. */
  const selectFour = (op: Op, index: Index): Expr => {
    const [no, yes] = [operand(op, 2, index, 4), operand(op, 1, index, 4)];
    const conditions = op.operands[0]?.type.shape ?? [];
    if (lastOf(conditions) === 1) return select(wide(no, 4), wide(yes, 4), operand(op, 0, index, 1));
    const at = (value: Expr, i: number): Expr => (isVector(value.type) ? component(value, i) : value);
    const shifted = (i: number): Index => (i === 0 ? index : derive(`${idOf(index)}+${i}`, () => shiftedIndex(index, i, scope)));
    const chosen = (i: number): Expr => select(at(no, i), at(yes, i), operand(op, 0, shifted(i), 1));
    return vec('vec4f', [0, 1, 2, 3].map(chosen));
  };

  const moved = (op: Op, index: Index, width: Width, axis: number, move: (at: Expr) => Expr, operandAt: number): Expr => {
    const x = op.operands[operandAt];
    if (!x) throw new Error(`${op.name} has no operand`);
    const key = `${idOf(index)}m${op.name}${operandAt}:${width}:${axis}:${JSON.stringify(op.attrs)}:${x.type.shape.join()}:${op.operands.map((o) => o.type.shape[axis]).join()}`;
    const at = derive(key, () =>
      axesIndex(
        x.type.shape,
        index.axes().map((a, i) => (i === axis ? scope.bind('m', move(a)) : a)),
        scope,
      ),
    );
    return emit(x, at, width);
  };

  const emitConcat = (op: Op, index: Index, width: Width): Expr => {
    const axis = Number(op.attrs['axis']);
    const at = index.axes()[axis] ?? u32(0);
    let start = 0;
    let result: Expr | null = null;
    const parts = op.operands.map((o, i) => {
      const from = start;
      const extent = Number(o.type.shape[axis]);
      start += extent;
      return {
        end: start,
        value: (): Expr =>
          moved(op, index, width, axis, (a) => min(sub(a, u32(from)), u32(extent - 1 - (width === 4 && axis === index.shape.length - 1 ? 3 : 0))), i),
      };
    });
    for (const part of parts.reverse()) {
      const value = part.value();
      result = result === null ? value : select(result, value, lt(at, u32(part.end)));
    }
    return result ?? f32(0);
  };

  const emitGather = (op: Op, index: Index, width: Width): Expr => {
    const [table, ids] = op.operands;
    if (!table || !ids) throw new Error('gather has no operands');
    const axes = index.axes();
    const idAxes = axes.slice(0, ids.type.shape.length);
    const idIndex = derive(`${idOf(index)}g${ids.type.shape.join()}:${table.type.shape.length}`, () => axesIndex(ids.type.shape, idAxes, scope));
    const rows = scope.dim(table.type.shape[0] ?? 1);
    const id = emit(ids, idIndex, 1);
    const row = b.let('row', min(convert('u32', call('max', id, i32(0))), sub(rows, u32(1))));
    return emit(table, axesIndex(table.type.shape, [row, ...axes.slice(ids.type.shape.length)], scope), width);
  };

  return { scope, emit, define: (value, expr) => void fixed.set(value, expr), inner: () => emitter(context, fixed) };
}

export function loadFrom(buffer: BufferRef, value: Value, flat: Expr, width: Width): Expr {
  const vector = isVector(buffer.decl.element);
  if (width === 4) {
    if (vector) return buffer.load(div(flat, u32(4)));
    return vec(
      'vec4f',
      [0, 1, 2, 3].map((i) => buffer.load(add(flat, u32(i)))),
    );
  }
  const raw = vector ? component(buffer.load(div(flat, u32(4))), rem(flat, u32(4))) : buffer.load(flat);
  return value.type.dtype === 'bool' ? bin('!=', raw, u32(0)) : raw;
}

function literal(value: Value, number: number): Expr {
  const { dtype } = value.type;
  if (dtype === 'bool') return bool(number !== 0);
  return constant(dtype === 'i32' || dtype === 'u32' ? dtype : 'f32', number);
}

function convertTo(x: Expr, to: KScalar): Expr {
  if (x.type === to) return x;
  if (to === 'bool') return bin('!=', x, constant(x.type, 0));
  if (x.type === 'bool') return select(constant(to, 0), constant(to, 1), x);
  return convert(to, x);
}

/** Uniform words of a function's run-time scalars, in their order. */
export function scalarWords(scalars: readonly Value[]): Map<Value, number> {
  return new Map(scalars.map((v, i) => [v, FIRST_SCALAR_WORD + i]));
}
