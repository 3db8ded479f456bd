/** @file Emits elements of a fused group's values at given positions; `OpDef.element` says how an op makes its element from those of its operands. */

import { EbbError, invariant } from '../../../errors.ts';
import { type ElementAt, type Place, type Width, widened } from '../../../ir/element.ts';
import { isBuiltIn, opDef } from '../../../ir/ops/index.ts';
import { type Dim, type DType, lastDim, type Op, type Shape, sameShape, type Value } from '../../../ir/types.ts';
import type { BufferRef, KernelBuilder } from '../builder.ts';
import { typeProblem } from '../check/types.ts';
import { add, bin, bitcast, component, div, param, rem, u32, vec } from '../expr.ts';
import { type Expr, FIRST_SCALAR_WORD, isVector, type KScalar, scalarOf } from '../ir.ts';
import { operandsOf } from '../visit.ts';
import { axesIndex, flatIndex, type Index, type IndexScope, type Quotients, shiftedIndex } from './position.ts';
import { dequantised } from './stored.ts';

export interface GroupContext {
  readonly b: KernelBuilder;
  /** The op of the group that makes a value. */
  readonly producer: ReadonlyMap<Value, Op>;
  /** Buffers of the values that the group reads. */
  readonly leaves: ReadonlyMap<Value, BufferRef>;
  /** The word of a run-time scalar in the uniform block. */
  readonly scalarWord: ReadonlyMap<Value, number>;
  readonly dim: (dim: Dim) => Expr;
  readonly quotients: Quotients;
}

/**
 * Emits into one block. It remembers what it emitted, so that each value is computed once at each position. Positions are equal if they were made
 * from the same expressions, whose values never change.
 */
export interface Emitter {
  readonly scope: IndexScope;
  /** The element of a value at an index; with `width` 4, four consecutive elements of the last axis, starting at a multiple of 4. */
  emit(value: Value, index: Index, width: Width): Expr;
  /** Sets what a value is, at any index, for the rest of the emitter's life. */
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

/** The positions of one block. */
interface Places {
  /** A number that is equal for positions made from the same expressions. */
  idOf(index: Index): number;
  /** The index that was made under the same key before, or a new one, so that its arithmetic is emitted once. */
  derived(key: string, make: () => Index): Index;
}

function places(): Places {
  const ids = new Map<string, number>();
  const unnamed = new Map<Expr, number>();
  const made = new Map<string, Index>();
  const numberIn = <K>(known: Map<K, number>, key: K): number => {
    const number = known.get(key) ?? known.size;
    known.set(key, number);
    return number;
  };
  const spelled = (expr: Expr): string => (expr.kind === 'var' ? expr.name : expr.kind === 'const' ? `${expr.value}` : `#${numberIn(unnamed, expr)}`);
  return {
    idOf: ({ shape, given }) => numberIn(ids, `${shape.join()}|${'flat' in given ? `@${spelled(given.flat)}` : given.axes.map(spelled).join()}`),
    derived: (key, make) => {
      const index = made.get(key) ?? make();
      made.set(key, index);
      return index;
    },
  };
}

/** What the emitter of one block works with. */
interface Block {
  readonly context: GroupContext;
  readonly scope: IndexScope;
  readonly places: Places;
  readonly emit: Emitter['emit'];
}

/** The position in an operand of `shape`, which broadcasts into the shape of `index`. */
function broadcastIndex(shape: Shape, index: Index, scope: IndexScope): Index {
  if (sameShape(shape, index.shape)) return index;
  if (shape.length === 0) return flatIndex(shape, u32(0), scope);
  const axes = index.axes().slice(index.shape.length - shape.length);
  return axesIndex(
    shape,
    axes.map((axis, i) => (shape[i] === 1 ? u32(0) : axis)),
    scope,
  );
}

/** Whether an operand of this shape has one element for all four of a vector. */
const isNarrow = (shape: Shape): boolean => shape.length === 0 || lastDim(shape) === 1;

/** The elements of an op's operands, as seen from a position of its result. */
function elementAt({ context, scope, places, emit }: Block, op: Op, result: Value, index: Index, width: Width): ElementAt {
  const operand = (at: number | string): Value => {
    const value = op.operands[Number(at)];
    invariant(value, `${op.name} has no operand ${at}`);
    return value;
  };
  const indexAt = ({ type: { shape } }: Value, place: Place): Index =>
    'flat' in place ? flatIndex(shape, place.flat, scope) : axesIndex(shape, place.axes, scope);
  const same = (x: Value, from: Index, wanted: Width): Expr => {
    const { shape } = x.type;
    const place = places.derived(`${places.idOf(from)}>${shape.join()}`, () => broadcastIndex(shape, from, scope));
    return emit(x, place, isNarrow(shape) ? 1 : wanted);
  };
  /** A text that is equal for ops that do the same to operands of the same shapes. */
  const kind = (): string => `${op.name}${JSON.stringify(op.attrs)}${op.operands.map((o) => o.type.shape.join()).join(';')}`;
  return {
    width,
    type: result.type,
    count: op.operands.length,
    typeOf: (at) => operand(at).type,
    axes: () => index.axes(),
    flat: () => index.flat(),
    extent: scope.dim,
    bind: scope.bind,
    same: (at, wanted = width) => same(operand(at), index, wanted),
    at: (at, place, wanted = width) => {
      const x = operand(at);
      return emit(
        x,
        places.derived(`${places.idOf(index)}:${width}:${at}:${kind()}`, () => indexAt(x, place())),
        wanted,
      );
    },
    lookUp: (at, place, wanted = width) => emit(operand(at), indexAt(operand(at), place), wanted),
    beside: (at, by) => {
      const from = by === 0 ? index : places.derived(`${places.idOf(index)}+${by}`, () => shiftedIndex(index, by, scope));
      return same(operand(at), from, 1);
    },
    stored: (at) => {
      const w = operand(at);
      const buffer = context.leaves.get(w);
      invariant(buffer, `${op.name} reads a weight that has no buffer`);
      return dequantised(context.b, buffer, w.type.dtype, index.flat(), width);
    },
  };
}

/** Emits a value that the group reads: a run-time scalar, or an element of a buffer. */
function leaf({ scalarWord, leaves }: GroupContext, value: Value, index: Index, width: Width): Expr {
  const word = scalarWord.get(value);
  if (word !== undefined) {
    const raw = param(word, value.name);
    return value.type.dtype === 'u32' ? raw : bitcast(value.type.dtype === 'i32' ? 'i32' : 'f32', raw);
  }
  const buffer = leaves.get(value);
  invariant(buffer, `a group reads %${value.name}, which has no buffer`);
  return loadFrom(buffer, value, index.flat(), width);
}

/** Types of kernels by the dtypes that ops compute. */
const KERNEL_TYPES: Readonly<Partial<Record<DType, KScalar>>> = { f32: 'f32', i32: 'i32', u32: 'u32', bool: 'bool' };

/** Checks what a user's op computes its elements by. @throws EbbError naming the op */
function checkExpr({ name, results: [result] }: Op, made: Expr): void {
  const problemIn = (expr: Expr): string | null =>
    typeProblem(expr) ?? operandsOf(expr).reduce<string | null>((found, operand) => found ?? problemIn(operand), null);
  const problem = problemIn(made);
  if (problem !== null)
    throw new EbbError(
      `op ${name}: its expression has ${problem}, which kernels have not; operands are of one type, and where they are vectors of four, nothing compares them`,
    );
  const wanted = result && KERNEL_TYPES[result.type.dtype];
  if (wanted !== undefined && scalarOf(made.type) !== wanted) throw new EbbError(`op ${name}: its expression gives ${made.type}, expected ${wanted}`);
}

export function emitter(context: GroupContext, defined: ReadonlyMap<Value, Expr> = new Map()): Emitter {
  const { b, producer } = context;
  const fixed = new Map(defined);
  const known = new Map<Value, Map<string, Expr>>();
  const computed = (value: Value, index: Index, width: Width): Expr => {
    const op = producer.get(value);
    if (!op) return leaf(context, value, index, width);
    const { element } = opDef(op.name);
    invariant(element, `op ${op.name} cannot be computed element by element`);
    const made = element(elementAt(block, op, value, index, width), op);
    if (!isBuiltIn(op.name)) checkExpr(op, made);
    return made;
  };
  const emit = (value: Value, index: Index, width: Width): Expr => {
    const fix = fixed.get(value);
    if (fix) return widened(fix, width);
    if (width === 4 && isNarrow(value.type.shape)) return widened(emit(value, index, 1), 4);
    const key = `${block.places.idOf(index)}:${width}`;
    const before = known.get(value)?.get(key);
    if (before) return before;
    const made = computed(value, index, width);
    const bound = made.kind === 'const' || made.kind === 'param' ? made : b.let(value.name, made);
    known.set(value, (known.get(value) ?? new Map<string, Expr>()).set(key, bound));
    return bound;
  };
  const scope: IndexScope = {
    dim: context.dim,
    bind: (name, value) => (value.kind === 'bin' || value.kind === 'call' ? b.let(name, value) : value),
    quotients: context.quotients,
  };
  const block: Block = { context, scope, places: places(), emit };
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

/** Gives each run-time scalar of a function a word of the uniform block, in order. */
export function scalarWords(scalars: readonly Value[]): Map<Value, number> {
  return new Map(scalars.map((v, i) => [v, FIRST_SCALAR_WORD + i]));
}
