/** @file Slots of a fused function: the values that have bytes of their own, and from which dispatch to which they are used. */

import { at } from '../errors.ts';
import { aliasOf } from '../ir/ops/index.ts';
import { blockOf, type Func, isBlockType, type Role, type Type, type Value } from '../ir/types.ts';
import type { Extent, SlotDecl } from '../runtime/program.ts';

/** Bytes of a tensor; packed dtypes (f16, bf16, blocks) take whole words of 4 bytes. */
export function extentOf(type: Type): Extent {
  const { bytes, block } = blockOf(type.dtype);
  if (type.dtype === 'f16' || type.dtype === 'bf16' || isBlockType(type.dtype)) {
    const elements = type.shape.reduce<number>((p, d) => p * Number(d), 1);
    return { of: [Math.ceil(((elements / block) * bytes) / 4)], bytes: 4 };
  }
  return { of: type.shape, bytes };
}

/** What is known about the values of a function. */
export interface ValueFacts {
  /** The value that owns the bytes of `v`: reshapes outside of groups copy nothing. */
  readonly owner: (v: Value) => Value;
  /** The role of the parameter that owns the bytes of `v`, or undefined if the function computes it. */
  readonly roleOf: (v: Value) => Role | undefined;
  /** Whether `v` is the gradient of a weight, which has a place of its own for the whole step. */
  readonly isGradient: (v: Value) => boolean;
}

/** Finds what is known about the values of a fused function. @param isWeight whether the argument of that index is a weight */
export function valueFacts(fused: Func, isWeight: (argument: number) => boolean): ValueFacts {
  const alias = new Map(
    fused.ops.flatMap((op): [Value, Value][] => {
      const of = aliasOf(op);
      return of ? [[at(op.results, 0), of]] : [];
    }),
  );
  const owner = (v: Value): Value => {
    const of = alias.get(v);
    return of ? owner(of) : v;
  };
  const roles = new Map(fused.params.map((p) => [p.value, p.role]));
  const gradients = new Set(fused.results.flatMap((r) => (r.role === 'grad' && r.of !== undefined && isWeight(r.of) ? [owner(r.value)] : [])));
  return { owner, roleOf: (v) => roles.get(owner(v)), isGradient: (v) => gradients.has(owner(v)) };
}

interface Slot extends SlotDecl {
  live: [number, number];
}

/** The slots of a function while it is compiled: those of its parameters, then the others in the order in which they are first asked for. */
export interface SlotTable {
  readonly list: readonly Slot[];
  /** The slot of a value, which is added if there is none yet. */
  slotOf(v: Value): number;
  /** Gives `out` the bytes of `read`. */
  overwrite(out: Value, read: Value): void;
  /** The value whose bytes `out` was given, or undefined. */
  overwrittenBy(out: Value): Value | undefined;
  /** Records that a dispatch reads or writes a slot. */
  use(slot: number, dispatch: number): void;
}

export function slotTable(fused: Func, { owner }: ValueFacts): SlotTable {
  const list: Slot[] = [];
  const slots = new Map<Value, number>();
  const overwritten = new Map<Value, Value>();
  const add = (v: Value): number => {
    list.push({
      name: v.name,
      extent: extentOf(v.type),
      live: [Number.POSITIVE_INFINITY, -1],
      ...(v.type.dtype === 'f32' ? {} : { dtype: v.type.dtype }),
      ...(v.loc ? { loc: `${v.loc.file}:${v.loc.line}:${v.loc.column}` } : {}),
    });
    slots.set(v, list.length - 1);
    return list.length - 1;
  };
  for (const { value } of fused.params) add(value);
  const slotOf = (v: Value): number => slots.get(owner(v)) ?? add(owner(v));
  return {
    list,
    slotOf,
    overwrite: (out, read) => {
      overwritten.set(out, owner(read));
      slots.set(out, slotOf(read));
    },
    overwrittenBy: (out) => overwritten.get(owner(out)),
    use: (slot, dispatch) => {
      const { live } = at(list, slot);
      live[0] = Math.min(live[0], dispatch);
      live[1] = Math.max(live[1], dispatch);
    },
  };
}
