/** @file Blocks of statements compiled to steps: those that run through, and those at which an invocation may wait for others. */

import { invariant } from '../../../errors.ts';
import type { Expr, Stmt } from '../ir.ts';
import { exprsOf, operandsOf } from '../visit.ts';
import type { LaneValue } from './arithmetic.ts';
import type { Context } from './context.ts';
import { compileExpr } from './expressions.ts';
import type { Lane } from './lane.ts';
import { compileLeaf } from './statements.ts';

export type Call = Expr & { readonly kind: 'call' };

/** What an invocation waits for: the whole workgroup at a barrier, or its subgroup at an operation. */
export type Wait = { readonly at: Stmt } | { readonly at: Call; readonly args: readonly LaneValue[] };

/** What an invocation does; false once it has returned. */
export type LaneStep = { readonly plain: (lane: Lane) => boolean } | { readonly waits: (lane: Lane) => Generator<Wait, boolean, LaneValue> };

/** The subgroup calls within a statement's own expressions, operands first. */
function subgroupCalls(stmt: Stmt): readonly Call[] {
  const within = (expr: Expr): readonly Call[] => [
    ...operandsOf(expr).flatMap(within),
    ...(expr.kind === 'call' && expr.fn.startsWith('subgroup') ? [expr] : []),
  ];
  return exprsOf(stmt).flatMap(within);
}

export function compileBlock(body: readonly Stmt[], context: Context): LaneStep {
  const steps = body.flatMap((stmt) => (stmt.kind === 'comment' ? [] : [compileStmt(stmt, context)]));
  const plain = steps.flatMap((step) => ('plain' in step ? [step.plain] : []));
  if (plain.length === steps.length) {
    return { plain: (lane) => plain.every((run) => run(lane)) };
  }
  return {
    *waits(lane) {
      for (const step of steps) {
        if (!('plain' in step ? step.plain(lane) : yield* step.waits(lane))) return false;
      }
      return true;
    },
  };
}

type Running = Exclude<Stmt, { kind: 'comment' }>;

/** The statement, before which the subgroup operations in its expressions are waited for. */
function compileStmt(stmt: Running, context: Context): LaneStep {
  const calls = subgroupCalls(stmt).map((call) => ({ call, args: call.args.map((arg) => compileExpr(arg, context)) }));
  const inner = compileOwn(stmt, context);
  if (calls.length === 0) return inner;
  invariant(stmt.kind !== 'for', 'a loop bound holds no subgroup operation');
  return {
    *waits(lane) {
      for (const { call, args } of calls) lane.pending.set(call, yield { at: call, args: args.map((arg) => arg(lane)) });
      return 'plain' in inner ? inner.plain(lane) : yield* inner.waits(lane);
    },
  };
}

function compileOwn(stmt: Running, context: Context): LaneStep {
  switch (stmt.kind) {
    case 'barrier':
      return {
        *waits() {
          yield { at: stmt };
          return true;
        },
      };
    case 'return':
      return { plain: () => false };
    case 'if':
      return compileIf(stmt, context);
    case 'for':
      return compileFor(stmt, context);
    default: {
      const run = compileLeaf(stmt, context);
      return {
        plain: (lane) => {
          run(lane);
          return true;
        },
      };
    }
  }
}

function compileIf(stmt: Stmt & { readonly kind: 'if' }, context: Context): LaneStep {
  const cond = compileExpr(stmt.cond, context);
  const [yes, no] = [compileBlock(stmt.then, context), compileBlock(stmt.else, context)];
  if ('plain' in yes && 'plain' in no) return { plain: (lane) => (cond(lane) ? yes.plain(lane) : no.plain(lane)) };
  return {
    *waits(lane) {
      const taken = cond(lane) ? yes : no;
      return 'plain' in taken ? taken.plain(lane) : yield* taken.waits(lane);
    },
  };
}

function compileFor(stmt: Stmt & { readonly kind: 'for' }, context: Context): LaneStep {
  const [from, to, step] = [compileExpr(stmt.from, context), compileExpr(stmt.to, context), compileExpr(stmt.step, context)];
  const slot = context.slot(stmt.name);
  const body = compileBlock(stmt.body, context);
  const next = (lane: Lane): void => {
    const by = step(lane) as number;
    invariant(by > 0, `loop ${stmt.name} does not advance`);
    lane.vars[slot] = (lane.vars[slot] as number) + by;
  };
  if ('plain' in body) {
    return {
      plain(lane) {
        for (lane.vars[slot] = from(lane); (lane.vars[slot] as number) < (to(lane) as number); next(lane)) if (!body.plain(lane)) return false;
        return true;
      },
    };
  }
  return {
    *waits(lane) {
      for (lane.vars[slot] = from(lane); (lane.vars[slot] as number) < (to(lane) as number); next(lane)) {
        if (!(yield* body.waits(lane))) return false;
      }
      return true;
    },
  };
}
