/** @file `rotate`: attention's gradients turn dq and dk back while they store them, where a `rope` of its own would do it. */

import type { Func, Op, Value } from '../ir/types.ts';

/** The op that makes `x` rotated, with `rope` taken in; null where it cannot. */
function absorbed(maker: Op, rope: Op, uses: number, known: ReadonlySet<Value>): Op | null {
  const [x, angles, position] = rope.operands;
  const [turned] = rope.results;
  if (maker.name !== 'attention_dq' && maker.name !== 'attention_dkv') return null;
  if (maker.results[0] !== x || maker.operands[3] !== position || maker.attrs['rotated'] === true) return null;
  // with segments of their own, dK and dV would bind more than eight buffers
  if (rope.attrs['inverse'] !== true || maker.attrs['key_segments'] === true || uses !== 1) return null;
  if (!angles || !turned || !known.has(angles)) return null;
  return { ...maker, operands: [...maker.operands, angles], attrs: { ...maker.attrs, rotated: true }, results: [turned, ...maker.results.slice(1)] };
}

/** `rope {inverse}` of a dq or dk that nothing else reads becomes part of the op that makes it. */
export function rotate(func: Func): Func {
  const uses = new Map<Value, number>();
  for (const v of [...func.ops.flatMap((op) => op.operands), ...func.results.map((r) => r.value)]) uses.set(v, (uses.get(v) ?? 0) + 1);
  const ropeOf = new Map(func.ops.flatMap((op): [Value, Op][] => (op.name === 'rope' && op.operands[0] ? [[op.operands[0], op]] : [])));
  const known = new Set(func.params.map((p) => p.value));
  const gone = new Set<Op>();
  const ops = func.ops.flatMap((op) => {
    if (gone.has(op)) return [];
    for (const r of op.results) known.add(r);
    const [x] = op.results;
    const rope = x && ropeOf.get(x);
    const whole = x && rope ? absorbed(op, rope, uses.get(x) ?? 0, known) : null;
    if (!rope || !whole) return [op];
    gone.add(rope);
    return [whole];
  });
  return { ...func, ops };
}
