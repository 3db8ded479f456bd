/** @file A fused group while it is lowered to a kernel: what it reads and writes, its buffers, and its stores. */

import { at } from '../../../errors.ts';
import type { Width } from '../../../ir/element.ts';
import { lastDim, type Op, type Shape, type Value } from '../../../ir/types.ts';
import type { BufferRef, KernelBuilder } from '../builder.ts';
import { bin, select, u32 } from '../expr.ts';
import type { Expr, GridAxis, KType } from '../ir.ts';
import { dimOf, type Emitter, emitter, type GroupContext } from './emit.ts';
import type { LowerOptions } from './options.ts';
import { flatIndex, type Index } from './position.ts';
import { vectorisable } from './width.ts';

export interface Group {
  readonly op: Op;
  readonly kind: string;
  readonly name: string;
  readonly ops: readonly Op[];
  readonly producer: ReadonlyMap<Value, Op>;
  readonly reads: readonly Value[];
  readonly outputs: readonly Value[];
  /** The operand that an output overwrites, for outputs that do. */
  readonly inplace: ReadonlyMap<Value, Value>;
}

export function groupOf(op: Op): Group {
  const ops = op.body?.ops ?? [];
  return {
    op,
    kind: String(op.attrs['kind']),
    name: String(op.attrs['name']),
    ops,
    producer: new Map(ops.flatMap((o) => o.results.map((r): [Value, Op] => [r, o]))),
    reads: op.operands,
    outputs: op.results,
    inplace: inplacePairs(op),
  };
}

function inplacePairs(op: Op): ReadonlyMap<Value, Value> {
  const flat = (op.attrs['inplace'] ?? []) as readonly number[];
  const pairs = new Map<Value, Value>();
  for (let i = 0; i + 1 < flat.length; i += 2) {
    pairs.set(at(op.results, at(flat, i)), at(op.operands, at(flat, i + 1)));
  }
  return pairs;
}

export function elementType(value: Value, vector: boolean): KType {
  const { dtype } = value.type;
  if (dtype === 'f32') return vector ? 'vec4f' : 'f32';
  return dtype === 'i32' ? 'i32' : 'u32';
}

export interface GroupBuffers {
  readonly context: GroupContext;
  readonly emit: Emitter;
  readonly values: readonly Value[];
  /** Stores one or four elements of an output at `index`: bool as u32, and added to what lies there if `LowerOptions.adds` has the output. */
  store(output: Value, index: Index, value: Expr, width: Width): void;
  /** Computes every output at flat position `at` before it stores any, since an output may overwrite what another one reads. */
  storeAll(outputs: readonly Value[], at: Expr, inner: Emitter, width: Width): void;
}

/** Declares the buffers of a group on a kernel in progress: what it reads, then what it writes. */
export function bindGroup(b: KernelBuilder, group: Group, options: LowerOptions, wantsVector: (v: Value) => boolean): GroupBuffers {
  const leaves = new Map<Value, BufferRef>();
  const outputs = new Map<Value, BufferRef>();
  const values: Value[] = [];
  const replaced = new Set(group.inplace.values());
  const vector = (v: Value): boolean =>
    v.type.dtype === 'f32' && typeof lastDim(v.type.shape) === 'number' && Number(lastDim(v.type.shape)) % 4 === 0 && wantsVector(v);
  for (const v of group.reads) {
    if (options.scalarWord.has(v)) continue;
    leaves.set(v, b.buffer(v.name, elementType(v, vector(v)), replaced.has(v) ? 'read_write' : 'read'));
    values.push(v);
  }
  for (const v of group.outputs) {
    const read = group.inplace.get(v);
    const taken = read && leaves.get(read);
    outputs.set(v, taken ?? b.buffer(`${v.name}_out`, elementType(v, vector(v)), 'read_write'));
    if (!taken) values.push(v);
  }
  const dim = dimOf(options.dims);
  const context: GroupContext = { b, producer: group.producer, leaves, scalarWord: options.scalarWord, dim, quotients: new Map() };
  const emit = emitter(context);
  const store: GroupBuffers['store'] = (output, index, value, width) => {
    const buffer = outputs.get(output);
    if (!buffer) throw new Error(`group does not write %${output.name}`);
    const wide = buffer.decl.element === 'vec4f';
    if (width === 1 && wide) throw new Error(`%${output.name} is bound as vec4 and stored as f32`);
    const position = wide ? bin('/', index.flat(), u32(4)) : index.flat();
    const put = (where: Expr, v: Expr): void => {
      const whole = v.type === 'bool' ? select(u32(0), u32(1), v) : v;
      buffer.store(where, options.adds.has(output) ? bin('+', whole, buffer.load(where)) : whole);
    };
    if (width === 4 && !wide) for (let i = 0; i < 4; i++) put(bin('+', index.flat(), u32(i)), { kind: 'component', type: 'f32', of: value, index: u32(i) });
    else put(position, value);
  };
  return {
    context,
    emit,
    values,
    store,
    storeAll: (stored, at, inner, width) => {
      // Outputs of one shape use one index, so that what they share is computed once.
      const indices = new Map<string, Index>();
      const made = stored.map((output) => {
        const { shape } = output.type;
        const index = indices.get(shape.join()) ?? flatIndex(shape, at, inner.scope);
        indices.set(shape.join(), index);
        return { output, index, value: inner.emit(output, index, width) };
      });
      for (const { output, index, value } of made) store(output, index, value, width);
    },
  };
}

/** A grid axis with a workgroup for every `per` elements of `shape`. */
export function gridOf(shape: Shape, per: number): GridAxis {
  return { of: shape.length > 0 ? shape : [1], per };
}

/** 4 if every output, and everything that it is computed from, can be computed four at a time; otherwise 1. */
export function groupWidth(group: Group, outputs: readonly Value[]): Width {
  const wide = (v: Value): boolean => v.type.dtype === 'f32' && typeof lastDim(v.type.shape) === 'number' && Number(lastDim(v.type.shape)) % 4 === 0;
  return outputs.every((v) => wide(v) && vectorisable(v, group.producer)) ? 4 : 1;
}
