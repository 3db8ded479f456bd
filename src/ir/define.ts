/** @file The definition of an op: one literal says everything about it. ./ops/index.ts lists the ops of ./ops; docs/adding.md shows how to add one. */

import type { Expr } from '../codegen/kernel/ir.ts';
import type { Bind } from '../codegen/kernel/numerics.ts';
import type { Cost } from '../cost.ts';
import { at, invariant } from '../errors.ts';
import { type AttrSpecs, type AttrsOf, checkAttrs, viewAttrs } from './attributes.ts';
import { constraint, OpError } from './constraint.ts';
import type { ElementAt, FourWide } from './element.ts';
import { bindOperands, checkOperands, type Named, type OperandSpecs } from './operands.ts';
import type { Tensor } from './tensor.ts';
import {
  type Attrs,
  type Body,
  type Dim,
  type DimSizes,
  type DType,
  type Func,
  type Loc,
  type Op,
  type Result,
  type Role,
  type Type,
  typeText,
  type Value,
} from './types.ts';

/**
 * How an op becomes code. `pointwise`: one scalar expression computes each element. `index`: each element of the result is an element of an
 * operand, or a function of the index. `reduce`: it reduces over axes. `dot`: it contracts axes. `kernel`: it has a kernel of its own.
 * `composite`: it is decomposed first. `control`: it is a call or a fused group.
 */
export type OpKind = 'pointwise' | 'index' | 'reduce' | 'dot' | 'kernel' | 'composite' | 'control';

/** An example use of an op. Tests evaluate, differentiate and compile every op on its samples. */
export interface Sample {
  readonly types: readonly Type[];
  readonly attrs?: Attrs;
  /** Values by operand number, for operands where random ones would not do (indices, conditions, positive numbers). */
  readonly values?: Readonly<Record<number, readonly number[]>>;
}

/** A use that must be refused because it breaks a constraint of the op. */
export interface Rejection extends Sample {
  /** The constraint's name in the op's documentation: `C1`, `C2`, …; `C0` is the check of operands and attributes. */
  readonly constraint: string;
}

/** Adds ops to a function; their result types are inferred, and names are made unique. ./builder.ts implements it. */
export interface FuncBuilder {
  /** Adds an op and returns its results. `names` are hints for their names. @throws OpError if a constraint of the op does not hold */
  ops(name: string, operands: readonly Value[], attrs?: Attrs, names?: readonly string[]): readonly Value[];
  /** Adds an op and returns its first result. @throws OpError if a constraint does not hold, or there is no result */
  op(name: string, operands: readonly Value[], attrs?: Attrs, hint?: string): Value;
  param(name: string, type: Type, role: Role): Value;
  constant(value: number, dtype?: DType): Value;
  /** Adds an op with given result types, which are not checked: a call, a fused group, or a copy of an op. */
  raw(op: { name: string; operands: readonly Value[]; attrs: Attrs; types: readonly Type[]; names?: readonly string[]; body?: Body }): readonly Value[];
  /** Sets the source line of the values that are made from here on. */
  at(loc: Loc | undefined): void;
  finish(name: string, results: readonly Result[]): Func;
  readonly added: readonly Op[];
}

export interface VjpContext {
  readonly b: FuncBuilder;
  readonly operands: readonly Value[];
  readonly results: readonly Value[];
  readonly attrs: Attrs;
  /** Cotangent of each result; null is a symbolic zero. At least one is not null. */
  readonly cotangents: readonly (Value | null)[];
  /** For each operand, whether its cotangent is wanted. */
  readonly needs: readonly boolean[];
}

/** How a reduction combines two elements. The function is associative, and combining with `identity` changes nothing. */
export interface Combine {
  readonly identity: number;
  readonly js: (x: number, y: number) => number;
  readonly expr: (x: Expr, y: Expr) => Expr;
  /** Combines the values of all lanes of a subgroup, if there are functions for that. */
  readonly subgroup?: (value: Expr, bind: Bind) => Expr;
}

/** Says that the operand `ids` holds ids, each of which picks an element of the operand `of`. They count from the scalar operand `first`, or from 0. */
export interface IdsOf<Operand = number> {
  readonly ids: Operand;
  readonly of: Operand;
  /** The axis of `of` along which ids pick; −1 is the last one. */
  readonly axis: number;
  readonly first?: Operand;
  /** What an id stands for, for messages. */
  readonly what: 'rows' | 'classes';
  /** Whether a negative id is allowed; it picks nothing. */
  readonly negative: boolean;
}

/** An op as passes and code generation use it: its functions take operands as lists, in the order of `operands`. `makeOp` makes one from an `OpSource`. */
export interface OpDef extends Traits {
  readonly name: string;
  readonly kind: OpKind;
  /** Names and dtypes of its operands; null accepts any operands, and leaves checking them to `decompose`. */
  readonly operands: OperandSpecs | null;
  /** Names and types of its attributes; null accepts any. */
  readonly attrs: AttrSpecs | null;
  /** Returns the types of the results. @throws OpError naming the constraint that does not hold */
  readonly infer: (types: readonly Type[], attrs: Attrs) => readonly Type[];
  /** Computes the results for the reference evaluator. Without it the op is evaluated through `decompose`. */
  readonly evaluate?: (inputs: readonly Tensor[], attrs: Attrs, sizes: DimSizes, types: readonly Type[]) => readonly Tensor[];
  readonly decompose?: (b: FuncBuilder, operands: readonly Value[], attrs: Attrs) => readonly Value[];
  /** Returns the operands' cotangents, null for one that is zero or not wanted. Without it a composite is decomposed, and other ops give none. */
  readonly vjp?: (context: VjpContext) => readonly (Value | null)[];
  /** FLOPs as terms of the run-time dimensions. Without it they are those of the ops that it decomposes into. */
  readonly flops?: (inputs: readonly Type[], results: readonly Type[], attrs: Attrs) => Cost;
  /** Builds the expression for the element of the result at a position (pointwise and index ops). */
  readonly element?: (at: ElementAt, op: Op) => Expr;
  /** How four neighbouring elements are computed at once, or null if they cannot be. */
  readonly fourWide: (op: Op) => FourWide | null;
  /** The operand that the result equals, or null. `numberOf` returns the number of a constant, and null for any other value. */
  readonly identity?: (operands: readonly Value[], result: Type, attrs: Attrs, numberOf: (v: Value) => number | null) => Value | null;
  /** `writes`: the operand that the kernel updates in place to make the first result. `accumulates`: it adds to what its first result holds. */
  readonly effects: { readonly writes: number } | 'accumulates' | null;
  readonly ids: IdsOf | null;
  readonly samples: readonly Sample[];
  readonly rejects?: readonly Rejection[];
}

/** Properties by which passes decide what they may do with an op. */
interface Traits {
  /** FLOPs of one element of a pointwise op; default 1. */
  readonly perElement?: number;
  /** The result shares the first operand's bytes under another shape. */
  readonly aliases?: boolean;
  /** Every element of the result is an element of the first operand. */
  readonly view?: boolean;
  /** The result is the first operand, broadcast to another shape. */
  readonly repeats?: boolean;
  /** The op adds up its first two operands. */
  readonly adds?: boolean;
  /** The op ends a unit: its first operand is the unit's input, its second the branch. */
  readonly endsUnit?: boolean;
  /** When the loads of a dot may compute the op again for every tile: always, or only if one of its operands is a scalar. */
  readonly inLoads?: 'always' | 'with a scalar';
  /** The op widens a weight from the dtype that it is stored in. */
  readonly widens?: boolean;
  /** What a formula writes between two operands: `x + y` rather than `add(x, y)`. */
  readonly sign?: string;
  /** For each operand, the boolean attribute that is printed as `^T` behind it. */
  readonly marks?: readonly string[];
  readonly combine?: Combine;
  /** Merges `reader`, the only op that reads the first result, into this op; null if that cannot be. `known` holds the values defined so far. */
  readonly absorbs?: (op: Op, reader: Op, known: ReadonlySet<Value>) => Op | null;
}

type OneOrMore<T> = T | readonly T[];

/** An op as its author writes it: its functions receive operands and attributes by name, with the types that `operands` and `attrs` declare. */
export interface OpSource<N extends string, K extends OpKind, O extends OperandSpecs, A extends AttrSpecs> extends Traits {
  readonly name: N;
  readonly kind: K;
  readonly operands: O;
  readonly attrs?: A;
  readonly infer: (types: Named<O, Type>, attrs: AttrsOf<A>) => OneOrMore<Type>;
  readonly evaluate?: (
    inputs: Named<O, Tensor>,
    attrs: AttrsOf<A>,
    /** `shape` is that of the first result. */
    about: { readonly sizes: DimSizes; readonly shape: readonly number[] },
  ) => OneOrMore<Tensor>;
  readonly decompose?: (b: FuncBuilder, operands: Named<O, Value>, attrs: AttrsOf<A>) => OneOrMore<Value>;
  readonly vjp?:
    | ((
        context: {
          readonly b: FuncBuilder;
          readonly results: readonly Value[];
          readonly attrs: AttrsOf<A>;
          /** The attributes as the IR holds them, to pass on to another op. */
          readonly raw: Attrs;
          readonly cotangents: readonly (Value | null)[];
          /** Cotangent of the first result, which must not be a symbolic zero. */
          readonly d: Value;
          readonly needs: Named<O, boolean>;
        },
        operands: Named<O, Value>,
      ) => Partial<Named<O, Value | null>>)
    | undefined;
  readonly flops?: (types: Named<O, Type>, results: readonly Type[], attrs: AttrsOf<A>) => Cost;
  readonly element?: (at: ElementAt<Extract<keyof O, string>>, attrs: AttrsOf<A>) => Expr;
  readonly fourWide?: 'all' | 'none' | ((types: Named<O, Type>, result: Type, attrs: AttrsOf<A>) => FourWide<Extract<keyof O, string>> | 'all' | 'none');
  readonly identity?: (operands: Named<O, Value>, result: Type, attrs: AttrsOf<A>, numberOf: (v: Value) => number | null) => Value | null;
  readonly effects?: { readonly writes: Extract<keyof O, string> } | 'accumulates';
  readonly ids?: IdsOf<Extract<keyof O, string>>;
  readonly samples: readonly Sample[];
  readonly rejects?: readonly Rejection[];
}

/** Returns the types that `infer` gave. @throws OpError if one of them is none */
function checkResults(name: string, types: readonly Type[]): readonly Type[] {
  const isDim = (dim: unknown): boolean => (typeof dim === 'number' ? Number.isInteger(dim) && dim > 0 : typeof dim === 'string');
  for (const type of types) {
    const { dtype, shape } = (type ?? {}) as Partial<Type>;
    if (dtype === undefined || !Array.isArray(shape) || !shape.every(isDim))
      throw new OpError(`${name}: infer returns ${JSON.stringify(type)}, expected { dtype, shape } with sizes above 0 or names of dimensions`);
  }
  return types;
}

const listOf = <T>(found: OneOrMore<T>): readonly T[] => (Array.isArray(found) ? (found as readonly T[]) : [found as T]);

/** How the functions of an op's source, which take operands and attributes by name, are reached with lists. */
interface Naming<O extends OperandSpecs, A extends AttrSpecs> {
  /** The entries of a list, which has one for each operand, by the operands' names. */
  readonly named: <T>(list: readonly T[], given: Attrs) => Named<O, T>;
  readonly view: (given: Attrs) => AttrsOf<A>;
  /** The number of an operand, given by its name or by its number. */
  readonly numberOf: (operand: string | number) => number;
}

function namingOf<O extends OperandSpecs, A extends AttrSpecs>(operands: O, attrs: A): Naming<O, A> {
  const names = Object.keys(operands);
  return {
    named: (list, given) => bindOperands(operands, list, given),
    view: (given) => viewAttrs(attrs, given),
    numberOf: (operand) => (typeof operand === 'number' ? operand : names.indexOf(operand)),
  };
}

type AnySource<O extends OperandSpecs, A extends AttrSpecs> = OpSource<string, OpKind, O, A>;

/** `infer` of an op, which checks constraint C0 first. */
function inferBy<O extends OperandSpecs, A extends AttrSpecs>(
  { name, operands, infer }: AnySource<O, A>,
  attrs: A,
  { named, view }: Naming<O, A>,
): OpDef['infer'] {
  return (types, given) => {
    checkOperands(name, operands, types, given);
    checkAttrs(name, attrs, given);
    return checkResults(name, listOf(infer(named(types, given), view(given))));
  };
}

/** `fourWide` of an op, which has a default by the op's kind. */
function fourWideBy<O extends OperandSpecs, A extends AttrSpecs>(
  { kind, fourWide }: Pick<AnySource<O, A>, 'kind' | 'fourWide'>,
  { named, view, numberOf }: Naming<O, A>,
): OpDef['fourWide'] {
  return (op) => {
    const result = at(op.results, 0).type;
    const found = typeof fourWide === 'function' ? fourWide(named(typesOf(op), op.attrs), result, view(op.attrs)) : (fourWide ?? wideByKind(kind, result));
    if (found === 'none') return null;
    if (found === 'all') return { along: op.operands.map((_, i) => i) };
    const { along, positional = [] } = found;
    return { along: along.map(numberOf), positional: positional.map(numberOf) };
  };
}

/** `vjp` of an op: the cotangents that its source gives by name, put in the order of the operands. */
function vjpBy<O extends OperandSpecs, A extends AttrSpecs>(
  { name, operands }: Pick<AnySource<O, A>, 'name' | 'operands'>,
  vjp: NonNullable<AnySource<O, A>['vjp']>,
  { named, view }: Naming<O, A>,
): NonNullable<OpDef['vjp']> {
  return ({ b, operands: values, results, attrs: given, cotangents, needs }) => {
    const context = {
      b,
      results,
      attrs: view(given),
      raw: given,
      cotangents,
      needs: named(needs, given),
      get d(): Value {
        const [d] = cotangents;
        invariant(d, `${name} is differentiated without a cotangent of its first result`);
        return d;
      },
    };
    const found = vjp(context, named(values, given)) as Readonly<Record<string, Value | null | undefined | readonly (Value | null)[]>>;
    const numbers = values.map((_, i) => i);
    const places = bindOperands(operands, numbers, given) as Readonly<Record<string, number | readonly number[] | undefined>>;
    const out: (Value | null)[] = values.map(() => null);
    for (const [operand, place] of Object.entries(places))
      if (place !== undefined) listOf<number>(place).forEach((i, k) => (out[i] = listOf(found[operand] ?? null)[k] ?? null));
    return out;
  };
}

/**
 * Makes an op from its source. `infer` first checks constraint C0: the number and dtypes of the operands, and the names and types of the
 * attributes, are as the source declares them.
 */
export function makeOp<const N extends string, const K extends OpKind, const O extends OperandSpecs, const A extends AttrSpecs = Record<never, never>>(
  source: OpSource<N, K, O, A>,
): OpDef & { readonly name: N; readonly kind: K } {
  const {
    name,
    kind,
    operands,
    evaluate,
    decompose,
    vjp,
    flops,
    element,
    identity,
    effects,
    ids,
    samples,
    rejects,
    infer: _,
    fourWide: __,
    ...traits
  } = source;
  const attrs = (source.attrs ?? {}) as A;
  const naming = namingOf(operands, attrs);
  const { named, view, numberOf } = naming;
  const required = {
    ...traits,
    name,
    kind,
    operands,
    attrs,
    samples,
    ...(rejects ? { rejects } : {}),
    effects: effects === undefined || effects === 'accumulates' ? (effects ?? null) : { writes: numberOf(effects.writes) },
    ids: ids ? idsByNumber(ids, numberOf) : null,
    infer: inferBy(source, attrs, naming),
    fourWide: fourWideBy(source, naming),
  };
  const optional: Omit<Partial<OpDef>, keyof typeof required> = {
    ...(evaluate && {
      evaluate: (inputs, given, sizes, types) => {
        const shape = at(types, 0).shape as readonly number[];
        return listOf(evaluate(named(inputs, given), view(given), { sizes, shape }));
      },
    }),
    ...(decompose && { decompose: (b, values, given) => listOf(decompose(b, named(values, given), view(given))) }),
    ...(vjp && { vjp: vjpBy(source, vjp, naming) }),
    ...(flops && { flops: (types, results, given) => flops(named(types, given), results, view(given)) }),
    ...(element && { element: (place, op) => element(byName(place, numberOf), view(op.attrs)) }),
    ...(identity && { identity: (values, result, given, numberOfValue) => identity(named(values, given), result, view(given), numberOfValue) }),
  };
  return { ...required, ...optional };
}

function idsByNumber({ ids, of, first, ...rest }: IdsOf<string>, numberOf: (operand: string) => number): IdsOf {
  return { ...rest, ids: numberOf(ids), of: numberOf(of), ...(first === undefined ? {} : { first: numberOf(first) }) };
}

const typesOf = (op: Op): readonly Type[] => op.operands.map((v) => v.type);

/** The default of `fourWide`: ops that compute f32 work on four elements at once. Index ops must say themselves whether neighbours stay neighbours. */
const wideByKind = (kind: OpKind, { dtype }: Type): 'all' | 'none' => (kind === 'index' || dtype !== 'f32' ? 'none' : 'all');

/** `place`, with operands given by name. */
function byName(place: ElementAt, numberOf: (operand: string | number) => number): ElementAt {
  return {
    ...place,
    typeOf: (operand) => place.typeOf(numberOf(operand)),
    same: (operand, width) => place.same(numberOf(operand), width),
    at: (operand, where, width) => place.at(numberOf(operand), where, width),
    lookUp: (operand, where, width) => place.lookUp(numberOf(operand), where, width),
    beside: (operand, by) => place.beside(numberOf(operand), by),
    stored: (operand) => place.stored(numberOf(operand)),
  };
}

/** A shape as attributes hold it, a list of strings: `["B", "T", "64"]`. */
export function shapeToAttr(shape: readonly Dim[]): readonly string[] {
  return shape.map(String);
}

/** The shape that `types` broadcast to by numpy's rule: shapes align at the last axis, sizes are equal or 1. @throws OpError naming `id` if they do not fit */
export function broadcastShapes(types: readonly Type[], op: string, id: string): readonly Dim[] {
  const rank = Math.max(0, ...types.map((t) => t.shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let found: Dim = 1;
    for (const type of types) {
      const own = axis - (rank - type.shape.length);
      if (own < 0) continue;
      const dim = at(type.shape, own);
      constraint(dim === 1 || found === 1 || dim === found, op, id, () => `shapes must broadcast, found ${types.map(typeText).join(' and ')}`);
      if (dim !== 1) found = dim;
    }
    return found;
  });
}
