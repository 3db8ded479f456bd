/** @file `rope %x, %angles, %position {inverse?}`: rotary embedding (Su et al. 2021), half-split pairs as in HF's `rotate_half`.
 * x is [B, T, H, D]. Each row of angles [positions, D] holds the cosines of a position's D/2 angles, then their sines. Token t is at position + t.
 * y₁ = x₁·cos − x₂·sin, y₂ = x₂·cos + x₁·sin. `inverse` rotates back; since a rotation's transpose is its inverse, that is the vjp.
 *
 * - (C1) x has four axes, the last even and static. (C2) angles are [positions, D]. (C3) position is a scalar.
 */

import { constraint } from '../constraint.ts';
import { makeOp, shapeToAttr } from '../define.ts';
import { type Dim, typeText } from '../types.ts';

export const rope = makeOp({
  name: 'rope',
  kind: 'composite',
  operands: { x: 'f32', angles: 'f32', position: 'i32' },
  attrs: { inverse: 'boolean' },
  infer: ({ x, angles, position }) => {
    const width = x.shape[3];
    constraint(
      x.shape.length === 4 && typeof width === 'number' && width % 2 === 0,
      'rope',
      'C1',
      () => `x must be [batch, tokens, heads, even headDim], found ${typeText(x)}`,
    );
    constraint(angles.shape.length === 2 && angles.shape[1] === width, 'rope', 'C2', () => `angles must be [positions, ${width}], found ${typeText(angles)}`);
    constraint(position.shape.length === 0, 'rope', 'C3', () => `position must be i32[], found ${typeText(position)}`);
    return x;
  },
  decompose: (b, { x, angles, position }, { inverse }) => {
    const [, tokens, , width] = x.type.shape as readonly [Dim, Dim, Dim, number];
    const half = width / 2;
    const ids = b.op('add', [b.op('iota', [], { shape: shapeToAttr([tokens]), axis: 0 }), position]);
    const rows = b.op('reshape', [b.op('gather', [angles, ids])], { shape: shapeToAttr([1, tokens, 1, half * 2]) });
    const c = b.op('slice', [rows], { axis: 3, start: 0, size: half });
    const sin = b.op('slice', [rows], { axis: 3, start: half, size: half });
    const s = inverse ? b.op('neg', [sin]) : sin;
    const x1 = b.op('slice', [x], { axis: 3, start: 0, size: half });
    const x2 = b.op('slice', [x], { axis: 3, start: half, size: half });
    const y1 = b.op('sub', [b.op('mul', [x1, c]), b.op('mul', [x2, s])]);
    const y2 = b.op('add', [b.op('mul', [x2, c]), b.op('mul', [x1, s])]);
    return b.op('concat', [y1, y2], { axis: 3 });
  },
  vjp: ({ b, d, attrs: { inverse } }, { angles, position }) => ({ x: b.op('rope', [d, angles, position], { inverse: !inverse }) }),
  samples: [
    {
      types: [
        { dtype: 'f32', shape: [2, 3, 2, 4] },
        { dtype: 'f32', shape: [8, 4] },
        { dtype: 'i32', shape: [] },
      ],
      values: { 2: [2] },
    },
    {
      types: [
        { dtype: 'f32', shape: [2, 3, 2, 4] },
        { dtype: 'f32', shape: [8, 4] },
        { dtype: 'i32', shape: [] },
      ],
      attrs: { inverse: true },
      values: { 2: [0] },
    },
  ],
  rejects: [
    {
      constraint: 'C1',
      types: [
        { dtype: 'f32', shape: [2, 3, 4] },
        { dtype: 'f32', shape: [8, 4] },
        { dtype: 'i32', shape: [] },
      ],
    },
    {
      constraint: 'C2',
      types: [
        { dtype: 'f32', shape: [2, 3, 2, 4] },
        { dtype: 'f32', shape: [8, 2] },
        { dtype: 'i32', shape: [] },
      ],
    },
    {
      constraint: 'C3',
      types: [
        { dtype: 'f32', shape: [2, 3, 2, 4] },
        { dtype: 'f32', shape: [8, 4] },
        { dtype: 'i32', shape: [1] },
      ],
    },
  ],
});
