/** @file Structural primitives: constants, functions of the index, and views. Kernels turn each into index arithmetic. */

import { bin, bool, constant as constantExpr, convert as convertExpr, lt, min, select as selectExpr, sub, u32, vec } from '../../codegen/kernel/expr.ts';
import { type Expr, isVector, type KScalar } from '../../codegen/kernel/ir.ts';
import { type Cost, productOf } from '../../cost.ts';
import { at, invariant } from '../../errors.ts';
import { constraint } from '../constraint.ts';
import { broadcastShapes, makeOp, shapeToAttr } from '../define.ts';
import { widened } from '../element.ts';
import { broadcastAt, generate, tensor } from '../tensor.ts';
import { type Dim, type DType, lastDim, type Op, type Shape, sameShape, type Type, typeText, type Value } from '../types.ts';
import { unbroadcast } from './unbroadcast.ts';

const NO_FLOPS = (): Cost => [];
/** One FLOP for each element of the result. */
const ofResult = (_types: unknown, results: readonly Type[]): Cost => productOf(at(results, 0).shape);

/** Whether the size of the last axis is known, and a multiple of 4. */
const inFours = ({ shape }: Type): boolean => typeof lastDim(shape) === 'number' && Number(lastDim(shape)) % 4 === 0;

function literal(dtype: DType, number: number): Expr {
  if (dtype === 'bool') return bool(number !== 0);
  return constantExpr(dtype === 'i32' || dtype === 'u32' ? dtype : 'f32', number);
}

/** `constant {value, dtype?}`: a scalar; the default dtype is f32. */
const constant = makeOp({
  name: 'constant',
  kind: 'index',
  operands: {},
  attrs: { value: 'number', dtype: 'dtype?' },
  inLoads: 'always',
  infer: (_types, { dtype = 'f32' }) => ({ dtype, shape: [] }),
  evaluate: (_inputs, { value, dtype = 'f32' }) => tensor(dtype, [], [value]),
  vjp: () => ({}),
  flops: NO_FLOPS,
  element: (_at, { value, dtype = 'f32' }) => literal(dtype, value),
  samples: [{ types: [], attrs: { value: 1.5, dtype: 'f32' } }],
  rejects: [{ constraint: 'C0', types: [], attrs: { value: 1, dtype: 'f99' } }],
});

/** The number of a `constant`, or null for any other op. */
export const constantOf = (op: Op | undefined): number | null => (op?.name === constant.name ? Number(op.attrs['value']) : null);

/** `iota {shape, axis}`: i32, each element's index along `axis`. (C1) axis is below the rank. */
const iota = makeOp({
  name: 'iota',
  kind: 'index',
  operands: {},
  attrs: { shape: 'shape', axis: 'number' },
  infer: (_types, { shape, axis }) => {
    constraint(axis >= 0 && axis < shape.length, 'iota', 'C1', () => `axis must be below the rank ${shape.length}, found ${axis}`);
    return { dtype: 'i32', shape };
  },
  evaluate: (_inputs, { axis }, { shape }) => generate('i32', shape, (index) => at(index, axis)),
  vjp: () => ({}),
  flops: NO_FLOPS,
  element: (place, { axis }) => convertExpr('i32', at(place.axes(), axis)),
  samples: [{ types: [], attrs: { shape: ['2', '3'], axis: 1 } }],
  rejects: [{ constraint: 'C1', types: [], attrs: { shape: ['2'], axis: 1 } }],
});

/** The element count of a shape as text: a number times sorted names. Shapes with equal texts have equally many elements at all run-time sizes. */
export function productKey(shape: Shape): string {
  const numbers = shape.reduce<number>((p, d) => (typeof d === 'number' ? p * d : p), 1);
  return [numbers, ...shape.filter((d) => typeof d === 'string').sort()].join('*');
}

/** `reshape %x {shape}`: the same elements in the same order. (C1) the number of elements is equal for all run-time sizes. */
const reshape = makeOp({
  name: 'reshape',
  kind: 'index',
  operands: { x: 'any' },
  attrs: { shape: 'shape' },
  aliases: true,
  view: true,
  inLoads: 'always',
  infer: ({ x }, { shape }) => {
    constraint(productKey(shape) === productKey(x.shape), 'reshape', 'C1', () => `element counts must agree, found ${typeText(x)} and [${shape.join(',')}]`);
    return { dtype: x.dtype, shape };
  },
  evaluate: ({ x }, _attrs, { shape }) => ({ ...x, shape }),
  vjp: ({ b, d }, { x }) => ({ x: b.op('reshape', [d], { shape: shapeToAttr(x.type.shape) }) }),
  flops: NO_FLOPS,
  element: (place) => place.at('x', () => ({ flat: place.flat() }), lastDim(place.typeOf('x').shape) === 1 ? 1 : place.width),
  // Neighbours stay neighbours, but four of them must lie in one row of the operand too.
  fourWide: ({ x }) => (inFours(x) ? 'all' : 'none'),
  identity: ({ x }, { shape }) => (sameShape(x.type.shape, shape) ? x : null),
  samples: [{ types: [{ dtype: 'f32', shape: [2, 6] }], attrs: { shape: ['3', '4'] } }],
  rejects: [{ constraint: 'C1', types: [{ dtype: 'f32', shape: [2, 6] }], attrs: { shape: ['5'] } }],
});

/** `transpose %x {perm}`: result axis i is operand axis perm[i]. (C1) perm is a permutation of the axes. */
const transpose = makeOp({
  name: 'transpose',
  kind: 'index',
  operands: { x: 'any' },
  attrs: { perm: 'numbers' },
  view: true,
  inLoads: 'always',
  infer: ({ x }, { perm }) => {
    constraint(
      perm.length === x.shape.length && [...perm].sort((a, c) => a - c).every((p, i) => p === i),
      'transpose',
      'C1',
      () => `perm must order the ${x.shape.length} axes of ${typeText(x)}, found [${perm.join(',')}]`,
    );
    return { dtype: x.dtype, shape: perm.map((p) => at(x.shape, p)) };
  },
  evaluate: ({ x }, { perm }, { shape }) => {
    const source = new Array<number>(perm.length).fill(0);
    return generate(x.dtype, shape, (index) => {
      perm.forEach((axis, i) => (source[axis] = at(index, i)));
      return broadcastAt(x, source);
    });
  },
  vjp: ({ b, d, attrs: { perm } }) => ({ x: b.op('transpose', [d], { perm: perm.map((_, i) => perm.indexOf(i)) }) }),
  flops: NO_FLOPS,
  element: (place, { perm }) => {
    const axes = place.axes();
    return place.at('x', () => ({ axes: perm.map((_, i) => at(axes, perm.indexOf(i))) }));
  },
  fourWide: (_types, { shape }, { perm }) => (perm.at(-1) === shape.length - 1 ? 'all' : 'none'),
  samples: [{ types: [{ dtype: 'f32', shape: [2, 3, 4] }], attrs: { perm: [1, 2, 0] } }],
  rejects: [{ constraint: 'C1', types: [{ dtype: 'f32', shape: [2, 3] }], attrs: { perm: [0, 0] } }],
});

/** `broadcast %x {shape}`: repeats x along axes of size 1 and along new leading axes. (C1) the shapes fit as in numpy. */
const broadcast = makeOp({
  name: 'broadcast',
  kind: 'index',
  operands: { x: 'any' },
  attrs: { shape: 'shape' },
  view: true,
  repeats: true,
  infer: ({ x }, { shape }) => {
    const lead = shape.length - x.shape.length;
    constraint(
      lead >= 0 && x.shape.every((d, i) => d === 1 || d === shape[i + lead]),
      'broadcast',
      'C1',
      () => `${typeText(x)} does not broadcast to [${shape.join(',')}]`,
    );
    return { dtype: x.dtype, shape };
  },
  evaluate: ({ x }, _attrs, { shape }) => generate(x.dtype, shape, (index) => broadcastAt(x, index)),
  vjp: ({ b, d }, { x }) => ({ x: unbroadcast(b, d, x.type) }),
  flops: NO_FLOPS,
  element: (place) => widened(place.same('x'), place.width),
  fourWide: 'all',
  identity: ({ x }, { shape }) => (sameShape(x.type.shape, shape) ? x : null),
  samples: [{ types: [{ dtype: 'f32', shape: [3, 1] }], attrs: { shape: ['2', '3', '4'] } }],
  rejects: [{ constraint: 'C1', types: [{ dtype: 'f32', shape: [3] }], attrs: { shape: ['2', '4'] } }],
});

/** The place at `axes`, but at position `moved` along `axis`. */
const movedAlong = (axes: readonly Expr[], axis: number, moved: Expr): { readonly axes: readonly Expr[] } => ({
  axes: axes.map((position, i) => (i === axis ? moved : position)),
});

/** `slice %x {axis, start, size}`: `size` elements of x along `axis`, from `start` on. (C1) the axis is static and has start + size elements or more. */
const slice = makeOp({
  name: 'slice',
  kind: 'index',
  operands: { x: 'any' },
  attrs: { axis: 'number', start: 'number', size: 'number' },
  view: true,
  inLoads: 'always',
  infer: ({ x }, { axis, start, size }) => {
    const extent = x.shape[axis];
    constraint(
      typeof extent === 'number' && start >= 0 && size > 0 && start + size <= extent,
      'slice',
      'C1',
      () => `axis ${axis} of ${typeText(x)} must be static and hold ${start}..${start + size}`,
    );
    return { dtype: x.dtype, shape: x.shape.map((d, i) => (i === axis ? size : d)) };
  },
  evaluate: ({ x }, { axis, start }, { shape }) =>
    generate(x.dtype, shape, (index) =>
      broadcastAt(
        x,
        index.map((v, i) => (i === axis ? v + start : v)),
      ),
    ),
  vjp: ({ b, d, attrs: { axis, start, size } }, { x }) => {
    const extent = Number(x.type.shape[axis]);
    const zero = (n: number): readonly Value[] => {
      const shape: readonly Dim[] = x.type.shape.map((dim, i) => (i === axis ? n : dim));
      return n > 0 ? [b.op('broadcast', [b.constant(0)], { shape: shapeToAttr(shape) })] : [];
    };
    const parts = [...zero(start), d, ...zero(extent - start - size)];
    return { x: parts.length === 1 ? d : b.op('concat', parts, { axis }) };
  },
  flops: NO_FLOPS,
  element: (place, { axis, start }) =>
    place.at('x', () => {
      const axes = place.axes();
      return movedAlong(axes, axis, place.bind('m', bin('+', at(axes, axis), u32(start))));
    }),
  fourWide: ({ x }, { shape }, { axis, start }) => (axis !== shape.length - 1 || (start % 4 === 0 && inFours(x)) ? 'all' : 'none'),
  samples: [{ types: [{ dtype: 'f32', shape: [2, 5, 3] }], attrs: { axis: 1, start: 1, size: 3 } }],
  rejects: [{ constraint: 'C1', types: [{ dtype: 'f32', shape: [2, 5] }], attrs: { axis: 1, start: 3, size: 3 } }],
});

/** Where a `slice` starts along its axis, or null for any other op. */
export const sliceStart = (op: Op): number | null => (op.name === slice.name ? Number(op.attrs['start']) : null);

/** `concat %a, %b, … {axis}`: the operands joined along `axis`. (C1) dtypes and all other axes agree; the axis is static. */
const concat = makeOp({
  name: 'concat',
  kind: 'index',
  operands: { parts: { dtype: 'any', many: true } },
  attrs: { axis: 'number' },
  infer: ({ parts }, { axis }) => {
    const [first] = parts;
    constraint(first !== undefined, 'concat', 'C1', () => 'there must be at least one operand, found none');
    let total = 0;
    for (const type of parts) {
      const extent = type.shape[axis];
      constraint(
        typeof extent === 'number' &&
          type.dtype === first.dtype &&
          type.shape.length === first.shape.length &&
          type.shape.every((d, i) => i === axis || d === first.shape[i]),
        'concat',
        'C1',
        () => `operands must agree but for axis ${axis}, found ${parts.map(typeText).join(' and ')}`,
      );
      total += extent;
    }
    return { dtype: first.dtype, shape: first.shape.map((d, i) => (i === axis ? total : d)) };
  },
  evaluate: ({ parts }, { axis }, { shape }) =>
    generate(at(parts, 0).dtype, shape, (index) => {
      let from = at(index, axis);
      for (const part of parts) {
        const extent = at(part.shape, axis);
        if (from < extent)
          return broadcastAt(
            part,
            index.map((v, i) => (i === axis ? from : v)),
          );
        from -= extent;
      }
      throw new Error('concat: the position lies behind the last part');
    }),
  vjp: ({ b, d, attrs: { axis }, needs }, { parts }) => {
    let start = 0;
    return {
      parts: parts.map((x, i) => {
        const size = Number(x.type.shape[axis]);
        const from = start;
        start += size;
        return needs.parts[i] ? b.op('slice', [d], { axis, start: from, size }) : null;
      }),
    };
  },
  flops: NO_FLOPS,
  element: (place, { axis }) => {
    const position = at(place.axes(), axis);
    const isLast = axis === place.type.shape.length - 1;
    let end = 0;
    const parts = Array.from({ length: place.count }, (_, part) => {
      const start = end;
      const extent = Number(place.typeOf(part).shape[axis]);
      end += extent;
      return { part, start, extent };
    });
    let chosen: Expr | null = null;
    // Parts are visited from the last to the first, so that the first one is chosen whose end lies behind the position.
    for (const { part, start, extent } of parts.reverse()) {
      const value = place.at(part, () => {
        const axes = place.axes();
        const inside = min(sub(at(axes, axis), u32(start)), u32(extent - 1 - (place.width === 4 && isLast ? 3 : 0)));
        return movedAlong(axes, axis, place.bind('m', inside));
      });
      chosen = chosen === null ? value : selectExpr(chosen, value, lt(position, u32(start + extent)));
    }
    invariant(chosen, 'concat has no operands');
    return chosen;
  },
  fourWide: ({ parts }, { shape }, { axis }) => (axis !== shape.length - 1 || parts.every(inFours) ? 'all' : 'none'),
  samples: [
    {
      types: [
        { dtype: 'f32', shape: [2, 2, 3] },
        { dtype: 'f32', shape: [2, 1, 3] },
      ],
      attrs: { axis: 1 },
    },
  ],
  rejects: [
    {
      constraint: 'C1',
      types: [
        { dtype: 'f32', shape: [2, 2] },
        { dtype: 'f32', shape: [3, 2] },
      ],
      attrs: { axis: 1 },
    },
  ],
});

/** The axis of a `concat`, or null for any other op. */
export const concatAxis = (op: Op): number | null => (op.name === concat.name ? Number(op.attrs['axis']) : null);

function converted(x: Expr, to: KScalar): Expr {
  if (x.type === to) return x;
  if (to === 'bool') return bin('!=', x, constantExpr(x.type, 0));
  if (x.type === 'bool') return selectExpr(constantExpr(to, 0), constantExpr(to, 1), x);
  return convertExpr(to, x);
}

/** `convert %x {to}`: x in the dtype `to`. (C1) `to` is f32, i32, u32 or bool. */
const convert = makeOp({
  name: 'convert',
  kind: 'pointwise',
  operands: { x: 'plain' },
  attrs: { to: 'dtype' },
  infer: ({ x }, { to }) => {
    constraint(to !== 'f16' && to !== 'bf16', 'convert', 'C1', () => `converts to f32, i32, u32 or bool, found ${to}`);
    return { dtype: to, shape: x.shape };
  },
  evaluate: ({ x }, { to }) => {
    const cast = (v: number): number => (to === 'bool' ? Number(v !== 0) : to === 'i32' ? Math.trunc(v) | 0 : to === 'u32' ? Math.trunc(v) >>> 0 : v);
    return { dtype: to, shape: x.shape, data: x.data.map(cast) };
  },
  vjp: ({ d }, { x }) => ({ x: x.type.dtype === 'f32' ? d : null }),
  flops: ofResult,
  element: (place, { to }) => converted(place.same('x', 1), to as KScalar),
  fourWide: 'none',
  samples: [{ types: [{ dtype: 'i32', shape: [4] }], attrs: { to: 'f32' }, values: { 0: [3, -2, 0, 7] } }],
  rejects: [{ constraint: 'C1', types: [{ dtype: 'i32', shape: [4] }], attrs: { to: 'bf16' } }],
});

/** `select %cond, %yes, %no`: yes where cond is true, else no. (C1) shapes broadcast; yes and no have the same dtype. */
const select = makeOp({
  name: 'select',
  kind: 'pointwise',
  operands: { cond: 'bool', yes: 'any', no: 'any' },
  infer: ({ cond, yes, no }) => {
    constraint(yes.dtype === no.dtype, 'select', 'C1', () => `both values must have one dtype, found ${typeText(yes)} and ${typeText(no)}`);
    return { dtype: yes.dtype, shape: broadcastShapes([cond, yes, no], 'select', 'C1') };
  },
  evaluate: ({ cond, yes, no }, _attrs, { shape }) =>
    generate(yes.dtype, shape, (index) => (broadcastAt(cond, index) !== 0 ? broadcastAt(yes, index) : broadcastAt(no, index))),
  vjp: ({ b, d, needs }, { cond, yes, no }) => {
    const zero = b.constant(0);
    return {
      yes: needs.yes ? unbroadcast(b, b.op('select', [cond, d, zero]), yes.type) : null,
      no: needs.no ? unbroadcast(b, b.op('select', [cond, zero, d]), no.type) : null,
    };
  },
  flops: ofResult,
  element: (place) => {
    const [no, yes] = [place.same('no'), place.same('yes')];
    // One condition decides for the whole row.
    if (place.width === 1 || lastDim(place.typeOf('cond').shape) === 1)
      return selectExpr(widened(no, place.width), widened(yes, place.width), place.same('cond', 1));
    const part = (value: Expr, i: number): Expr => (isVector(value.type) ? { kind: 'component', type: 'f32', of: value, index: u32(i) } : value);
    return vec(
      'vec4f',
      [0, 1, 2, 3].map((i) => selectExpr(part(no, i), part(yes, i), place.beside('cond', i))),
    );
  },
  fourWide: (_types, { dtype }) => (dtype === 'f32' ? { along: ['yes', 'no'], positional: ['cond'] } : 'none'),
  samples: [
    {
      types: [
        { dtype: 'bool', shape: [3] },
        { dtype: 'f32', shape: [2, 3] },
        { dtype: 'f32', shape: [2, 3] },
      ],
      values: { 0: [1, 0, 1] },
    },
  ],
  rejects: [
    {
      constraint: 'C0',
      types: [
        { dtype: 'f32', shape: [2] },
        { dtype: 'f32', shape: [2] },
        { dtype: 'f32', shape: [2] },
      ],
    },
    {
      constraint: 'C1',
      types: [
        { dtype: 'bool', shape: [2] },
        { dtype: 'f32', shape: [2] },
        { dtype: 'i32', shape: [2] },
      ],
    },
  ],
});

export const structuralOps = [constant, iota, reshape, transpose, broadcast, slice, concat, convert, select] as const;
