/** @file Runs a kernel on typed arrays, without a GPU: for tests. Invocations run one by one up to their next barrier or subgroup
 * operation, so a missing barrier shows; every index is checked. */

import { invariant } from '../../../errors.ts';
import { type Expr, type Kernel, PARAM_WORDS, type Stmt } from '../ir.ts';
import { sizeValue } from '../size.ts';
import { exprsOf, operandsOf } from '../visit.ts';
import type { Value } from './arithmetic.ts';
import { evaluator } from './expressions.ts';
import type { Lane } from './lane.ts';

export interface InterpretInput {
  /** The uniform block; missing words are 0. */
  readonly params?: Uint32Array;
  /** By name, every buffer of the kernel; vec4 buffers hold four numbers an element. Written in place. */
  readonly buffers: Readonly<Record<string, Float32Array | Uint32Array | Int32Array>>;
  /** Values of the grid's dimension symbols. */
  readonly dims?: Readonly<Record<string, number>>;
  readonly subgroupSize?: number;
  /** The last invocation runs first: shows a missing barrier where a later invocation overwrites what an earlier one has yet to read. */
  readonly reverse?: boolean;
}

/** What an invocation waits for: the whole workgroup at a barrier, or its subgroup at an operation. */
type Wait = { readonly at: Stmt } | { readonly at: Expr & { kind: 'call' }; readonly args: readonly Value[] };
type Run = (lane: Lane) => boolean;
type Step = { readonly plain: Run } | { readonly waits: (lane: Lane) => Generator<Wait, boolean, Value> };

/**
 * Runs every workgroup of the kernel's grid. Throws on an index out of bounds (naming buffer, index and length) and when
 * invocations of a workgroup meet different barriers or subgroup operations.
 */
export function interpret(kernel: Kernel, input: InterpretInput): void {
  const { buffers, dims = {}, subgroupSize = 4, reverse = false } = input;
  for (const { name } of kernel.buffers) invariant(buffers[name] !== undefined, `${kernel.name}: no data for buffer ${name}`);
  const params = new Uint32Array(PARAM_WORDS);
  params.set(input.params ?? []);
  const context = evaluator(kernel, params, buffers);
  const body = compileBlock(kernel.body, context);
  const [x, y, z] = kernel.grid.map((axis) => Math.ceil(sizeValue(axis, dims) / axis.per)) as [number, number, number];
  invariant(Number.isFinite(x * y * z), `${kernel.name}: a dimension of the grid has no value`);
  const [wx, wy, wz] = kernel.workgroup;
  for (let gz = 0; gz < z; gz++)
    for (let gy = 0; gy < y; gy++)
      for (let gx = 0; gx < x; gx++) {
        const shared = context.newShared();
        const lanes = Array.from(
          { length: wx * wy * wz },
          (_, index): Lane => ({
            vars: [],
            arrays: [],
            shared,
            pending: new Map(),
            builtins: {
              localX: index % wx,
              localY: Math.floor(index / wx) % wy,
              localZ: Math.floor(index / (wx * wy)),
              localIndex: index,
              workgroupX: gx,
              workgroupY: gy,
              workgroupZ: gz,
              numWorkgroupsX: x,
              subgroupInvocation: index % subgroupSize,
              subgroupSize,
            },
          }),
        );
        runGroup(kernel.name, lanes, body, subgroupSize, reverse);
      }
}

function runGroup(name: string, lanes: readonly Lane[], body: Step, subgroupSize: number, reverse: boolean): void {
  if ('plain' in body) {
    for (const lane of lanes) body.plain(lane);
    return;
  }
  const inOrder = <T>(items: readonly T[]): readonly T[] => (reverse ? items.toReversed() : items);
  const start = (lane: Lane): { run: Generator<Wait, boolean, Value>; next: IteratorResult<Wait, boolean> } => {
    const run = body.waits(lane);
    return { run, next: run.next() };
  };
  const threads = inOrder(inOrder(lanes).map(start));
  for (;;) {
    const waiting = threads.filter(({ next }) => !next.done);
    if (waiting.length === 0) return;
    let moved = false;
    for (let start = 0; start < threads.length; start += subgroupSize) {
      const group = threads
        .slice(start, start + subgroupSize)
        .map((thread, index) => ({ thread, index }))
        .filter(({ thread }) => !thread.next.done);
      const first = group[0]?.thread.next.value as Wait | undefined;
      if (first === undefined || !('args' in first)) continue;
      const args = new Map(
        group.map(({ thread, index }) => {
          const wait = thread.next.value as Wait;
          invariant(wait.at === first.at && 'args' in wait, `${name}: invocations of a subgroup diverge at ${first.at.fn}`);
          return [index, wait.args] as const;
        }),
      );
      const results = group.map(({ index }) => subgroupResult(name, first.at.fn, args, index));
      group.forEach(({ thread }, i) => {
        thread.next = thread.run.next(results[i] as Value);
      });
      moved = true;
    }
    if (moved) continue;
    const barrier = (waiting[0]?.next.value as Wait | undefined)?.at;
    invariant(waiting.length === threads.length, `${name}: some invocations ended before a barrier that others wait at`);
    invariant(
      waiting.every(({ next }) => (next.value as Wait).at === barrier),
      `${name}: invocations wait at different barriers`,
    );
    for (const thread of inOrder(waiting)) thread.next = thread.run.next(0);
  }
}

function subgroupResult(name: string, fn: string, args: ReadonlyMap<number, readonly Value[]>, lane: number): Value {
  const laneValue = (from: number): Value => {
    const value = args.get(from)?.[0];
    invariant(value !== undefined, `${name}: ${fn} reads lane ${from}, which is not active`);
    return value;
  };
  const fold = (op: (a: number, b: number) => number): Value => [...args.values()].map(([value]) => value as number).reduce((a, b) => Math.fround(op(a, b)));
  const second = args.get(lane)?.[1] as number;
  switch (fn) {
    case 'subgroupAdd':
      return fold((a, b) => a + b);
    case 'subgroupMax':
      return fold(Math.max);
    case 'subgroupShuffleXor':
      return laneValue(lane ^ second);
    default:
      return laneValue(second);
  }
}

const isSubgroupCall = (expr: Expr): boolean => expr.kind === 'call' && expr.fn.startsWith('subgroup');

/** The subgroup calls within a statement's own expressions, operands first. */
function subgroupCalls(stmt: Stmt): (Expr & { kind: 'call' })[] {
  const found: (Expr & { kind: 'call' })[] = [];
  const visit = (expr: Expr): void => {
    for (const operand of operandsOf(expr)) visit(operand);
    if (expr.kind === 'call' && isSubgroupCall(expr)) found.push(expr);
  };
  for (const expr of exprsOf(stmt)) visit(expr);
  return found;
}

type Context = ReturnType<typeof evaluator>;

/** Steps return false once the invocation has returned. */
function compileBlock(body: readonly Stmt[], context: Context): Step {
  const steps = body.filter(({ kind }) => kind !== 'comment').map((stmt) => compileStmt(stmt, context));
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

function compileStmt(stmt: Stmt, context: Context): Step {
  const calls = subgroupCalls(stmt);
  const inner = compileOwn(stmt, context);
  if (calls.length === 0) return inner;
  invariant(stmt.kind !== 'for', 'a loop bound holds no subgroup operation');
  const args = calls.map((call) => call.args.map((arg) => context.compile(arg)));
  return {
    *waits(lane) {
      for (let i = 0; i < calls.length; i++) {
        const at = calls[i] as Expr & { kind: 'call' };
        lane.pending.set(at, yield { at, args: (args[i] ?? []).map((arg) => arg(lane)) });
      }
      return 'plain' in inner ? inner.plain(lane) : yield* inner.waits(lane);
    },
  };
}

function compileOwn(stmt: Stmt, context: Context): Step {
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
    case 'if': {
      const cond = context.compile(stmt.cond);
      const [yes, no] = [compileBlock(stmt.then, context), compileBlock(stmt.else, context)];
      if ('plain' in yes && 'plain' in no) return { plain: (lane) => (cond(lane) ? yes.plain(lane) : no.plain(lane)) };
      return {
        *waits(lane) {
          const taken = cond(lane) ? yes : no;
          return 'plain' in taken ? taken.plain(lane) : yield* taken.waits(lane);
        },
      };
    }
    case 'for':
      return compileFor(stmt, context);
    default: {
      const run = context.compileLeaf(stmt);
      return {
        plain: (lane) => {
          run(lane);
          return true;
        },
      };
    }
  }
}

function compileFor(stmt: Stmt & { kind: 'for' }, context: Context): Step {
  const [from, to, step] = [stmt.from, stmt.to, stmt.step].map((expr) => context.compile(expr)) as [Evaluate, Evaluate, Evaluate];
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
type Evaluate = (lane: Lane) => Value;
