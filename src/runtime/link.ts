/** @file Links a pattern into a variant: chooses a form for every call and an address for every value. No compilation, no GPU; plain
 * arithmetic, the same for a pattern seen before and one never seen. */

import { type Address, address, BUFFERS, bufferOf, offsetOf } from './address.ts';
import { stackBound } from './bounds.ts';
import { type CallPlan, type Form, functionOf, keptSlots, type Pattern, persistentValues, planCalls, valueRoots } from './forms.ts';
import { aligned, type CallLayout, layoutCall } from './layout.ts';
import { type BackwardDecl, type CallDecl, extentBytes, type Program } from './program.ts';
import { slotPool } from './slotPool.ts';

export interface Placement {
  /** Address of each parameter, and of its gradient where it is trainable. */
  readonly params: readonly Address[];
  readonly gradients: readonly (Address | null)[];
  readonly states: readonly Address[];
  readonly inputs: readonly Address[];
}

/** One function run at given addresses. */
export interface LinkedCall {
  readonly fn: number;
  /** Index of the call, or -1 for sums of cotangents. */
  readonly call: number;
  readonly phase: 'forward' | 'again' | 'backward' | 'sum';
  /** Address of each slot. */
  readonly slots: readonly Address[];
  /** Whether gradients of weights are added to rather than written. */
  readonly adds: boolean;
  /** Parameters whose gradients are to be zeroed before the step, as this call is the first to add to them. */
  readonly zeroed: readonly number[];
  /** Rows of four, for sums. */
  readonly rows: number;
  readonly footprint: Footprint;
}

/** Bytes of activations in use while a call runs. */
export interface Footprint {
  /** Kept on the stack, what this call keeps included. */
  readonly kept: number;
  /** Scratch above that. */
  readonly frame: number;
  /** Of the slots: residuals nobody keeps, cotangents. */
  readonly slots: number;
}

/** A step program for one drop pattern: calls in order, with every address, and the memory they take. */
export interface Variant {
  readonly calls: readonly LinkedCall[];
  /** Bytes of the saved stack at its highest, and with the scratch above it. */
  readonly savedBytes: number;
  readonly stackBytes: number;
  readonly slotBytes: number;
  /** Parameters that get a gradient. */
  readonly touched: ReadonlySet<number>;
  /** Sites whose backward runs. */
  readonly kept: readonly string[];
  /** First call with a backward, or null when nothing trainable receives a gradient. */
  readonly frontier: string | null;
  /** By call of the program: where in `calls` its backward and those of the calls below it begin. */
  readonly backwardFrom: readonly number[];
}

/** Links drop patterns into step programs, each in well under a millisecond; the layouts of calls are kept. */
export interface Linker {
  link(pattern: Pattern, options?: LinkOptions): Variant;
  /** Bytes that no pattern of these forms exceeds. */
  bounds(forms: readonly Form[]): { readonly stackBytes: number; readonly slotBytes: number };
}

export interface LinkOptions {
  /** Without a backward: evaluation. */
  readonly forwardOnly?: boolean;
  /** Parameters whose gradient was written before in this step. */
  readonly written?: ReadonlySet<number>;
  /** Forward saves what any pattern's backward reads, and nothing of it is given up: all patterns' backwards can follow one forward. */
  readonly lasting?: boolean;
}

const NOTHING_KEPT: ReadonlySet<number> = new Set();

/** Makes a linker for a program whose run-time dimensions are laid out at `sizes` (their bounds). */
export function createLinker(program: Program, placement: Placement, sizes: Readonly<Record<string, number>>): Linker {
  const valueBytes = program.values.map((v) => aligned(extentBytes(v.extent, sizes)));
  const resultOffset = new Map<number, number>();
  program.results.reduce((offset, r) => {
    resultOffset.set(r, offset);
    return offset + (valueBytes[r] ?? 0);
  }, 0);
  const layouts = new Map<ReadonlySet<number>, Map<number, CallLayout>>();
  const keptBy = new Map<number, Map<number, ReadonlySet<number>>>();
  /** The same set for the same functions, so that layouts are found by it, by all layers. */
  const keptOf = (call: CallDecl, backward: BackwardDecl | null): ReadonlySet<number> => {
    if (!backward) return NOTHING_KEPT;
    const known = keptBy.get(backward.function)?.get(call.forward);
    if (known) return known;
    const made = keptSlots(program, call, backward);
    keptBy.set(backward.function, (keptBy.get(backward.function) ?? new Map()).set(call.forward, made));
    return made;
  };

  const everKept = new Map<number, ReadonlySet<number>>();
  /** What any backward of a function's calls reads. */
  const keptByAny = ({ forward }: CallDecl): ReadonlySet<number> => {
    const known =
      everKept.get(forward) ?? new Set(program.calls.flatMap((c) => (c.forward === forward ? c.backwards.flatMap((b) => [...keptSlots(program, c, b)]) : [])));
    everKept.set(forward, known);
    return known;
  };

  const layout = (index: number, kept: ReadonlySet<number>): CallLayout => {
    const known = layouts.get(kept)?.get(index);
    if (known) return known;
    const fn = functionOf(program, index);
    const elsewhere = new Set([...fn.params.map((p) => p.slot), ...fn.results.filter((r) => r.role !== 'save').map((r) => r.slot)]);
    const made = layoutCall(fn, elsewhere, kept, sizes);
    layouts.set(kept, (layouts.get(kept) ?? new Map()).set(index, made));
    return made;
  };

  const lastReaders = program.values.map((_, v) =>
    program.calls.reduce((last, call, i) => (call.arguments.some((a) => a.kind === 'value' && a.value === v) ? i : last), -1),
  );
  const sum = program.updates['accumulate'];

  const link = (pattern: Pattern, { forwardOnly = false, written = new Set(), lasting = false }: LinkOptions = {}): Variant => {
    const plans = planCalls(program, pattern, forwardOnly);
    const readers = lasting ? program.calls.flatMap((call) => call.backwards.map((backward) => ({ call, backward, remat: false }))) : plans;
    const roots = valueRoots(program, plans);
    const root = (value: number): number => roots[value] ?? value;
    const persistent = new Set([...persistentValues(program, readers)].map(root));
    const lastReader = program.values.map(() => -1);
    lastReaders.forEach((reader, v) => {
      lastReader[root(v)] = Math.max(lastReader[root(v)] ?? -1, reader);
    });
    const pool = slotPool();
    const at: Address[] = program.values.map(() => -1);
    const calls: LinkedCall[] = [];
    const marks: number[] = [];
    const kept: { base: number; layout: CallLayout }[] = [];
    let top = 0;
    let peak = 0;
    let saved = 0;

    const resolve = (call: CallDecl, a: number): Address => {
      const arg = call.arguments[a];
      if (arg?.kind === 'value') return at[root(arg.value)] ?? -1;
      if (arg?.kind === 'param') return placement.params[arg.param] ?? -1;
      if (arg?.kind === 'input') return placement.inputs[arg.input] ?? -1;
      return arg?.kind === 'state' ? (placement.states[arg.state] ?? -1) : -1;
    };
    /** Addresses of a forward's slots: arguments, results, what is kept at `base`, temporaries at `frameBase`. */
    const forwardSlots = (call: CallDecl, shape: CallLayout, base: number, frameBase: number, results: readonly Address[]): Address[] => {
      const fn = functionOf(program, call.forward);
      const slots = fn.slots.map((_, s) =>
        (shape.saved[s] ?? -1) >= 0
          ? address(BUFFERS.stack, base + (shape.saved[s] ?? 0))
          : (shape.frame[s] ?? -1) >= 0
            ? address(BUFFERS.stack, frameBase + (shape.frame[s] ?? 0))
            : -1,
      );
      fn.params.forEach((p, k) => {
        slots[p.slot] = resolve(call, k);
      });
      let value = 0;
      for (const r of fn.results) {
        if (r.role !== 'value') continue;
        const own = results[value++] ?? -1;
        // a result that is written in place of a state, or is an argument itself, keeps that address
        if ((slots[r.slot] ?? -1) < 0 || !fn.params.some((p) => p.slot === r.slot)) slots[r.slot] = own;
      }
      return slots;
    };

    /** Gives back what call `i` was the last to read. */
    const release = (call: CallDecl, i: number): void => {
      for (const v of new Set(call.arguments.flatMap((a) => (a.kind === 'value' ? [root(a.value)] : []))))
        if (lastReader[v] === i && !persistent.has(v)) pool.give(offsetOf(at[v] ?? 0), bufferOf(at[v] ?? 0) === BUFFERS.slots);
    };

    plans.forEach(({ call, backward, remat, skipped }, i) => {
      marks[i] = top;
      if (skipped) return release(call, i);
      const shape = layout(call.forward, remat ? NOTHING_KEPT : lasting ? keptByAny(call) : keptOf(call, backward));
      const base = top;
      top += shape.savedBytes;
      for (const r of call.results) {
        if (persistent.has(r)) {
          at[r] = address(BUFFERS.stack, top);
          top += valueBytes[r] ?? 0;
        } else at[r] = resultOffset.has(r) ? address(BUFFERS.results, resultOffset.get(r) ?? 0) : address(BUFFERS.slots, pool.take(valueBytes[r] ?? 0));
      }
      kept[i] = { base, layout: shape };
      saved = Math.max(saved, top);
      peak = Math.max(peak, top + shape.frameBytes);
      calls.push({
        fn: call.forward,
        call: i,
        phase: 'forward',
        slots: forwardSlots(
          call,
          shape,
          base,
          top,
          call.results.map((r) => at[r] ?? -1),
        ),
        adds: false,
        zeroed: [],
        rows: 0,
        footprint: { kept: top, frame: shape.frameBytes, slots: pool.used() },
      });
      release(call, i);
    });

    const cotangent = new Map<number, number>();
    const touched = new Set<number>();
    /** Adds a cotangent at `offset` (of the slots buffer) to that of a value that was read, or becomes it. */
    const contribute = (reader: number, offset: number): void => {
      const value = root(reader);
      const known = cotangent.get(value);
      if (known === undefined) {
        cotangent.set(value, offset);
        return;
      }
      if (sum === undefined) throw new Error('internal: the program has no function to add cotangents');
      const bytes = valueBytes[value] ?? 0;
      for (let from = 0; from < bytes; from += program.partBytes)
        calls.push({
          fn: sum,
          call: -1,
          phase: 'sum',
          slots: [address(BUFFERS.slots, known + from), address(BUFFERS.slots, offset + from)],
          adds: false,
          zeroed: [],
          rows: Math.min(program.partBytes, bytes - from) / 16,
          footprint: { kept: top, frame: 0, slots: pool.used() },
        });
      pool.give(offset, true);
    };
    const backwardFrom: number[] = [];
    for (let i = plans.length - 1; i >= 0 && !forwardOnly; i--) {
      const { call, backward, remat, skipped } = plans[i] as CallPlan;
      backwardFrom[i] = calls.length;
      if (skipped) {
        // its result's cotangent is its residual's
        if (!lasting) top = marks[i] ?? top;
        continue;
      }
      if (!backward) {
        const y = call.results.map((r) => cotangent.get(r));
        call.results.forEach((r) => cotangent.delete(r));
        const x = call.residual === null ? undefined : call.arguments[call.residual];
        // dropped: the residual gradient passes as it is
        if (call.unit && x?.kind === 'value' && y[0] !== undefined) contribute(x.value, y[0]);
        if (!lasting) top = marks[i] ?? top;
        continue;
      }
      let { base, layout: shape } = kept[i] as { base: number; layout: CallLayout };
      if (remat) {
        shape = layout(call.forward, keptOf(call, backward));
        base = top;
        const result = top + shape.savedBytes;
        const results = call.results.map((_, k) => address(BUFFERS.stack, result + call.results.slice(0, k).reduce((n, q) => n + (valueBytes[q] ?? 0), 0)));
        const frameBase = result + call.results.reduce((n, r) => n + (valueBytes[r] ?? 0), 0);
        peak = Math.max(peak, frameBase + shape.frameBytes);
        calls.push({
          fn: call.forward,
          call: i,
          phase: 'again',
          slots: forwardSlots(call, shape, base, frameBase, results),
          adds: false,
          zeroed: [],
          rows: 0,
          footprint: { kept: result, frame: frameBase + shape.frameBytes - result, slots: pool.used() },
        });
        top += shape.savedBytes;
      }
      const { gradients, ...linked } = linkBackward(call, backward, base, shape);
      peak = Math.max(peak, top + linked.footprint.frame);
      calls.push({ fn: backward.function, call: i, phase: 'backward', rows: 0, ...linked });
      for (const { value, offset } of gradients) contribute(value, offset);
      if (!lasting) top = marks[i] ?? top;
    }

    function linkBackward(call: CallDecl, backward: BackwardDecl, base: number, shape: CallLayout) {
      const fn = functionOf(program, backward.function);
      const forward = functionOf(program, call.forward);
      const saves = forward.results.filter((r) => r.role === 'save');
      const own = layout(backward.function, NOTHING_KEPT);
      const slots = fn.slots.map((_, s) => ((own.frame[s] ?? -1) >= 0 ? address(BUFFERS.stack, top + (own.frame[s] ?? 0)) : -1));
      const consumed = new Set<number>();
      // `sources` and `params` run side by side, but that the seed of the loss became a scalar
      fn.params.forEach((p, k) => {
        const source = backward.sources[k];
        if (!source || p.role === 'scalar') return;
        if (source.from === 'argument') slots[p.slot] = resolve(call, source.index);
        else if (source.from === 'cotangent') slots[p.slot] = address(BUFFERS.slots, cotangent.get(call.results[source.index] ?? -1) ?? -1);
        else {
          const slot = saves[source.index]?.slot ?? -1;
          const offset = shape.saved[slot] ?? -1;
          const argument = forward.params.findIndex((q) => q.slot === slot);
          const result = forward.results.filter((r) => r.role === 'value').findIndex((r) => r.slot === slot);
          slots[p.slot] =
            offset >= 0 ? address(BUFFERS.stack, base + offset) : argument >= 0 ? resolve(call, argument) : (at[call.results[result] ?? -1] ?? -1);
        }
      });
      const weights = backward.gradientOf.flatMap((a) => {
        const arg = call.arguments[a];
        return arg?.kind === 'param' ? [arg.param] : [];
      });
      const isWritten = (param: number): boolean => written.has(param) || touched.has(param);
      const adds = weights.some(isWritten);
      const zeroed: number[] = [];
      const gradients: { value: number; offset: number }[] = [];
      fn.results.forEach((r, k) => {
        const arg = call.arguments[backward.gradientOf[k] ?? -1];
        if (arg?.kind === 'param') {
          slots[r.slot] = placement.gradients[arg.param] ?? -1;
          const scatters = fn.dispatches.some((d) => d.clears === r.slot);
          if ((adds || scatters) && !isWritten(arg.param)) zeroed.push(arg.param);
          touched.add(arg.param);
        } else if (arg?.kind === 'value') {
          const over = fn.inplace[k];
          const source = over === null || over === undefined ? undefined : backward.sources[over];
          if (source?.from === 'cotangent') {
            const value = call.results[source.index] ?? -1;
            consumed.add(value);
            gradients.push({ value: arg.value, offset: cotangent.get(value) ?? -1 });
          } else {
            const offset = pool.take(valueBytes[arg.value] ?? 0);
            slots[r.slot] = address(BUFFERS.slots, offset);
            gradients.push({ value: arg.value, offset });
          }
        }
      });
      const footprint: Footprint = { kept: top, frame: own.frameBytes, slots: pool.used() };
      for (const r of call.results) {
        const offset = cotangent.get(r);
        if (offset !== undefined && !consumed.has(r)) pool.give(offset, true);
        cotangent.delete(r);
      }
      return { slots, adds, zeroed, gradients, footprint };
    }

    const ran = plans.filter((p) => p.backward !== null).map((p) => p.call.site);
    return { calls, savedBytes: saved, stackBytes: peak, slotBytes: pool.bytes(), touched, kept: ran, frontier: ran[0] ?? null, backwardFrom };
  };

  // a pattern's transient residuals are some of those of an evaluation, its cotangents some of those with nothing dropped
  const slotBytes = link(new Map()).slotBytes + link(new Map(), { forwardOnly: true }).slotBytes;
  return { link, bounds: (forms) => ({ stackBytes: stackBound(program, { kept: keptOf, layout }, valueBytes, forms), slotBytes }) };
}
