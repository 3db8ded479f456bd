/** @file Builds functions op by op: result types are inferred (operands broadcast as in numpy), and names are made unique. */

import { OpError } from './constraint.ts';
import type { FuncBuilder } from './define.ts';
import { opDef } from './ops/index.ts';
import type { Loc, Op, Param, Type, Value } from './types.ts';

/** Hands out names, each of them once. */
export interface NameScope {
  unique(hint: string): string;
}
export function nameScope(): NameScope {
  const used = new Map<string, number>();
  return {
    unique(hint) {
      const base = hint.replace(/[^A-Za-z0-9_.]/g, '_') || 'v';
      let count = used.get(base);
      if (count === undefined) {
        used.set(base, 1);
        return base;
      }
      let candidate: string;
      do candidate = `${base}_${count++}`;
      while (used.has(candidate));
      used.set(base, count);
      used.set(candidate, 1);
      return candidate;
    },
  };
}

export function funcBuilder(scope: NameScope = nameScope()): FuncBuilder {
  const params: Param[] = [];
  const added: Op[] = [];
  const constants = new Map<string, Value>();
  let loc: Loc | undefined;
  const value = (hint: string, type: Type): Value => (loc === undefined ? { name: scope.unique(hint), type } : { name: scope.unique(hint), type, loc });

  const builder: FuncBuilder = {
    added,
    at: (next) => void (loc = next),
    param(name, type, role) {
      const made = value(name, type);
      params.push({ value: made, role });
      return made;
    },
    ops(name, operands, attrs = {}, names = []) {
      const types = opDef(name).infer(
        operands.map((v) => v.type),
        attrs,
      );
      return builder.raw({ name, operands, attrs, types, names });
    },
    op(name, operands, attrs = {}, hint) {
      const [first] = builder.ops(name, operands, attrs, hint === undefined ? [] : [hint]);
      if (first === undefined) throw new OpError(`${name} has no result`);
      return first;
    },
    constant(number, dtype = 'f32') {
      const key = `${dtype}:${number}`;
      const known = constants.get(key);
      if (known) return known;
      const made = builder.op('constant', [], { value: number, dtype }, 'c');
      constants.set(key, made);
      return made;
    },
    raw({ name, operands, attrs, types, names = [], body }) {
      const results = types.map((type, i) => value(names[i] ?? (types.length > 1 ? `${name}${i}` : defaultHint(name)), type));
      added.push(body === undefined ? { name, operands, attrs, results } : { name, operands, attrs, results, body });
      return results;
    },
    finish: (name, results) => ({ name, params, ops: added, results }),
  };
  return builder;
}

function defaultHint(name: string): string {
  return name.split('_')[0] ?? name;
}

/** Adds copies of `ops` to `b`, with their source lines. `mapping` says which values replace their operands, and gains the copy of each result. */
export function replay(b: FuncBuilder, ops: readonly Op[], mapping: Map<Value, Value>): void {
  for (const op of ops) {
    const operands = op.operands.map((v) => mapping.get(v) ?? v);
    b.at(op.results[0]?.loc);
    const made = b.raw({
      name: op.name,
      operands,
      attrs: op.attrs,
      types: op.results.map((r) => r.type),
      names: op.results.map((r) => r.name),
      ...(op.body ? { body: op.body } : {}),
    });
    op.results.forEach((r, i) => {
      const replacement = made[i];
      if (replacement) mapping.set(r, replacement);
    });
  }
  b.at(undefined);
}
