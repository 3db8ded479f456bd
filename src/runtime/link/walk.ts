/** @file Walks over the calls of a model, forward and back: an address for every value, one linked call after the other. */

import type { ArgumentDecl, BackwardDecl, CallDecl } from '../program.ts';
import { type Address, address, BUFFERS, bufferOf, offsetOf } from './address.ts';
import { type CallPlan, functionOf, persistentValues, valueRoots } from './forms.ts';
import { aligned, type CallLayout, slotBytes } from './layout.ts';
import type { Footprint, LinkedCall } from './linked.ts';
import { slotPool } from './slotPool.ts';
import type { Pass, Terrain, Walk } from './walkTypes.ts';

/** Parameters, or rows of them, that a call is handed. */
type ParamArgument = Pick<Extract<ArgumentDecl, { kind: 'param' }>, 'param' | 'offset'>;

/** A walk over the calls of these plans; nothing is linked yet. */
export function startWalk({ program, placement, sizes, layouts, valueBytes, resultOffset, lastReaders }: Terrain, plans: readonly CallPlan[]): Walk {
  const { kept: keptOf, layout } = layouts;
  const roots = valueRoots(program, plans);
  const root = (value: number): number => roots[value] ?? value;
  const persistent = new Set([...persistentValues(program, plans)].map(root));
  const lastReader = program.values.map(() => -1);
  lastReaders.forEach((reader, v) => {
    lastReader[root(v)] = Math.max(lastReader[root(v)] ?? -1, reader);
  });
  const pool = slotPool();
  const at: Address[] = program.values.map(() => -1);
  const calls: LinkedCall[] = [];
  const marks: number[] = [];
  const saves: { base: number; shape: CallLayout }[] = [];
  let top = 0;
  let peak = 0;
  let saved = 0;
  const bytesOf = (value: number | undefined): number => valueBytes[value ?? -1] ?? 0;

  const resolve = (call: CallDecl, a: number): Address => {
    const arg = call.arguments[a];
    if (arg?.kind === 'value') return at[root(arg.value)] ?? -1;
    if (arg?.kind === 'param') return (placement.params[arg.param] ?? -1) + (arg.offset ?? 0);
    if (arg?.kind === 'input') return placement.inputs[arg.input] ?? -1;
    return arg?.kind === 'state' ? (placement.states[arg.state] ?? -1) : -1;
  };

  /** Links a forward: what is saved at `base`, temporaries at `frame`. */
  const linkForward = (
    i: number,
    phase: 'forward' | 'again',
    shape: CallLayout,
    base: number,
    frame: number,
    results: readonly Address[],
    kept: number,
  ): void => {
    const { call } = plans[i] as CallPlan;
    const fn = functionOf(program, call.forward);
    const slots = fn.slots.map((_, s) =>
      (shape.saved[s] ?? -1) >= 0
        ? address(BUFFERS.stack, base + (shape.saved[s] ?? 0))
        : (shape.frame[s] ?? -1) >= 0
          ? address(BUFFERS.stack, frame + (shape.frame[s] ?? 0))
          : -1,
    );
    fn.params.forEach((p, k) => {
      slots[p.slot] = resolve(call, k);
    });
    let value = 0;
    for (const r of fn.results) {
      if (r.role !== 'value') continue;
      const own = results[value++] ?? -1;
      // a result that is written in place of a state keeps that address
      if (!fn.params.some((p) => p.slot === r.slot)) slots[r.slot] = own;
    }
    peak = Math.max(peak, frame + shape.frameBytes);
    const footprint = { kept, frame: frame + shape.frameBytes - kept, slots: pool.used() };
    calls.push({ fn: call.forward, call: i, phase, slots, adds: false, zeroed: [], rows: 0, footprint });
  };

  /** Gives back what call `i` was the last to read. */
  const release = ({ arguments: given }: CallDecl, i: number): void => {
    for (const v of new Set(given.flatMap((a) => (a.kind === 'value' ? [root(a.value)] : []))))
      if (lastReader[v] === i && !persistent.has(v)) pool.give(offsetOf(at[v] ?? 0), bufferOf(at[v] ?? 0) === BUFFERS.slots);
  };

  const forward: Walk['forward'] = (i) => {
    const { call, backward, remat, skipped } = plans[i] as CallPlan;
    marks[i] = top;
    if (skipped) {
      release(call, i);
      return;
    }
    const shape = layout(call.forward, keptOf(call, remat ? null : backward));
    const base = top;
    top += shape.savedBytes;
    for (const r of call.results) {
      const offset = resultOffset.get(r);
      // what the model returns lies where it is read back from, whoever else reads it
      if (offset !== undefined) at[r] = address(BUFFERS.results, offset);
      else if (persistent.has(r)) {
        at[r] = address(BUFFERS.stack, top);
        top += bytesOf(r);
      } else at[r] = address(BUFFERS.slots, pool.take(bytesOf(r)));
    }
    saves[i] = { base, shape };
    saved = Math.max(saved, top);
    const results = call.results.map((r) => at[r] ?? -1);
    linkForward(i, 'forward', shape, base, top, results, top);
    release(call, i);
  };

  const combine: Walk['combine'] = (update, y, x, bytes) => {
    const fn = program.updates[update];
    if (fn === undefined) throw new Error(`internal: the program has no function ${update}`);
    const { params, results, slots: decls } = functionOf(program, fn);
    const slots: Address[] = decls.map(() => -1);
    [y, x].slice(0, params.length).forEach((at, k) => {
      slots[params[k]?.slot ?? -1] = at;
    });
    slots[results[0]?.slot ?? -1] = y;
    for (let from = 0; from < bytes; from += program.partBytes)
      calls.push({
        fn,
        call: -1,
        phase: 'sum',
        slots: slots.map((at) => at + from),
        adds: false,
        zeroed: [],
        rows: Math.min(program.partBytes, bytes - from) / 16,
        footprint: { kept: top, frame: 0, slots: pool.used() },
      });
  };

  /** Adds a cotangent at `offset` (of the slots buffer) to that of a value that was read, or becomes it. */
  const contribute = ({ cotangent }: Pass, reader: number, offset: number): void => {
    const value = root(reader);
    const known = cotangent.get(value);
    if (known === undefined) {
      cotangent.set(value, offset);
      return;
    }
    combine('accumulate', address(BUFFERS.slots, known), address(BUFFERS.slots, offset), bytesOf(value));
    pool.give(offset, true);
  };

  const drop: Walk['drop'] = (i, pass) => {
    const { call } = plans[i] as CallPlan;
    const x = call.residual === null ? undefined : call.arguments[call.residual.argument];
    call.results.forEach((r, k) => {
      const offset = pass.cotangent.get(r);
      pass.cotangent.delete(r);
      if (offset === undefined) return;
      if (k === call.residual?.result && x?.kind === 'value') contribute(pass, x.value, offset);
      else pool.give(offset, true);
    });
    if (pass.pops) top = marks[i] ?? top;
  };

  const backward: Walk['backward'] = (i, pass) => {
    const { call, backward: form, remat, skipped } = plans[i] as CallPlan;
    if (skipped) {
      // its result's cotangent is its residual's
      if (pass.pops) top = marks[i] ?? top;
      return;
    }
    if (!form) {
      drop(i, pass);
      return;
    }
    let { base, shape } = saves[i] as { base: number; shape: CallLayout };
    const before = top;
    if (remat) {
      shape = layout(call.forward, keptOf(call, form));
      base = top;
      const results: Address[] = [];
      let frame = top + shape.savedBytes;
      for (const r of call.results) {
        results.push(address(BUFFERS.stack, frame));
        frame += bytesOf(r);
      }
      linkForward(i, 'again', shape, base, frame, results, top + shape.savedBytes);
      top += shape.savedBytes;
    }
    const gradients = linkBackward(i, form, base, shape, withZeros(i, form, pass));
    for (const { value, offset } of gradients) contribute(pass, value, offset);
    top = pass.pops ? (marks[i] ?? top) : before;
  };

  /** A form that many patterns share reads cotangents that do not arrive under all of them: those are zero. */
  const withZeros = (i: number, form: BackwardDecl, pass: Pass): Pass => {
    const { call } = plans[i] as CallPlan;
    for (const { from, index } of form.sources) {
      const r = call.results[index] ?? -1;
      if (from !== 'cotangent' || pass.cotangent.has(r)) continue;
      const offset = pool.take(bytesOf(r));
      combine('zero', address(BUFFERS.slots, offset), -1, bytesOf(r));
      pass.cotangent.set(r, offset);
    }
    return pass;
  };

  /** Links a backward; returns the cotangents it makes of values. */
  const linkBackward = (i: number, form: BackwardDecl, base: number, shape: CallLayout, pass: Pass): { value: number; offset: number }[] => {
    const { call, wants } = plans[i] as CallPlan;
    const { cotangent, touched, wholes, parts } = pass;
    const fn = functionOf(program, form.function);
    const forwardFn = functionOf(program, call.forward);
    const savedResults = forwardFn.results.filter((r) => r.role === 'save');
    const own = layout(form.function, keptOf(call, null));
    const slots = fn.slots.map((_, s) => ((own.frame[s] ?? -1) >= 0 ? address(BUFFERS.stack, top + (own.frame[s] ?? 0)) : -1));
    fn.params.forEach((p, k) => {
      const source = form.sources[k];
      if (!source || source.from === 'seed' || p.role === 'scalar') return;
      if (source.from === 'argument') slots[p.slot] = resolve(call, source.index);
      else if (source.from === 'cotangent') slots[p.slot] = address(BUFFERS.slots, cotangent.get(call.results[source.index] ?? -1) ?? -1);
      else {
        const slot = savedResults[source.index]?.slot ?? -1;
        const offset = shape.saved[slot] ?? -1;
        const argument = forwardFn.params.findIndex((q) => q.slot === slot);
        const result = forwardFn.results.filter((r) => r.role === 'value').findIndex((r) => r.slot === slot);
        slots[p.slot] = offset >= 0 ? address(BUFFERS.stack, base + offset) : argument >= 0 ? resolve(call, argument) : (at[call.results[result] ?? -1] ?? -1);
      }
    });
    const gradientOf = ({ param, offset = 0 }: ParamArgument): Address => pass.gradientAt(param) + offset;
    // parts of a parameter are all written before it is used as a whole again
    const isWritten = ({ param, offset }: ParamArgument): boolean =>
      wholes.has(param) || (offset === undefined ? touched.has(param) : parts.has(gradientOf({ param, offset })));
    const weights = form.gradientOf.flatMap((a) => {
      const arg = call.arguments[a];
      return arg?.kind === 'param' && wants[a] === true ? [arg] : [];
    });
    const adds = weights.some(isWritten);
    const zeroed: number[] = [];
    const gradients: { value: number; offset: number }[] = [];
    const consumed = new Set<number>();
    let unwanted = top + own.frameBytes;
    fn.results.forEach((r, k) => {
      const arg = call.arguments[form.gradientOf[k] ?? -1];
      if (wants[form.gradientOf[k] ?? -1] !== true) {
        // nobody reads it: it is written above the frame, or over what it takes the place of
        if ((fn.inplace[k] ?? null) !== null) return;
        slots[r.slot] = address(BUFFERS.stack, unwanted);
        unwanted += slotBytes(fn, r.slot, sizes);
      } else if (arg?.kind === 'param') {
        slots[r.slot] = gradientOf(arg);
        const scatters = fn.dispatches.some((d) => d.clears === r.slot);
        if ((adds || scatters) && !isWritten(arg)) zeroed.push(arg.param);
        touched.add(arg.param);
        if (arg.offset === undefined) wholes.add(arg.param);
        else parts.add(gradientOf(arg));
      } else if (arg?.kind === 'value') {
        const over = fn.inplace[k];
        const source = over === null || over === undefined ? undefined : form.sources[over];
        if (source?.from === 'cotangent') {
          const value = call.results[source.index] ?? -1;
          consumed.add(value);
          gradients.push({ value: arg.value, offset: cotangent.get(value) ?? -1 });
        } else {
          const offset = pool.take(bytesOf(arg.value));
          slots[r.slot] = address(BUFFERS.slots, offset);
          gradients.push({ value: arg.value, offset });
        }
      }
    });
    peak = Math.max(peak, unwanted);
    const footprint: Footprint = { kept: top, frame: unwanted - top, slots: pool.used() };
    calls.push({ fn: form.function, call: i, phase: 'backward', slots, adds, zeroed, rows: 0, footprint });
    for (const r of call.results) {
      const offset = cotangent.get(r);
      if (offset !== undefined && !consumed.has(r)) pool.give(offset, true);
      cotangent.delete(r);
    }
    return gradients;
  };

  return {
    calls,
    forward,
    pass: ({ written = [], gradientAt = (param: number) => placement.gradients[param] ?? -1, pops = true } = {}) => ({
      cotangent: new Map(),
      touched: new Set(),
      wholes: new Set(written),
      parts: new Set(),
      gradientAt,
      pops,
    }),
    backward,
    drop,
    combine,
    take: (value) => pool.take(bytesOf(value)),
    give: (offset) => pool.give(offset, true),
    reserve: (bytes) => {
      const start = top;
      top += aligned(bytes);
      return address(BUFFERS.stack, start);
    },
    bytes: () => ({ saved, stack: Math.max(peak, top), slots: pool.bytes() }),
  };
}
