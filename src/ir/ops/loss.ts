/** @file The loss of next-token prediction, and the ops that compute it when the vocabulary is split into parts. */

import { constraint } from '../constraint.ts';
import { shapeToAttr } from '../define.ts';
import { sameShape, type Type, typeText } from '../types.ts';
import { composite, F, lastAxis } from './composite.ts';

const column = (x: Type): Type => ({ dtype: 'f32', shape: [...x.shape.slice(0, -1), 1] });

/** `logsumexp %x`: log Σ eˣ over the last axis, which stays with size 1. The maximum is subtracted first; no gradient flows through it. */
const logsumexp = composite({
  name: 'logsumexp',
  operands: { x: 'f32' },
  infer: ({ x }) => column(x),
  decompose: (b, { x }) => {
    const axes = lastAxis(x);
    const top = b.op('stop_gradient', [b.op('reduce_max', [x], { axes })], {}, 'top');
    const total = b.op('reduce_sum', [b.op('exp', [b.op('sub', [x, top])])], { axes }, 'total');
    return b.op('add', [b.op('log', [total]), top]);
  },
  samples: [{ types: [F(2, 3, 4)] }],
});

/** `logaddexp %x, %y`: log(eˣ + eʸ). (C1) x and y have the same type. */
const logaddexp = composite({
  name: 'logaddexp',
  operands: { x: 'f32', y: 'f32' },
  infer: ({ x, y }) => {
    constraint(sameShape(x.shape, y.shape), 'logaddexp', 'C1', () => `both must have one type, found ${typeText(x)} and ${typeText(y)}`);
    return x;
  },
  decompose: (b, { x, y }) => {
    const top = b.op('stop_gradient', [b.op('max', [x, y])]);
    const total = b.op('add', [b.op('exp', [b.op('sub', [x, top])]), b.op('exp', [b.op('sub', [y, top])])]);
    return b.op('add', [b.op('log', [total]), top]);
  },
  samples: [{ types: [F(2, 3), F(2, 3)] }],
  rejects: [{ constraint: 'C1', types: [F(2, 3), F(3, 2)] }],
});

/**
 * `pick %x, %index, %first`: x[…, index − first] with a last axis of size 1; 0 if the row has no such element.
 * (C1) index has the axes of x but the last, and first is a scalar.
 */
const pick = composite({
  name: 'pick',
  operands: { x: 'f32', index: 'i32', first: 'i32' },
  ids: { ids: 'index', of: 'x', axis: -1, first: 'first', what: 'classes', negative: true },
  infer: ({ x, index, first }) => {
    constraint(
      sameShape(index.shape, x.shape.slice(0, -1)) && first.shape.length === 0,
      'pick',
      'C1',
      () => `index must have the leading axes of x, and first be i32[], found ${typeText(x)}, ${typeText(index)} and ${typeText(first)}`,
    );
    return column(x);
  },
  decompose: (b, { x, index, first }) => {
    const wanted = b.op('sub', [b.op('reshape', [index], { shape: shapeToAttr(column(x.type).shape) }), first]);
    const [axis] = lastAxis(x);
    const chosen = b.op('eq', [b.op('iota', [], { shape: shapeToAttr(x.type.shape), axis }), wanted]);
    return b.op('reduce_sum', [b.op('select', [chosen, x, b.constant(0)])], { axes: [axis] });
  },
  samples: [{ types: [F(2, 3, 5), { dtype: 'i32', shape: [2, 3] }, { dtype: 'i32', shape: [] }], values: { 1: [0, -100, 4, 2, 9, 3], 2: [1] } }],
  rejects: [{ constraint: 'C1', types: [F(2, 5), { dtype: 'i32', shape: [3] }, { dtype: 'i32', shape: [] }] }],
});

/**
 * `cross_entropy_of %lse, %picked, %targets`: lse − picked for each row; 0 if the row is ignored, which a negative target says.
 * (C1) lse and picked have the axes of targets, and one more of size 1.
 */
const crossEntropyOf = composite({
  name: 'cross_entropy_of',
  operands: { lse: 'f32', picked: 'f32', targets: 'i32' },
  infer: ({ lse, picked, targets }) => {
    constraint(
      sameShape(lse.shape, [...targets.shape, 1]) && sameShape(picked.shape, lse.shape),
      'cross_entropy_of',
      'C1',
      () => `lse and picked must have the axes of the targets and one more of size 1, found ${[lse, picked, targets].map(typeText).join(', ')}`,
    );
    return { dtype: 'f32', shape: targets.shape };
  },
  decompose: (b, { lse, picked, targets }) => {
    const target = b.op('reshape', [targets], { shape: shapeToAttr(lse.type.shape) }, 'target');
    const counted = b.op('select', [b.op('ge', [target, b.constant(0, 'i32')]), b.op('sub', [lse, picked]), b.constant(0)]);
    return b.op('reshape', [counted], { shape: shapeToAttr(targets.type.shape) });
  },
  samples: [{ types: [F(2, 3, 1), F(2, 3, 1), { dtype: 'i32', shape: [2, 3] }], values: { 2: [0, -100, 4, 2, 1, 3] } }],
  rejects: [{ constraint: 'C1', types: [F(2, 1), F(2, 1), { dtype: 'i32', shape: [3] }] }],
});

/**
 * `cross_entropy %logits, %targets`: −log softmax(logits)[target] for each row; 0 if the row is ignored, which a negative target says.
 * (C1) targets have the axes of logits but the last.
 */
const crossEntropy = composite({
  name: 'cross_entropy',
  operands: { logits: 'f32', targets: 'i32' },
  ids: { ids: 'targets', of: 'logits', axis: -1, what: 'classes', negative: true },
  infer: ({ logits, targets }) => {
    constraint(
      sameShape(targets.shape, logits.shape.slice(0, -1)),
      'cross_entropy',
      'C1',
      () => `targets must have the leading axes of the logits, found ${typeText(logits)} and ${typeText(targets)}`,
    );
    return { dtype: 'f32', shape: targets.shape };
  },
  decompose: (b, { logits, targets }) => {
    const lse = b.op('logsumexp', [logits]);
    const picked = b.op('pick', [logits, targets, b.constant(0, 'i32')], {}, 'picked');
    return b.op('cross_entropy_of', [lse, picked, targets]);
  },
  samples: [{ types: [F(2, 3, 5), { dtype: 'i32', shape: [2, 3] }], values: { 1: [0, -100, 4, 2, 1, 3] } }],
  rejects: [{ constraint: 'C1', types: [F(2, 5), { dtype: 'i32', shape: [3] }] }],
});

export const lossOps = [logsumexp, logaddexp, pick, crossEntropyOf, crossEntropy] as const;
