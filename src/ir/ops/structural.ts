/** @file Structural primitives: constants, index functions and views. Kernels turn each into index arithmetic. */

import { type Cost, productOf } from '../../cost.ts';
import { broadcastShapes, constraint, numberAttr, numbersAttr, type OpDef, operand, shapeAttr, shapeToAttr } from '../define.ts';
import { broadcastAt, generate, tensor } from '../tensor.ts';
import { type Dim, type DType, SCALAR_TYPES, type Shape, typeText } from '../types.ts';
import { unbroadcast } from './unbroadcast.ts';

const NO_FLOPS = (): Cost => [];
/** One for each element of the result. */
const ofResult: NonNullable<OpDef['flops']> = (_inputs, results) => productOf(operand(results, 0, 'flops').shape);

function dtypeAttr(value: unknown, op: string): DType {
  constraint(
    typeof value === 'string' && (SCALAR_TYPES as readonly string[]).includes(value),
    op,
    'C1',
    () => `dtype must be one of ${SCALAR_TYPES.join(', ')}, found ${JSON.stringify(value)}`,
  );
  return value as DType;
}

/** `constant {value, dtype}`: a scalar. (C1) dtype is known. */
const constantOp: OpDef = {
  name: 'constant',
  kind: 'index',
  infer: (_types, attrs) => [{ dtype: dtypeAttr(attrs['dtype'] ?? 'f32', 'constant'), shape: [] }],
  evaluate: (_inputs, attrs) => [tensor(dtypeAttr(attrs['dtype'] ?? 'f32', 'constant'), [], [numberAttr(attrs, 'value', 'constant')])],
  vjp: () => [],
  flops: NO_FLOPS,
  samples: [{ types: [], attrs: { value: 1.5, dtype: 'f32' } }],
  rejects: [{ constraint: 'C1', types: [], attrs: { value: 1, dtype: 'f99' } }],
};

/** `iota {shape, axis}`: i32, the index along `axis`. (C1) axis is one of the shape's. */
const iota: OpDef = {
  name: 'iota',
  kind: 'index',
  infer: (_types, attrs) => {
    const shape = shapeAttr(attrs, 'shape', 'iota');
    const axis = numberAttr(attrs, 'axis', 'iota');
    constraint(axis >= 0 && axis < shape.length, 'iota', 'C1', () => `axis must be below the rank ${shape.length}, found ${axis}`);
    return [{ dtype: 'i32', shape }];
  },
  evaluate: (_inputs, attrs, _sizes, types) => {
    const axis = numberAttr(attrs, 'axis', 'iota');
    return [generate('i32', types[0]?.shape as readonly number[], (index) => index[axis] ?? 0)];
  },
  vjp: () => [],
  flops: NO_FLOPS,
  samples: [{ types: [], attrs: { shape: ['2', '3'], axis: 1 } }],
  rejects: [{ constraint: 'C1', types: [], attrs: { shape: ['2'], axis: 1 } }],
};

/** Product of a shape as (constant, sorted symbols): equal products hold for every binding. */
export function productKey(shape: Shape): string {
  const constant = shape.reduce<number>((p, d) => (typeof d === 'number' ? p * d : p), 1);
  return [constant, ...shape.filter((d) => typeof d === 'string').sort()].join('*');
}

/** `reshape %x {shape}`: the same elements in the same order. (C1) the number of elements is equal for all run-time sizes. */
const reshape: OpDef = {
  name: 'reshape',
  kind: 'index',
  infer: (types, attrs) => {
    const x = operand(types, 0, 'reshape');
    const shape = shapeAttr(attrs, 'shape', 'reshape');
    constraint(productKey(shape) === productKey(x.shape), 'reshape', 'C1', () => `element counts must agree, found ${typeText(x)} and [${shape.join(',')}]`);
    return [{ dtype: x.dtype, shape }];
  },
  evaluate: ([x], _attrs, _sizes, types) => (x ? [{ ...x, shape: types[0]?.shape as readonly number[] }] : []),
  vjp: ({ b, operands, cotangents: [d] }) => [d && operands[0] ? b.op('reshape', [d], { shape: shapeToAttr(operands[0].type.shape) }) : null],
  flops: NO_FLOPS,
  samples: [{ types: [{ dtype: 'f32', shape: [2, 6] }], attrs: { shape: ['3', '4'] } }],
  rejects: [{ constraint: 'C1', types: [{ dtype: 'f32', shape: [2, 6] }], attrs: { shape: ['5'] } }],
};

/** `transpose %x {perm}`: result axis i is operand axis perm[i]. (C1) perm is a permutation of the axes. */
const transpose: OpDef = {
  name: 'transpose',
  kind: 'index',
  infer: (types, attrs) => {
    const x = operand(types, 0, 'transpose');
    const perm = numbersAttr(attrs, 'perm', 'transpose');
    constraint(
      perm.length === x.shape.length && [...perm].sort((a, c) => a - c).every((p, i) => p === i),
      'transpose',
      'C1',
      () => `perm must order the ${x.shape.length} axes of ${typeText(x)}, found [${perm.join(',')}]`,
    );
    return [{ dtype: x.dtype, shape: perm.map((p) => x.shape[p] ?? 1) }];
  },
  evaluate: ([x], attrs, _sizes, types) => {
    if (!x) return [];
    const perm = numbersAttr(attrs, 'perm', 'transpose');
    const source = new Array<number>(perm.length).fill(0);
    return [
      generate(x.dtype, types[0]?.shape as readonly number[], (index) => {
        for (let i = 0; i < perm.length; i++) source[perm[i] ?? 0] = index[i] ?? 0;
        return broadcastAt(x, source);
      }),
    ];
  },
  vjp: ({ b, cotangents: [d], attrs }) => {
    const perm = numbersAttr(attrs, 'perm', 'transpose');
    return [d ? b.op('transpose', [d], { perm: perm.map((_, i) => perm.indexOf(i)) }) : null];
  },
  flops: NO_FLOPS,
  samples: [{ types: [{ dtype: 'f32', shape: [2, 3, 4] }], attrs: { perm: [1, 2, 0] } }],
  rejects: [{ constraint: 'C1', types: [{ dtype: 'f32', shape: [2, 3] }], attrs: { perm: [0, 0] } }],
};

/** `broadcast %x {shape}`: repeats along axes of size 1 and new leading axes. (C1) the shapes fit as in numpy. */
const broadcast: OpDef = {
  name: 'broadcast',
  kind: 'index',
  infer: (types, attrs) => {
    const x = operand(types, 0, 'broadcast');
    const shape = shapeAttr(attrs, 'shape', 'broadcast');
    const lead = shape.length - x.shape.length;
    constraint(
      lead >= 0 && x.shape.every((d, i) => d === 1 || d === shape[i + lead]),
      'broadcast',
      'C1',
      () => `${typeText(x)} does not broadcast to [${shape.join(',')}]`,
    );
    return [{ dtype: x.dtype, shape }];
  },
  evaluate: ([x], _attrs, _sizes, types) => (x ? [generate(x.dtype, types[0]?.shape as readonly number[], (index) => broadcastAt(x, index))] : []),
  vjp: ({ b, operands: [x], cotangents: [d] }) => {
    if (!d || !x) return [null];
    const lead = d.type.shape.length - x.type.shape.length;
    const axes = d.type.shape.flatMap((dim, i) => (i < lead || (x.type.shape[i - lead] === 1 && dim !== 1) ? [i] : []));
    const summed = axes.length ? b.op('reduce_sum', [d], { axes }) : d;
    return [lead > 0 ? b.op('reshape', [summed], { shape: shapeToAttr(x.type.shape) }) : summed];
  },
  flops: NO_FLOPS,
  samples: [{ types: [{ dtype: 'f32', shape: [3, 1] }], attrs: { shape: ['2', '3', '4'] } }],
  rejects: [{ constraint: 'C1', types: [{ dtype: 'f32', shape: [3] }], attrs: { shape: ['2', '4'] } }],
};

function sliceBounds(attrs: Parameters<OpDef['infer']>[1]): { axis: number; start: number; size: number } {
  return { axis: numberAttr(attrs, 'axis', 'slice'), start: numberAttr(attrs, 'start', 'slice'), size: numberAttr(attrs, 'size', 'slice') };
}

/** `slice %x {axis, start, size}`. (C1) the axis has a static size and holds start + size elements. */
const slice: OpDef = {
  name: 'slice',
  kind: 'index',
  infer: (types, attrs) => {
    const x = operand(types, 0, 'slice');
    const { axis, start, size } = sliceBounds(attrs);
    const extent = x.shape[axis];
    constraint(
      typeof extent === 'number' && start >= 0 && size > 0 && start + size <= extent,
      'slice',
      'C1',
      () => `axis ${axis} of ${typeText(x)} must be static and hold ${start}..${start + size}`,
    );
    return [{ dtype: x.dtype, shape: x.shape.map((d, i) => (i === axis ? size : d)) }];
  },
  evaluate: ([x], attrs, _sizes, types) => {
    if (!x) return [];
    const { axis, start } = sliceBounds(attrs);
    return [
      generate(x.dtype, types[0]?.shape as readonly number[], (index) =>
        broadcastAt(
          x,
          index.map((v, i) => (i === axis ? v + start : v)),
        ),
      ),
    ];
  },
  vjp: ({ b, operands: [x], cotangents: [d], attrs }) => {
    if (!d || !x) return [null];
    const { axis, start, size } = sliceBounds(attrs);
    const extent = Number(x.type.shape[axis]);
    const zero = (n: number): readonly (typeof d)[] => {
      const shape: readonly Dim[] = x.type.shape.map((dim, i) => (i === axis ? n : dim));
      return n > 0 ? [b.op('broadcast', [b.constant(0)], { shape: shapeToAttr(shape) })] : [];
    };
    const parts = [...zero(start), d, ...zero(extent - start - size)];
    return [parts.length === 1 ? d : b.op('concat', parts, { axis })];
  },
  flops: NO_FLOPS,
  samples: [{ types: [{ dtype: 'f32', shape: [2, 5, 3] }], attrs: { axis: 1, start: 1, size: 3 } }],
  rejects: [{ constraint: 'C1', types: [{ dtype: 'f32', shape: [2, 5] }], attrs: { axis: 1, start: 3, size: 3 } }],
};

/** `concat %a, %b, … {axis}`. (C1) dtypes and all other axes agree; the axis is static. */
const concat: OpDef = {
  name: 'concat',
  kind: 'index',
  infer: (types, attrs) => {
    const first = operand(types, 0, 'concat');
    const axis = numberAttr(attrs, 'axis', 'concat');
    let total = 0;
    for (const type of types) {
      const extent = type.shape[axis];
      constraint(
        typeof extent === 'number' &&
          type.dtype === first.dtype &&
          type.shape.length === first.shape.length &&
          type.shape.every((d, i) => i === axis || d === first.shape[i]),
        'concat',
        'C1',
        () => `operands must agree but for axis ${axis}, found ${types.map(typeText).join(' and ')}`,
      );
      total += extent;
    }
    return [{ dtype: first.dtype, shape: first.shape.map((d, i) => (i === axis ? total : d)) }];
  },
  evaluate: (inputs, attrs, _sizes, types) => {
    const axis = numberAttr(attrs, 'axis', 'concat');
    const dtype = inputs[0]?.dtype ?? 'f32';
    return [
      generate(dtype, types[0]?.shape as readonly number[], (index) => {
        let at = index[axis] ?? 0;
        for (const part of inputs) {
          const extent = part.shape[axis] ?? 0;
          if (at < extent)
            return broadcastAt(
              part,
              index.map((v, i) => (i === axis ? at : v)),
            );
          at -= extent;
        }
        return 0;
      }),
    ];
  },
  vjp: ({ b, operands, cotangents: [d], attrs, needs }) => {
    const axis = numberAttr(attrs, 'axis', 'concat');
    let start = 0;
    return operands.map((x, i) => {
      const size = Number(x.type.shape[axis]);
      const from = start;
      start += size;
      return d && needs[i] ? b.op('slice', [d], { axis, start: from, size }) : null;
    });
  },
  flops: NO_FLOPS,
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
};

const NUMERIC: readonly DType[] = ['f32', 'i32', 'u32', 'bool'];

/** `convert %x {to}`: f32, i32, u32, bool. (C1) both are one of these. */
const convert: OpDef = {
  name: 'convert',
  kind: 'pointwise',
  infer: (types, attrs) => {
    const x = operand(types, 0, 'convert');
    const to = dtypeAttr(attrs['to'], 'convert');
    constraint(NUMERIC.includes(to) && NUMERIC.includes(x.dtype), 'convert', 'C1', () => `converts between ${NUMERIC.join(', ')}, found ${x.dtype} to ${to}`);
    return [{ dtype: to, shape: x.shape }];
  },
  evaluate: ([x], attrs) => {
    const to = dtypeAttr(attrs['to'], 'convert');
    const cast = (v: number): number => (to === 'bool' ? Number(v !== 0) : to === 'i32' ? Math.trunc(v) | 0 : to === 'u32' ? Math.trunc(v) >>> 0 : v);
    return x ? [{ dtype: to, shape: x.shape, data: x.data.map(cast) }] : [];
  },
  vjp: ({ operands: [x], cotangents: [d] }) => [d && x?.type.dtype === 'f32' ? d : null],
  flops: ofResult,
  samples: [{ types: [{ dtype: 'i32', shape: [4] }], attrs: { to: 'f32' }, values: { 0: [3, -2, 0, 7] } }],
  rejects: [{ constraint: 'C1', types: [{ dtype: 'i32', shape: [4] }], attrs: { to: 'bf16' } }],
};

/** `select %cond, %yes, %no`. (C1) cond is bool. (C2) shapes broadcast, yes and no have one dtype. */
const select: OpDef = {
  name: 'select',
  kind: 'pointwise',
  infer: (types) => {
    const cond = operand(types, 0, 'select');
    const yes = operand(types, 1, 'select');
    const no = operand(types, 2, 'select');
    constraint(cond.dtype === 'bool', 'select', 'C1', () => `the condition must be bool, found ${typeText(cond)}`);
    constraint(yes.dtype === no.dtype, 'select', 'C2', () => `both values must have one dtype, found ${typeText(yes)} and ${typeText(no)}`);
    return [{ dtype: yes.dtype, shape: broadcastShapes(types, 'select', 'C2') }];
  },
  evaluate: ([cond, yes, no], _attrs, _sizes, types) =>
    cond && yes && no
      ? [generate(yes.dtype, types[0]?.shape as readonly number[], (i) => (broadcastAt(cond, i) !== 0 ? broadcastAt(yes, i) : broadcastAt(no, i)))]
      : [],
  vjp: ({ b, operands: [cond, yes, no], cotangents: [d], needs }) => {
    if (!cond || !yes || !no || !d) return [null, null, null];
    const zero = b.constant(0);
    return [
      null,
      needs[1] ? unbroadcast(b, b.op('select', [cond, d, zero]), yes.type) : null,
      needs[2] ? unbroadcast(b, b.op('select', [cond, zero, d]), no.type) : null,
    ];
  },
  flops: ofResult,
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
      constraint: 'C1',
      types: [
        { dtype: 'f32', shape: [2] },
        { dtype: 'f32', shape: [2] },
        { dtype: 'f32', shape: [2] },
      ],
    },
  ],
};

export const structuralOps: readonly OpDef[] = [constantOp, iota, reshape, transpose, broadcast, slice, concat, convert, select];
