/** @file What an op is: everything about it in one literal. Ops live in ./ops; ./ops/index.ts lists them. docs/adding.md goes through one. */

import type { Expr } from '../codegen/kernel/ir.ts';
import type { Bind } from '../codegen/kernel/numerics.ts';
import type { Cost } from '../cost.ts';
import { at, invariant } from '../errors.ts';
import { type AttrSpecs, type AttrsOf, checkAttrs, viewAttrs } from './attributes.ts';
import { constraint } from './constraint.ts';
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
 * How code is made of an op: `pointwise` one scalar expression per element · `index` an element of the result is an element of an
 * operand, or a function of the index · `reduce` over axes · `dot` · `kernel` has a kernel of its own · `composite` is decomposed first ·
 * `control` calls and fused groups.
 */
export type OpKind = 'pointwise' | 'index' | 'reduce' | 'dot' | 'kernel' | 'composite' | 'control';

/** A use of an op that tests run: types of its operands, its attributes, and values where random ones would not do. */
export interface Sample {
  readonly types: readonly Type[];
  readonly attrs?: Attrs;
  /** Values of an operand where random ones would not do (indices, conditions, positive numbers). */
  readonly values?: Readonly<Record<number, readonly number[]>>;
}

/** A use that breaks constraint `C<n>` of the op's documentation. */
export interface Rejection extends Sample {
  readonly constraint: string;
}

/** Adds ops to a function: shapes are inferred and names made unique. ./builder.ts makes one. */
export interface FuncBuilder {
  /** Adds an op and returns its results. `names` are hints, made unique. @throws OpError */
  ops(name: string, operands: readonly Value[], attrs?: Attrs, names?: readonly string[]): readonly Value[];
  /** The same for an op with one result. */
  op(name: string, operands: readonly Value[], attrs?: Attrs, hint?: string): Value;
  param(name: string, type: Type, role: Role): Value;
  constant(value: number, dtype?: DType): Value;
  /** Adds an op with given result types: calls and fused groups. */
  raw(op: { name: string; operands: readonly Value[]; attrs: Attrs; types: readonly Type[]; names?: readonly string[]; body?: Body }): readonly Value[];
  /** Marks the source line for the values made from here on. */
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
  /** Which operands' cotangents are wanted. */
  readonly needs: readonly boolean[];
}

/** How a reduction puts two elements together: associative, and `identity` changes nothing. */
export interface Combine {
  readonly identity: number;
  readonly js: (x: number, y: number) => number;
  readonly expr: (x: Expr, y: Expr) => Expr;
  /** It over the lanes of a subgroup, where there is a function for that. */
  readonly subgroup?: (value: Expr, bind: Bind) => Expr;
}

/** An operand that holds ids: elements of `of` along an axis, counted from the scalar `first`, or from 0. */
export interface IdsOf<Operand = number> {
  readonly ids: Operand;
  readonly of: Operand;
  /** Axis of `of`; −1 is the last one. */
  readonly axis: number;
  readonly first?: Operand;
  /** What the ids count, for messages. */
  readonly what: 'rows' | 'classes';
  /** Whether a negative id means that there is none. */
  readonly negative: boolean;
}

/** An op as passes and code generation read it: operands are lists here, in the order of `operands`. `makeOp` makes one of an `OpSource`. */
export interface OpDef extends Traits {
  readonly name: string;
  readonly kind: OpKind;
  /** What its operands are; null: any, which `decompose` will refuse or take. */
  readonly operands: OperandSpecs | null;
  /** What its attributes are; null: any. */
  readonly attrs: AttrSpecs | null;
  /** Result types. @throws OpError naming the constraint that does not hold. */
  readonly infer: (types: readonly Type[], attrs: Attrs) => readonly Type[];
  /** Reference evaluation; composites go through `decompose`. */
  readonly evaluate?: (inputs: readonly Tensor[], attrs: Attrs, sizes: DimSizes, types: readonly Type[]) => readonly Tensor[];
  readonly decompose?: (b: FuncBuilder, operands: readonly Value[], attrs: Attrs) => readonly Value[];
  /** Cotangents of the operands; null where zero or not wanted. Absent: not differentiable (its operands get none). */
  readonly vjp?: (context: VjpContext) => readonly (Value | null)[];
  /** FLOPs at any sizes of the run-time dimensions. Absent: those of the ops that it decomposes into. */
  readonly flops?: (inputs: readonly Type[], results: readonly Type[], attrs: Attrs) => Cost;
  /** The element of the result at a position (pointwise and index ops). */
  readonly element?: (at: ElementAt, op: Op) => Expr;
  /** How four neighbours are computed at once; null: they are not. */
  readonly fourWide: (op: Op) => FourWide | null;
  /** The operand that the result is equal to, or null. `numberOf`: the number that a value is, where it is a constant. */
  readonly identity?: (operands: readonly Value[], result: Type, attrs: Attrs, numberOf: (v: Value) => number | null) => Value | null;
  /** Which operand the kernel writes, in place of its first result; `accumulates`: it adds to what lies in its first result. */
  readonly effects: { readonly writes: number } | 'accumulates' | null;
  readonly ids: IdsOf | null;
  readonly samples: readonly Sample[];
  readonly rejects?: readonly Rejection[];
}

/** What passes may do with an op. */
interface Traits {
  /** FLOPs of one element of a pointwise op; default 1. */
  readonly perElement?: number;
  /** The result is the first operand's bytes under another shape. */
  readonly aliases?: boolean;
  /** Every element of the result is one of the first operand's. */
  readonly view?: boolean;
  /** Every element of the result is the first operand's as it broadcasts. */
  readonly repeats?: boolean;
  /** The first two operands are added up. */
  readonly adds?: boolean;
  /** It ends a unit: its first operand is the unit's input, its second the branch. */
  readonly endsUnit?: boolean;
  /** Whether the loads of a dot may compute it again for every tile: always, or where one of two operands is a scalar. */
  readonly inLoads?: 'always' | 'with a scalar';
  /** It widens a weight from the dtype that it is stored in. */
  readonly widens?: boolean;
  /** Boolean attributes printed as `^T` behind an operand, by the operand's number. */
  readonly marks?: readonly string[];
  readonly combine?: Combine;
  /** This op with `reader` taken in, the one op that reads its first result; null where it cannot. `known`: what is there before this op. */
  readonly absorbs?: (op: Op, reader: Op, known: ReadonlySet<Value>) => Op | null;
}

type OneOrMore<T> = T | readonly T[];

/** An op as it is written down: operands and attributes by name, typed by what `operands` and `attrs` say. */
export interface OpSource<N extends string, K extends OpKind, O extends OperandSpecs, A extends AttrSpecs> extends Traits {
  readonly name: N;
  readonly kind: K;
  readonly operands: O;
  readonly attrs?: A;
  readonly infer: (types: Named<O, Type>, attrs: AttrsOf<A>) => OneOrMore<Type>;
  readonly evaluate?: (
    inputs: Named<O, Tensor>,
    attrs: AttrsOf<A>,
    about: { readonly sizes: DimSizes /** Shape of the first result. */; readonly shape: readonly number[] },
  ) => OneOrMore<Tensor>;
  readonly decompose?: (b: FuncBuilder, operands: Named<O, Value>, attrs: AttrsOf<A>) => OneOrMore<Value>;
  readonly vjp?:
    | ((
        context: {
          readonly b: FuncBuilder;
          readonly results: readonly Value[];
          readonly attrs: AttrsOf<A>;
          /** The attributes as they are, to hand on. */
          readonly raw: Attrs;
          readonly cotangents: readonly (Value | null)[];
          /** Cotangent of the first result. */
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

const listOf = <T>(found: OneOrMore<T>): readonly T[] => (Array.isArray(found) ? (found as readonly T[]) : [found as T]);

/**
 * An op of its source. Before anything else its constraint C0 is checked: as many operands as it names, of their dtypes, and no attributes
 * but its own, of their types.
 */
export function makeOp<const N extends string, const K extends OpKind, const O extends OperandSpecs, const A extends AttrSpecs = Record<never, never>>(
  source: OpSource<N, K, O, A>,
): OpDef & { readonly name: N; readonly kind: K } {
  const { name, kind, operands, evaluate, decompose, vjp, flops, element, identity, fourWide, effects, ids, infer, samples, rejects, ...traits } = source;
  const attrs = (source.attrs ?? {}) as A;
  const named = <T>(list: readonly T[], given: Attrs): Named<O, T> => bindOperands(operands, list, given);
  const view = (given: Attrs): AttrsOf<A> => viewAttrs(attrs, given);
  const numberOf = (operand: string | number): number => (typeof operand === 'number' ? operand : Object.keys(operands).indexOf(operand));
  const numbered = ({ along, positional = [] }: FourWide<string>): FourWide => ({ along: along.map(numberOf), positional: positional.map(numberOf) });
  const own = {
    ...traits,
    name,
    kind,
    operands,
    attrs,
    samples,
    ...(rejects ? { rejects } : {}),
    effects: effects === undefined || effects === 'accumulates' ? (effects ?? null) : { writes: numberOf(effects.writes) },
    ids: ids ? idsByNumber(ids, numberOf) : null,
    infer: (types: readonly Type[], given: Attrs) => {
      checkOperands(name, operands, types, given);
      checkAttrs(name, attrs, given);
      return listOf(infer(named(types, given), view(given)));
    },
    fourWide: (op: Op): FourWide | null => {
      const result = at(op.results, 0).type;
      const found = typeof fourWide === 'function' ? fourWide(named(typesOf(op), op.attrs), result, view(op.attrs)) : (fourWide ?? wideByKind(kind, result));
      return found === 'none' ? null : found === 'all' ? { along: op.operands.map((_, i) => i) } : numbered(found);
    },
  };
  const whole: OpDef & { readonly name: N; readonly kind: K } = {
    ...own,
    ...(evaluate
      ? {
          evaluate: (inputs, given, sizes, types) => {
            const shape = at(types, 0).shape as readonly number[];
            return listOf(evaluate(named(inputs, given), view(given), { sizes, shape }));
          },
        }
      : {}),
    ...(decompose ? { decompose: (b, values, given) => listOf(decompose(b, named(values, given), view(given))) } : {}),
    ...(vjp
      ? {
          vjp: ({ b, operands: values, results, attrs: given, cotangents, needs }) => {
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
            const places = bindOperands(
              operands,
              values.map((_, i) => i),
              given,
            ) as Readonly<Record<string, number | readonly number[] | undefined>>;
            const out: (Value | null)[] = values.map(() => null);
            for (const [operand, place] of Object.entries(places))
              if (place !== undefined) listOf<number>(place).forEach((i, k) => (out[i] = listOf(found[operand] ?? null)[k] ?? null));
            return out;
          },
        }
      : {}),
    ...(flops ? { flops: (types, results, given) => flops(named(types, given), results, view(given)) } : {}),
    ...(element ? { element: (place, op) => element(byName(place, numberOf), view(op.attrs)) } : {}),
    ...(identity ? { identity: (values, result, given, numberOfValue) => identity(named(values, given), result, view(given), numberOfValue) } : {}),
  };
  return whole;
}

function idsByNumber({ ids, of, first, ...rest }: IdsOf<string>, numberOf: (operand: string) => number): IdsOf {
  return { ...rest, ids: numberOf(ids), of: numberOf(of), ...(first === undefined ? {} : { first: numberOf(first) }) };
}

const typesOf = (op: Op): readonly Type[] => op.operands.map((v) => v.type);

/** What computes numbers computes four at a time; what moves elements says itself whether neighbours stay neighbours. */
const wideByKind = (kind: OpKind, { dtype }: Type): 'all' | 'none' => (kind === 'index' || dtype !== 'f32' ? 'none' : 'all');

/** Elements of operands by name. */
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

/** Shapes in attributes are lists of texts: `["B", "T", "64"]`. */
export function shapeToAttr(shape: readonly Dim[]): readonly string[] {
  return shape.map(String);
}

/** numpy's rule: aligned at the last axis, sizes equal or 1. @throws OpError (`id`) when two shapes do not fit. */
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
